"""Class ``Fiji``: what a user types, sorted by noun."""
