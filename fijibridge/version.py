"""The version of fijibridge."""

__version__ = "0.1.0"
