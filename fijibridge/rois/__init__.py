"""Regions of interest (ROIs): ImageJ's files, and conversion to and from label images. No JVM is needed.

A :class:`Roi` keeps the bytes that ImageJ stores, so nothing is lost; its properties decode them. As in ImageJ,
coordinates are in pixels, with x before y; pixel (0, 0) is the square from (0, 0) to (1, 1).
"""

from fijibridge.rois.labels import labels_to_rois, rois_to_labels, rois_to_mask
from fijibridge.rois.roi import Roi
from fijibridge.rois.storage import read_rois, write_rois

__all__ = ["Roi", "labels_to_rois", "read_rois", "rois_to_labels", "rois_to_mask", "write_rois"]
