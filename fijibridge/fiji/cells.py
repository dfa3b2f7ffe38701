"""Cells in Fiji: label images in distinct colours, outlines of cells, and matches with true cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jpype
import pandas as pd

from fijibridge.fiji import imageplus, rois, updates, windows
from fijibridge.fiji.events import Event, Events
from fijibridge.fiji.tables import Tables
from fijibridge.fiji.windows import Which
from fijibridge.image import Array, as_image, as_labels, imagej_pixels, same_shape
from fijibridge.imagej.lookup_table import LookupTable
from fijibridge.rois import labels_to_rois

if TYPE_CHECKING:
    from fijibridge.cells.diagnosis.overview import Diagnosis
    from fijibridge.cells.matching.matches import Matching


def show_labels(
    labels: Array,
    over: Array | Which,
    name: str | None,
    colors: rois.Colors | None,
    *,
    overwrite: bool,
    events: Events,
) -> Any:
    """Show a label image, and return its ImagePlus; other parameters as for :meth:`fijibridge.Fiji.show_labels`.

    Parameters
    ----------
    events
        Events of the session. They are used to update the colours when the user paints.
    """
    source = as_image(labels)
    array = as_labels(source)
    target = None if over is None else updates.image_to_draw_on(over, array.shape)

    def make(title: str) -> Any:
        imp = imageplus.to_imageplus(source.copy(data=imagej_pixels(array)).drop_attrs(deep=False), title)
        imp.setLut(imageplus.make_lut(LookupTable.of(rois.palette())))
        imp.setDisplayRange(0, 255)
        return imp

    imp = updates.show_in_window(make, name, name or "labels", overwrite=overwrite)
    many = array.max(initial=0) > 255  # a lookup table has 256 colours
    imp.setOverlay(rois.painted(array) if many else None)
    if many and not windows.headless() and not events.has(_repaint):
        events.add("updated", _repaint)
    if target is not None:
        rois.outline(target, labels_to_rois(array), colors)
    return imp


def _repaint(event: Event) -> None:
    """Update the colours of a label image after the user painted in it."""
    imp = windows.with_id(event.id)
    if imp is not None:
        rois.repaint(imp, only_shown=True)


def show_matches(
    matching: Matching, true: Array, pred: Array, over: Array | Which, name: str, tables: Tables
) -> pd.DataFrame:
    """Outline matched and unmatched cells and show their table, see :meth:`fijibridge.Fiji.show_matches`."""
    from fijibridge.cells.diagnosis.rois import matching_rois

    same_shape(true=true, pred=pred)
    outlines, colors = matching_rois(matching, true, pred)
    target = updates.image_to_draw_on(over, tuple(as_image(pred).shape))
    rois.outline(target, outlines, colors)
    table = matching.cells().drop(columns="color")
    tables.show(table, name, int(target.getID()))
    return table


def show_diagnosis(
    diagnosis: Diagnosis[Any], true: Array, pred: Array, over: Array | Which, name: str, tables: Tables
) -> str:
    """Show cells by outcome, broken membranes and wrong pixels, see :meth:`fijibridge.Fiji.show_diagnosis`."""
    from fijibridge.cells.diagnosis.pixel_errors import error_colors
    from fijibridge.cells.diagnosis.rois import gap_points

    errors = as_image(diagnosis.errors)
    target = updates.image_to_draw_on(over, tuple(errors.shape))  # before the image of errors becomes the active one
    errors_shown = updates.show_image(errors, updates.safe_title(f"{name} errors"), limits=(0, 255))
    open_id = int(target.getID())
    show_matches(diagnosis.matching, true, pred, open_id, f"{name} cells", tables)
    gaps, points = gap_points(diagnosis.gaps)
    if points:
        colors = rois.colors_of(points, dict.fromkeys(gaps["label"], "#ffffff"))
        rois.add_to_overlay(target, rois.to_java(points, target, colors))
    tables.show(diagnosis.cells.drop(columns="color"), f"{name} cells", open_id)
    tables.show(gaps, f"{name} gaps", open_id)
    errors_shown.setLut(imageplus.make_lut(LookupTable.of(error_colors())))
    errors_shown.updateAndDraw()
    jpype.JClass("ij.IJ").log(diagnosis.summary)
    return diagnosis.summary
