"""Predicted cells against true ones: matches, and the agreement of the two partitions."""

THRESH = 0.5
"""Default IoU from which a predicted cell matches a true one."""
