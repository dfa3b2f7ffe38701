"""ImageJ2's Datasets of open images, which are copies: brought up to date after Python changed an image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jpype

from fijibridge.errors import StartError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.attachment import context


def redraw(imp: Any, drawn: Sequence[Any], selection: Any) -> None:
    """Draw an image whose pixels were changed, and bring its Dataset up to date.

    imagej-legacy adds the selection to the overlay, or takes both away, when it draws an image that has a Dataset. Both
    are put back.

    Parameters
    ----------
    imp
        An open image.
    drawn
        ROIs of its overlay.
    selection
        Its selection, None without one.
    """
    rois = jpype.JArray(jpype.JClass("ij.gui.Roi"))(list(drawn))
    classes.datasets().redraw(imp, rois, selection, legacy_context())


def refresh(imp: Any) -> None:
    """Give the Dataset of an image its pixels, calibration and name, if ImageJ2 made one of it."""
    classes.datasets().refresh(imp, legacy_context())


def legacy_context() -> Any:
    """Return the SciJava context that joins ImageJ2 and ImageJ; None in plain ImageJ."""
    try:
        return context()
    except StartError:  # several contexts, none of them ImageJ's
        return None
