"""Images in Fiji: copied into Python, shown, written back and closed."""

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
        """Return the titles of the open images, or of those that match a pattern, in the order they were opened."""
        self._ready()
        return [str(imp.getTitle()) for imp in windows.matching(pattern)]

    def ids(self, pattern: str | None = None) -> list[int]:
        """Return the ImageJ ids of the open images, in the order of :meth:`titles`; ids are unique, titles may not be.

        `pattern` restricts them to images whose title matches.
        """
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
            Title of the image, a pattern, its id, or None for the active image.
        region
            Copy only a part: 0-based slices or indices by axis, as in ``image.isel(region)``
            (``{"z": slice(2, 5), "c": 0}``), or ``"roi"`` for the bounding box of the image's selection. The part keeps
            its coordinates.
        lazy
            Return a dask array, which reads each plane when it is needed: for virtual stacks larger than memory.

        Returns
        -------
        xarray.DataArray
            Calibrated image with some of the axes ``t c z y x``; see
            :func:`fijibridge.fiji.imageplus.from_imageplus`.

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
            (y, x), (z, y, x), (c, z, y, x) or (t, c, z, y, x). A DataArray has named axes, and keeps its calibration
            and, if it came from Fiji, its display. Types that ImageJ lacks are converted without changing a value, see
            :func:`fijibridge.image.imagej_pixels`.
        name
            Title of the image. An open image with that title is replaced in place; :meth:`undo` reverts this. By
            default a new window opens, titled with the DataArray's name or ``"image"``.
        lut
            One of ImageJ's lookup tables, such as ``"Fire"`` or ``"Grays"``.
        limits
            Values shown as black and white, for all channels; by default the range of the plane that is shown first.
        mode
            Display of channels: all at once, one by one in colour, or one by one in grey.
        virtual
            Do not copy the pixels: ImageJ reads each plane when it shows it. The default for dask, zarr, HDF5 and
            memory maps.
        new
            Open a new window even if an image with that title is open.
        keep_view
            Keep the zoom and slice of a replaced image.
        overwrite
            Replace an image even if it has unsaved changes.

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
        """Show a label image in distinct colours, and the outlines of its cells over the original image.

        Parameters
        ----------
        labels
            (y, x) or (z, y, x), 0 = background (black).
        over
            The original image, as an array, title or id. The outlines become its overlay, named by the ids.
        name
            Title of the label image, ``"labels"`` by default. An open image with that title is replaced.
        colors
            Matplotlib colours of the outlines, by id: ``{7: "red"}``; all other outlines are yellow. By default, each
            outline has the colour of its id in the label image.
        overwrite
            Replace a label image even if it has unsaved changes.

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
        """Write edited pixels back to the open image that they were copied from.

        Parameters
        ----------
        image
            An image from :meth:`image`, or a region of one, with unchanged type and pixel size.
        title
            The open image; by default the one that the pixels were copied from.

        Raises
        ------
        NoImageError
            If that image is no longer open.
        ImageError
            If the pixels do not fit the open image.
        """
        self._ready()
        updates.write(image, title)

    def undo(self, title: str | int | None = None) -> str:
        """Revert the last change that :meth:`show`, :meth:`write` or a verb made to an open image or table.

        A second call restores the change. For single-plane images, *Edit > Undo* does the same until ImageJ records
        another change there. The previous pixels are kept until Java needs the memory.

        Parameters
        ----------
        title
            Title or id of an image, None for the active image, or the title of a table if no image has that title.

        Returns
        -------
        str
            The title of the reverted image or table.

        Raises
        ------
        ImageError
            If there is nothing to revert.
        NoImageError
            If no image or table has that title.
        """
        self._ready()
        with windows.one_at_a_time():
            if isinstance(title, str) and not windows.matching(title) and self._tables.undo(title):
                return title
            return str(updates.undo(windows.find(title)).getTitle())

    def close_image(self, title: Which = None) -> None:
        """Close an open image without asking to save it."""
        windows.close(self._find(title))
