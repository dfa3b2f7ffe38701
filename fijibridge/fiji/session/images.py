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
        """Return the titles of all open images, or the titles that match `pattern`, in the order of opening."""
        self._ready()
        return [str(imp.getTitle()) for imp in windows.matching(pattern)]

    def ids(self, pattern: str | None = None) -> list[int]:
        """Return the ImageJ ids of all open images, or of those whose title matches `pattern`.

        The ids have the same order as :meth:`titles`. Ids are unique; titles may not be.
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
            Part to copy: 0-based slices or indices by axis, as for ``image.isel(region)`` (for example,
            ``{"z": slice(2, 5), "c": 0}``), or ``"roi"`` for the bounding box of the image's selection. The part keeps
            its coordinates. By default, the whole image.
        lazy
            Return a dask array, which reads a plane only when the plane is needed. Use it for virtual stacks that are
            larger than memory.

        Returns
        -------
        xarray.DataArray
            Calibrated image with some of the axes ``t c z y x``; see
            :func:`fijibridge.fiji.imageplus.from_imageplus`.

        Raises
        ------
        NoImageError
            If no open image matches, or several images match.
        ImageError
            If `region` is invalid or outside the image.
        """
        imp = self._find(title)
        if region == "roi":
            region = rois.selected_box(imp)
        elif isinstance(region, str):
            raise ImageError(f"region={region!r}; expected 'roi' or slices by axis")
        return imageplus.from_imageplus(imp, region, lazy)

    def images(self, pattern: str | None = None) -> list[xr.DataArray]:
        """Copy all open images, or those whose title matches `pattern`, into Python in the order of :meth:`titles`."""
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
            Array with the axes (y, x), (z, y, x), (c, z, y, x) or (t, c, z, y, x), or a DataArray, whose axes have
            names. A DataArray keeps its calibration and, if it came from Fiji, its display. Types that ImageJ lacks are
            converted without changing a value, see :func:`fijibridge.image.imagej_pixels`.
        name
            Title of the image. An open image with that title is replaced in place; :meth:`undo` reverts this. By
            default a new window opens, titled with the DataArray's name or ``"image"``.
        lut
            One of ImageJ's lookup tables, such as ``"Fire"`` or ``"Grays"``.
        limits
            The values shown as black and as white, which apply to all channels. By default, the range of values in the
            plane that is shown first.
        mode
            How to display several channels: ``"composite"`` shows all at once, ``"color"`` one at a time in its colour,
            and ``"grayscale"`` one at a time in grey.
        virtual
            Do not copy the pixels: ImageJ reads a plane when the plane is shown. This is the default for dask, zarr,
            HDF5 and memory maps.
        new
            Open a new window even if an image with that title is open.
        keep_view
            If an image is replaced, keep the zoom and the current slice.
        overwrite
            Replace an image even if it has unsaved changes.

        Returns
        -------
        str
            Title of the image. If the title of a new window is taken, a number is appended, as in ``"image-1"``.

        Raises
        ------
        UnsavedError
            If the open image with that title has unsaved changes, other than those made by :meth:`write`, and
            `overwrite` is False.
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
            Label image, (y, x) or (z, y, x). The background is 0, and is shown in black.
        over
            The original image: an array, or the title or id of an open image. The outlines replace the overlay of this
            image, and each is named after its id. By default, no outlines are drawn.
        name
            Title of the label image. An open image with that title is replaced. By default, a new window opens, titled
            ``"labels"``.
        colors
            Matplotlib colours of outlines by id, such as ``{7: "red"}``; all other outlines are yellow. By default,
            each outline has the colour of its id in the label image.
        overwrite
            Replace a label image even if it has unsaved changes.

        Returns
        -------
        str
            Title of the label image.

        Raises
        ------
        UnsavedError
            If the open image with that title has unsaved changes, and `overwrite` is False.
        """
        self._ready()
        imp = cells.show_labels(labels, over, name, colors, overwrite=overwrite, events=self._events)
        return str(imp.getTitle())

    def write(self, image: xr.DataArray, title: Which = None) -> None:
        """Write edited pixels back to the open image that they were copied from.

        Parameters
        ----------
        image
            An image copied with :meth:`image`, or a region of such an image. Its type and pixel size must be unchanged.
        title
            The open image. By default, the image that the pixels were copied from.

        Raises
        ------
        NoImageError
            If the image to write to is not open.
        ImageError
            If the pixels do not fit the open image.
        """
        self._ready()
        updates.write(image, title)

    def undo(self, title: str | int | None = None) -> str:
        """Revert the last change that :meth:`show`, :meth:`write` or a verb made to an open image or table.

        A second call restores the change. For single-plane images, *Edit > Undo* does the same until ImageJ records
        another change. The previous pixels are kept until Java needs the memory.

        Parameters
        ----------
        title
            Title or id of an image; None for the active image. If no image has that title, the table with that title.

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
