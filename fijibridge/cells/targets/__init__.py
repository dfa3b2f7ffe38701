"""Training targets, made from cells, and pixel weights for the loss."""

MEMBRANE_WIDTH = 3.0
"""Default width of a membrane, in x pixels."""

MAX_GAP = 6.0
"""Default for the largest gap between two cells that share a membrane, in x pixels."""
