"""Images in Fiji: the open ones copied, shown, written back and closed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

from fijibridge.errors import ImageError
from fijibridge.fiji import cells, imageplus, rois, updates, windows
from fijibridge.fiji.rois import Colors
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.image import Array


class Images(Base):
    """Methods for images."""

    def titles(self, pattern: str | None = None) -> list[str]:
        """Return the titles of the open images, or of those that match a pattern, in the order of their opening."""
        self._ready()
        return [str(imp.getTitle()) for imp in windows.matching(pattern)]

    def ids(self, pattern: str | None = None) -> list[int]:
        """Return the ImageJ ids of the open images in the order of :meth:`titles`; they differ where titles do not."""
        self._ready()
        return [int(imp.getID()) for imp in windows.matching(pattern)]

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
            its position.
        lazy
            Return a dask array, which reads a plane when it is needed: for a virtual stack larger than memory.

        Returns
        -------
        xarray.DataArray
            Axes out of ``t c z y x``, calibrated; see :func:`fijibridge.fiji.imageplus.from_imageplus`.

        Raises
        ------
        NoImageError
            If no image or several images match.
        ImageError
            If the region lies outside the image.
        """
        imp = self._find(title)
        if region == "roi":
            region = rois.selected_box(imp)
        elif isinstance(region, str):
            raise ImageError(f"region={region!r}; expected 'roi' or slices by axis")
        return imageplus.from_imageplus(imp, region, lazy)

    def images(self, pattern: str | None = None) -> list[xr.DataArray]:
        """Copy all open images, or those that match a pattern, into Python, in the order of :meth:`titles`."""
        self._ready()
        return [imageplus.from_imageplus(imp) for imp in windows.matching(pattern)]

    def array(self, title: Which = None) -> npt.NDArray[Any]:
        """Copy the pixels of an open image into a plain numpy array."""
        return np.asarray(self.image(title).values)

    def show(
        self,
        image: Any,
        name: str | None = None,
        lut: str | None = None,
        *,
        limits: tuple[float, float] | None = None,
        mode: Literal["composite", "color", "grayscale"] | None = None,
        virtual: bool | None = None,
        new: bool = False,
        keep_view: bool = True,
        overwrite: bool = False,
    ) -> str:
        """Show an array as an image in Fiji.

        Parameters
        ----------
        image
            (y, x), (z, y, x), (c, z, y, x) or (t, c, z, y, x); a DataArray names its axes itself and keeps its
            calibration and, if it came from Fiji, its display. Types that ImageJ does not have are converted without a
            wrong value, see :func:`fijibridge.image.imagej_pixels`.
        name
            Its title. An open image with that title is replaced in place, which :meth:`undo` reverts. By default a new
            window opens, titled with the DataArray's own name or ``"image"``.
        lut
            A lookup table of ImageJ, such as ``"Fire"`` or ``"Grays"``.
        limits
            Values shown as black and as white, for all channels; by default those of the plane that is shown first.
        mode
            Display of channels: all at once, one by one in colour, or one by one in grey.
        virtual
            Do not copy the pixels: ImageJ reads a plane when it shows it. By default for dask, zarr, HDF5 and memory
            maps.
        new
            Open a new window even if an image with that title is open.
        keep_view
            Keep zoom and slice of a window that is replaced.
        overwrite
            Replace an image that somebody changed in Fiji and did not save.

        Returns
        -------
        str
            The title, made unique as ImageJ does (``"image-1"``).

        Raises
        ------
        UnsavedError
            If the open image with that title has unsaved changes other than those of :meth:`write`.
        """
        self._ready()
        imp = updates.show_image(
            image, name, lut,
            limits=limits, mode=mode, virtual=virtual, new=new, keep_view=keep_view, overwrite=overwrite,
        )  # fmt: skip
        return str(imp.getTitle())

    def show_labels(
        self,
        labels: Array,
        over: Array | Which = None,
        name: str | None = None,
        colors: Colors | None = None,
        *,
        overwrite: bool = False,
    ) -> str:
        """Show a label image in distinct colours, and the outlines of its cells over the image they were found in.

        Parameters
        ----------
        labels
            (y, x) or (z, y, x), 0 = background (black).
        over
            An image, or the title or id of an open one, that gets the cells as its overlay, named by their ids.
        name
            Title of the label image, which replaces an open one with that title; ``"labels"`` by default.
        colors
            Of the outlines, by id, as matplotlib names them: ``{7: "red"}``; the others are yellow. By default each id
            has the colour it has in the label image.
        overwrite
            Replace a label image that somebody painted in and did not save.

        Returns
        -------
        str
            Title of the label image.

        Raises
        ------
        UnsavedError
            If the open image with that title has unsaved changes.
        """
        self._ready()
        imp = cells.show_labels(labels, over, name, colors, overwrite=overwrite, events=self._events)
        return str(imp.getTitle())

    def write(self, image: xr.DataArray, title: Which = None) -> None:
        """Write edited pixels back into the open image they were copied from.

        Parameters
        ----------
        image
            From :meth:`image`, whole or a region, with the same type and pixel size.
        title
            The open image; by default the one the pixels were copied from.

        Raises
        ------
        NoImageError
            If that image is no longer open.
        ImageError
            If the pixels do not fit.
        """
        self._ready()
        updates.write(image, title)

    def undo(self, title: str | int | None = None) -> str:
        """Revert the last change of an open image or table by :meth:`show`, :meth:`write` or a verb.

        A second call restores the change. For single planes *Edit > Undo* does the same, until ImageJ uses it for
        another change. The replaced pixels are kept until Java needs the memory.

        Parameters
        ----------
        title
            Title or id of the image, or None for the active one. Or title of a table, if no image has it.

        Returns
        -------
        str
            The title of what was reverted.

        Raises
        ------
        ImageError
            If there is nothing to revert.
        NoImageError
            If there is no such image.
        """
        self._ready()
        with windows.one_at_a_time():
            if isinstance(title, str) and not windows.matching(title) and self._tables.undo(title):
                return title
            return str(updates.undo(windows.find(title)).getTitle())

    def close_image(self, title: Which = None) -> None:
        """Close an open image without asking to save it."""
        windows.close(self._find(title))
