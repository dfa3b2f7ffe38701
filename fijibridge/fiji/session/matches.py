"""Matches in Fiji: predicted cells compared with true cells, as outlines, images and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from fijibridge.fiji import cells
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.image import Array

if TYPE_CHECKING:
    from fijibridge.cells.diagnosis.overview import Diagnosis
    from fijibridge.cells.matching.matches import Matching


class Matches(Base):
    """Methods for matched cells."""

    def show_matches(
        self, matching: Matching, true: Array, pred: Array, over: Array | Which = None, name: str = "Matches"
    ) -> pd.DataFrame:
        """Show matched and unmatched cells as coloured outlines, and as a table in which a click selects the cell.

        Parameters
        ----------
        matching
            Result of :func:`fijibridge.match_labels`.
        true, pred
            The two label images that were matched, (y, x) or (z, y, x).
        over
            The image whose overlay becomes the outlines of all predicted cells and of unmatched true cells (named
            ``"missed 7"``, ``"merged 7"``, ``"split 7"``), in the colours of
            :data:`fijibridge.colors.OUTCOME_COLORS`.
        name
            Title of the table.

        Returns
        -------
        pandas.DataFrame
            ``label`` (name of the ROI), ``outcome``, ``true``, ``predicted``, ``score``.
        """
        self._ready()
        return cells.show_matches(matching, true, pred, over, name, self._tables)

    def show_diagnosis(
        self, diagnosis: Diagnosis[Any], true: Array, pred: Array, over: Array | Which = None, name: str = "Diagnosis"
    ) -> str:
        """Show a diagnosis: cells by outcome, broken membranes and wrong pixels.

        Parameters
        ----------
        diagnosis
            Result of :func:`fijibridge.diagnose` for the two label images.
        true, pred
            The label images, (y, x) or (z, y, x).
        over
            The image whose overlay becomes the outlines, see :meth:`show_matches`, with a point ``"gap 1"`` on each
            broken membrane, the most costly first.
        name
            Prefix of the titles: the image ``"<name> errors"`` (missed membranes red, false ones blue, unknown pixels
            grey) and the tables ``"<name> cells"`` and ``"<name> gaps"``; a click on a row selects its cell or gap in
            the image and scrolls to it. The summary is written to Fiji's log.

        Returns
        -------
        str
            The summary.
        """
        self._ready()
        return cells.show_diagnosis(diagnosis, true, pred, over, name, self._tables)
