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
            The image to draw on: an array, or the title or id of an open image; None for the active one. Its overlay is
            replaced by the outlines of all predicted cells and of the unmatched true cells, in the colours of
            :data:`fijibridge.colors.OUTCOME_COLORS`. The unmatched true cells are named ``"missed 7"``, ``"merged 7"``
            or ``"split 7"``.
        name
            Title of the table.

        Returns
        -------
        pandas.DataFrame
            The table, with the columns ``label`` (name of the ROI), ``outcome``, ``true``, ``predicted`` and ``score``.
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
            The image to draw on. Its overlay is replaced by outlines, see :meth:`show_matches`, and by a point on each
            broken membrane. The points are named ``"gap 1"``, ``"gap 2"`` ..., starting with the costliest gap.
        name
            Prefix of the titles. The image ``"<name> errors"`` shows missed membranes in red, false ones in blue and
            unknown pixels in grey. The tables are ``"<name> cells"`` and ``"<name> gaps"``. If the user clicks a row,
            its cell or gap is selected in the image and scrolled into view.

        Returns
        -------
        str
            The summary, which is also written to Fiji's log.
        """
        self._ready()
        return cells.show_diagnosis(diagnosis, true, pred, over, name, self._tables)
