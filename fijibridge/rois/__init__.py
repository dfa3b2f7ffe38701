"""Regions of interest: ImageJ's bytes and files, their coordinates, and label images. No JVM is needed.

A :class:`Roi` keeps the bytes that ImageJ stores, so that nothing is lost, and has properties to read them. Coordinates
follow ImageJ: in pixels, x before y; pixel (0, 0) is the square from (0, 0) to (1, 1).
"""

from fijibridge.rois.labels import labels_to_rois, rois_to_labels, rois_to_mask
from fijibridge.rois.roi import Roi, read_rois, write_rois

__all__ = ["Roi", "labels_to_rois", "read_rois", "rois_to_labels", "rois_to_mask", "write_rois"]
