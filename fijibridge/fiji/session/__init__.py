"""Class ``Fiji``, the session that a user works with, composed of one class per topic."""

from fijibridge.fiji.session.fiji import Fiji, current

__all__ = ["Fiji", "current"]
