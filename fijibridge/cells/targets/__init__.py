"""Targets for a network, made from cells, and weights of pixels in its loss."""

MEMBRANE_WIDTH = 3.0
"""Default width of a membrane, in pixels of x."""

MAX_GAP = 6.0
"""Default width of the widest gap between two cells that share a membrane, in pixels of x."""
