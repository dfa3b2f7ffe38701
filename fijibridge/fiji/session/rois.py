"""ROIs in Fiji: copied from ROI Manager, overlay or selection, and added to them."""

from __future__ import annotations

from collections.abc import Iterable

from fijibridge.fiji import rois as fiji_rois
from fijibridge.fiji.rois import Colors, Source
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.rois import Roi


class Rois(Base):
    """Methods for ROIs."""

    def rois(self, source: Source | None = None, title: Which = None) -> list[Roi]:
        """Copy ROIs into Python.

        Parameters
        ----------
        source
            ``"manager"``: the ROI Manager; ``"overlay"``: the image's overlay; ``"image"``: its selection. By default
            the first of these three that holds a ROI.
        title
            The image for overlay and selection; None for the active one.

        Raises
        ------
        RoiError
            If there are none.
        """
        self._ready()
        return fiji_rois.copy_rois(source, title)

    def add_rois(self, rois: Iterable[Roi] | Roi, title: Which = None, colors: Colors | None = None) -> None:
        """Add ROIs to an image's overlay, and to the ROI Manager where there is a display.

        Parameters
        ----------
        rois
            In pixels of the image.
        title
            The image; None for the active one.
        colors
            By name, as matplotlib names them: ``{"7": "red"}``. By default each keeps its own.
        """
        self._ready()
        fiji_rois.add_rois(rois, title, colors)
