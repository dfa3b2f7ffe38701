"""Regions of interest: ImageJ's bytes and files, their coordinates, and label images. No JVM is needed.

A :class:`Roi` holds what ImageJ's own format holds, nothing lost, and says it in Python's words. Coordinates are
ImageJ's: in pixels, x before y, and pixel (0, 0) is the square between (0, 0) and (1, 1).
"""

from fijibridge.rois.labels import labels_to_rois, rois_to_labels, rois_to_mask
from fijibridge.rois.roi import Roi, read_rois, write_rois

__all__ = ["Roi", "labels_to_rois", "read_rois", "rois_to_labels", "rois_to_mask", "write_rois"]
