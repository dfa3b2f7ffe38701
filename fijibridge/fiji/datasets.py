"""ImageJ2's Datasets of open images, which are copies: brought up to date after the image was changed from Python."""

from __future__ import annotations

import logging
from typing import Any

import jpype

from fijibridge.errors import StartError
from fijibridge.fiji.jvm.attachment import context

log = logging.getLogger("fijibridge")


def redraw(imp: Any, drawn: list[Any], selection: Any) -> None:
    """Draw an image whose pixels were changed, and bring its Dataset up to date.

    imagej-legacy adds the selection to the overlay, or takes both away, when it draws or looks up an image that has a
    Dataset: they are put back, the ROIs that are `drawn` and the `selection`, None without one.
    """
    imp.updateAndDraw()
    refresh(imp)
    now = imp.getOverlay()
    left = [] if now is None else list(now.toArray())
    if len(left) != len(drawn) or not all(a.equals(b) for a, b in zip(left, drawn, strict=True)):
        again = jpype.JClass("ij.gui.Overlay")()
        for roi in drawn:
            again.add(roi)
        imp.setOverlay(again if drawn else None)
    if selection is not None and imp.getRoi() is None:
        imp.setRoi(selection)


def refresh(imp: Any) -> None:
    """Give the Dataset of an image its pixels, calibration and name, if ImageJ2 made one of it.

    The Dataset stays the same object, as ImageJ2's own commands leave it. In plain ImageJ there is none.
    """
    legacy = _legacy_service()
    if legacy is None or not legacy.getImageMap().getImagePlusInstances().contains(imp):
        return
    try:
        display = legacy.getImageMap().lookupDisplay(imp)
        if display is None:
            return
        displays = legacy.getContext().getService(jpype.JClass("net.imagej.display.ImageDisplayService").class_)
        # as imagej-legacy's own Harmonizer does it, which also takes the overlay away
        made = jpype.JClass("net.imagej.legacy.translate.ImageTranslator")(legacy).createDisplay(imp)
        new, dataset = displays.getActiveDataset(made), displays.getActiveDataset(display)
        dataset.setImgPlus(new.getImgPlus())
        dataset.setRGBMerged(new.isRGBMerged())
        dataset.setName(imp.getTitle())
        # else pyimagej's from_java goes round and round: the image is among the properties of its Dataset
        dataset.getProperties().remove(jpype.JClass("net.imagej.legacy.LegacyImageMap").IMP_KEY)
        made.close()
    except (jpype.JException, TypeError, AttributeError) as error:
        # of another version: let a new one be made when it is asked for
        log.debug("the Dataset of %s is made anew: %s", imp, error)
        legacy.getImageMap().unregisterLegacyImage(imp)


def _legacy_service() -> Any:
    """Return what keeps ImageJ2 and ImageJ together; None in plain ImageJ."""
    try:
        service = jpype.JClass("net.imagej.legacy.LegacyService")
    except TypeError:  # no such class
        return None
    try:
        found = context()
    except StartError:  # several, of which none is ImageJ's
        return None
    return None if found is None else found.getService(service.class_)
