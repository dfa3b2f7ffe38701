"""Comparison of predicted and true cells: matches, and agreement of the two partitions."""

THRESH = 0.5
"""Default minimum IoU at which a predicted cell matches a true one."""
