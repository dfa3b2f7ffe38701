"""Errors of a segmentation and their causes: lost cells, wrong pixels, broken membranes.

Read ``overview`` first: it combines ``pixel_errors`` and ``gaps``. ``rois`` converts the result to ROIs.
"""
