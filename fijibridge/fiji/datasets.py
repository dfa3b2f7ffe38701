"""ImageJ2's Datasets, which are copies of open images, updated after Python changed an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jpype

from fijibridge.errors import StartError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.attachment import context


def redraw(imp: Any, drawn: Sequence[Any], selection: Any) -> None:
    """Draw an image whose pixels were changed, and update its Dataset.

    When imagej-legacy draws an image that has a Dataset, it adds the selection to the overlay, or removes both. This
    function restores the overlay and the selection.

    Parameters
    ----------
    imp
        An open image.
    drawn
        ROIs in the overlay of the image.
    selection
        Selection of the image; None if there is none.
    """
    rois = jpype.JArray(jpype.JClass("ij.gui.Roi"))(list(drawn))
    classes.datasets().redraw(imp, rois, selection, legacy_context())


def refresh(imp: Any) -> None:
    """Update the pixels, calibration and name of an image's Dataset, if ImageJ2 has created one."""
    classes.datasets().refresh(imp, legacy_context())


def legacy_context() -> Any:
    """Return the SciJava context that connects ImageJ2 and ImageJ; None in plain ImageJ."""
    try:
        return context()
    except StartError:  # several contexts, none of which belongs to ImageJ
        return None
