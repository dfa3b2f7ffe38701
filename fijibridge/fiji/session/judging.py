"""Predicted cells against true ones, in Fiji: outlines, wrong pixels, and tables whose rows lead there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from fijibridge.fiji.session.showing import Showing
from fijibridge.image import Array, as_image, same_shape
from fijibridge.imagej.lookup_table import LookupTable

if TYPE_CHECKING:
    from fijibridge.cells.diagnosis.overview import Diagnosis
    from fijibridge.cells.matching.matches import Matching
    from fijibridge.fiji.windows import Which


class Judging(Showing):
    """The part of a session that shows how well predicted cells match."""

    def show_matches(
        self, matching: Matching, true: Array, pred: Array, over: Array | Which = None, name: str = "Matches"
    ) -> pd.DataFrame:
        """Show which cells were matched: as coloured outlines, and as a table whose rows select their cell.

        Parameters
        ----------
        matching
            Of :func:`fijibridge.match_labels`.
        true, pred
            The label images that it compares, (y, x) or (z, y, x).
        over
            The image that gets the outlines as its overlay: of the predicted cells, and of the true ones without a
            match (named ``"missed 7"``, ``"merged 7"``, ``"split 7"``), in the colours of
            :data:`fijibridge.colors.OUTCOME_COLORS`.
        name
            Title of the table.

        Returns
        -------
        pandas.DataFrame
            ``label`` (name of the ROI), ``outcome``, ``true``, ``predicted``, ``score``.
        """
        from fijibridge.cells.diagnosis.rois import matching_rois
        from fijibridge.fiji import rois as fiji_rois

        same_shape(true=true, pred=pred)
        rois, colors = matching_rois(matching, true, pred)
        target = self._target(over, tuple(as_image(pred).shape))
        fiji_rois.outline(target, rois, colors)
        table = matching.cells().drop(columns="color")
        self.show_table(table, name, select_in=int(target.getID()))
        return table

    def show_diagnosis(
        self, diagnosis: Diagnosis[Any], true: Array, pred: Array, over: Array | Which = None, name: str = "Diagnosis"
    ) -> str:
        """Show what :func:`fijibridge.diagnose` found: cells by outcome, broken membranes and wrong pixels.

        Parameters
        ----------
        diagnosis
            Of the two label images.
        true, pred
            The label images, (y, x) or (z, y, x).
        over
            The image that gets the outlines as its overlay, see :meth:`show_matches`, and a point ``"gap 1"`` on each
            broken membrane, those that cost most first.
        name
            Of what is shown: the image ``"<name> errors"`` (membranes that were missed red, those that are none blue,
            unknown pixels grey) and the tables ``"<name> cells"`` and ``"<name> gaps"``; a click on a row selects its
            cell or gap in the image and scrolls to it. The summary is written into Fiji's log.

        Returns
        -------
        str
            The summary.
        """
        from fijibridge.cells.diagnosis.pixel_errors import error_colors
        from fijibridge.cells.diagnosis.rois import gap_points
        from fijibridge.fiji import imageplus
        from fijibridge.fiji import rois as fiji_rois

        errors = as_image(diagnosis.errors)
        target = self._target(over, tuple(errors.shape))  # before the errors become the active image
        title = self.show(errors, name=self._kept_or(f"{name} errors"), limits=(0, 255))
        open_id = int(target.getID())
        self.show_matches(diagnosis.matching, true, pred, over=open_id, name=f"{name} cells")
        gaps, points = gap_points(diagnosis.gaps)
        if points:
            colors = fiji_rois.colors_of(points, dict.fromkeys(gaps["label"], "#ffffff"))
            fiji_rois.add_to_overlay(target, fiji_rois.to_java(points, target, colors))
        self.show_table(diagnosis.cells.drop(columns="color"), f"{name} cells", select_in=open_id)
        self.show_table(gaps, f"{name} gaps", select_in=open_id)
        imp = self._find(title)
        imp.setLut(imageplus.make_lut(LookupTable.of(error_colors())))
        imp.updateAndDraw()
        self.log(diagnosis.summary)
        return diagnosis.summary
