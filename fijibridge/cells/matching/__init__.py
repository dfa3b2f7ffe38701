"""Predicted cells against true ones: which match, and how far the two partitions agree."""
