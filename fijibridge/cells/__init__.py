"""Cells: training targets, segmentation of predictions, matching, and synthetic images with known cells.

Functions take arrays and return arrays and tables; no torch or Java is needed.
"""
