"""Class ``Fiji``, the session that a user works with, in parts by noun."""

from fijibridge.fiji.session.fiji import Fiji, current

__all__ = ["Fiji", "current"]
