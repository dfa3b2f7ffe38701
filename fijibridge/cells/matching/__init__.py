"""Comparison of predicted and true cells: matches, and agreement of the two partitions."""

THRESH = 0.5
"""Default for the smallest IoU at which a predicted and a true cell match."""
