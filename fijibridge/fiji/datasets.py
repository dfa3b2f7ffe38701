"""ImageJ2's Datasets of open images, which are copies: brought up to date after the image was changed from Python."""

from __future__ import annotations

import logging
from typing import Any

import jpype

log = logging.getLogger("fijibridge")


def refresh(imp: Any) -> None:
    """Give the Dataset of an image its pixels, calibration and name, if ImageJ2 made one of it.

    The Dataset stays the same object, as ImageJ2's own commands leave it. In plain ImageJ there is none.
    """
    legacy = _legacy_service()
    display = None if legacy is None else legacy.getImageMap().lookupDisplay(imp)
    if display is None:
        return
    try:
        translator = jpype.JClass("net.imagej.legacy.translate.ImageTranslator")(legacy)
        jpype.JClass("net.imagej.legacy.translate.Harmonizer")(legacy.getContext(), translator).updateDisplay(
            display, imp
        )
    except (
        jpype.JException,
        TypeError,
        AttributeError,
    ) as error:  # of another version: a new one is made when asked for
        log.debug("the Dataset of %s is made anew: %s", imp, error)
        legacy.getImageMap().unregisterLegacyImage(imp)


def _legacy_service() -> Any:
    """Return what keeps ImageJ2 and ImageJ together; None in plain ImageJ."""
    try:
        service = jpype.JClass("net.imagej.legacy.LegacyService")
    except TypeError:  # no such class
        return None
    context = jpype.JClass("ij.IJ").runPlugIn("org.scijava.Context", "")
    return None if context is None else context.getService(service.class_)
