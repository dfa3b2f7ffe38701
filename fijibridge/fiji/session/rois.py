"""Copy ROIs from Fiji's ROI Manager, an overlay or a selection, and add ROIs to an overlay and the ROI Manager."""

from __future__ import annotations

from collections.abc import Iterable

from fijibridge.fiji import rois as fiji_rois
from fijibridge.fiji.rois import Colors, Source
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.renames import renamed_keywords
from fijibridge.rois import Roi


class Rois(Base):
    """Methods for ROIs."""

    def rois(self, source: Source | None = None, title: Which = None) -> list[Roi]:
        """Copy ROIs into Python.

        Parameters
        ----------
        source
            ``"manager"`` (the ROI Manager), ``"overlay"`` (the image's overlay) or ``"image"`` (the image's selection).
            By default, the first of these three that contains a ROI.
        title
            The image whose overlay or selection is used; None for the active one.

        Raises
        ------
        RoiError
            If the source contains no ROIs.
        """
        self._ready()
        return fiji_rois.copy_rois(source, title)

    @renamed_keywords(title="over")
    def add_rois(self, rois: Iterable[Roi] | Roi, over: Which = None, colors: Colors | None = None) -> None:
        """Add ROIs to an image's overlay, and to the ROI Manager where there is a display.

        Parameters
        ----------
        rois
            ROIs in pixel coordinates of the image.
        over
            The image; None for the active one.
        colors
            Matplotlib colours by ROI name, such as ``{"7": "red"}``. By default, each ROI keeps its own colour.
        """
        self._ready()
        fiji_rois.add_rois(rois, over, colors)
