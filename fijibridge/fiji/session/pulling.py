"""From Fiji to Python: images, ROIs and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import xarray as xr

from fijibridge.errors import ImageError, RoiError, SessionError
from fijibridge.fiji.session.base import Session
from fijibridge.rois import Roi

if TYPE_CHECKING:
    from fijibridge.fiji.rois import Source
    from fijibridge.fiji.windows import Which


class Pulling(Session):
    """The part of a session that copies from Fiji into Python."""

    def titles(self, pattern: str | None = None) -> list[str]:
        """Return the titles of the open images, of those that fit a pattern, in the order in which they were opened."""
        return [str(imp.getTitle()) for imp in self._windows().matching(pattern)]

    def ids(self, pattern: str | None = None) -> list[int]:
        """Return the ImageJ ids of the open images, in the order of :meth:`titles`; two of one title differ in it."""
        return [int(imp.getID()) for imp in self._windows().matching(pattern)]

    def image(
        self,
        title: Which = None,
        *,
        region: Mapping[str, int | slice] | Literal["roi"] | None = None,
        lazy: bool = False,
    ) -> xr.DataArray:
        """Copy an open image into Python.

        Parameters
        ----------
        title
            Its title, a pattern, its id, or None for the active image.
        region
            Copy only a part: slices or indices by axis, counted from 0, as in ``image.isel(region)``
            (``{"z": slice(2, 5), "c": 0}``); ``"roi"`` for the bounding box of the image's selection. The part keeps
            its place.
        lazy
            Return a dask array, which reads a plane when it is needed: a virtual stack larger than memory can be
            worked through.

        Returns
        -------
        xarray.DataArray
            Axes out of ``t c z y x``, calibrated; see :func:`fijibridge.fiji.imageplus.from_imageplus`.

        Raises
        ------
        NoImageError
            If there is none of that title, or several.
        ImageError
            If the region lies outside.
        """
        from fijibridge.fiji.imageplus import from_imageplus

        imp = self._find(title)
        if region == "roi":
            region = _selected_box(imp)
        elif isinstance(region, str):
            raise ImageError(f"region={region!r}; expected 'roi' or slices by axis")
        return from_imageplus(imp, region, lazy)

    def images(self, pattern: str | None = None) -> list[xr.DataArray]:
        """Copy all open images, or those that fit a pattern, into Python, in the order of :meth:`titles`."""
        from fijibridge.fiji.imageplus import from_imageplus

        return [from_imageplus(imp) for imp in self._windows().matching(pattern)]

    def array(self, title: Which = None) -> npt.NDArray[Any]:
        """Copy the pixels of an open image into a plain numpy array."""
        return np.asarray(self.image(title).values)

    def rois(self, source: Source | None = None, title: Which = None) -> list[Roi]:
        """Copy ROIs into Python.

        Parameters
        ----------
        source
            ``"manager"``: the ROI Manager; ``"overlay"``: the image's overlay; ``"image"``: its selection. Left
            out: the ROI Manager if it holds any, else the overlay if there is one, else the selection.
        title
            The image for overlay and selection; None for the active one.

        Raises
        ------
        RoiError
            If there are none.
        """
        from fijibridge.fiji.rois import from_java

        found = self._java_rois(source, title)
        if not found:
            raise RoiError(self._no_roi(source, title))
        return from_java(found)

    def tables(self) -> list[str]:
        """Return the titles of the open tables."""
        from fijibridge.fiji.tables import table_names

        self._ready()
        return table_names()

    def table(self, name: str = "Results") -> pd.DataFrame:
        """Copy an open table into Python: numbers as float64, text as str, missing numbers as NaN.

        Raises
        ------
        SessionError
            If no table of that title is open.
        """
        from fijibridge.fiji.tables import find_table, to_dataframe

        self._ready()
        table = find_table(name)
        if table is None:
            raise SessionError(f"no open table {name!r}; open are {self.tables()}")
        return to_dataframe(table)

    def _java_rois(self, source: Source | None, title: Which) -> list[Any]:
        from fijibridge.fiji import rois as fiji_rois

        if source not in (None, "manager", "overlay", "image"):
            raise RoiError(f"source={source!r}; expected 'manager', 'overlay' or 'image'")
        self._ready()
        if source in (None, "manager"):
            manager = fiji_rois.manager()
            if (manager is not None and int(manager.getCount())) or source == "manager":
                return list(manager.getRoisAsArray()) if manager is not None else []
        imp = self._find(title)
        if source in (None, "overlay"):
            drawn = fiji_rois.drawn(imp)
            if drawn or source == "overlay":
                return drawn
        roi = imp.getRoi()
        return [] if roi is None else [roi]

    def _no_roi(self, source: Source | None, title: Which) -> str:
        """Say where ROIs were looked for, and which images have some."""
        from fijibridge.fiji import rois as fiji_rois

        image = "" if source == "manager" else f" of {str(self._find(title).getTitle())!r}"
        where = {None: "the ROI Manager, the overlay or the selection", "manager": "the ROI Manager",
                 "overlay": "the overlay", "image": "the selection"}[source]  # fmt: skip
        others = [str(i.getTitle()) for i in self._windows().open_images() if fiji_rois.drawn(i)]
        told = f"; the overlay of {others} has some: say title=..." if others else ""
        return f"no ROI in {where}{image}: draw one, or add it to the ROI Manager with [t]{told}"

    def _named_roi(self, imp: Any, name: str, position: int = 0) -> Any:
        """Return the ROI of a name (and slice), of the image's overlay or else the ROI Manager; None without one."""
        from fijibridge.fiji import rois as fiji_rois

        manager = fiji_rois.manager()
        for rois in (fiji_rois.drawn(imp), list(manager.getRoisAsArray()) if manager is not None else []):
            found = [roi for roi in rois if str(roi.getName()) == name]
            here = [roi for roi in found if position == fiji_rois.plane_of(imp, roi)]
            if found:
                return (here or found)[0]
        return None


def _selected_box(imp: Any) -> dict[str, slice]:
    """Return the bounding box of an image's selection, cut at its border."""
    roi = imp.getRoi()
    if roi is None:
        raise RoiError(f"region='roi', but nothing is selected in {str(imp.getTitle())!r}")
    box = roi.getBounds()
    left, top = max(int(box.x), 0), max(int(box.y), 0)
    right, bottom = min(int(box.x + box.width), int(imp.getWidth())), min(int(box.y + box.height), int(imp.getHeight()))
    if right <= left or bottom <= top:
        raise RoiError(f"region='roi', but the selection of {str(imp.getTitle())!r} lies outside of it")
    return {"y": slice(top, bottom), "x": slice(left, right)}
