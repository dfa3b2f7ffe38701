"""Cells: targets made from them, cells found in predictions, matches, and images with known cells.

Arrays in, arrays and tables out; no torch, no Java.
"""
