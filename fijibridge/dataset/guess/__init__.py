"""Guess of a description, from the files of a folder."""
