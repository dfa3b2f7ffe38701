"""Positions of ROIs in stacks: the frame and the slice on which a ROI is drawn, by ImageJ's rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from fijibridge.arrays import Ints, Mask
from fijibridge.errors import RoiError
from fijibridge.image import DIMS, Array
from fijibridge.rois.roi import Roi

_NAMES = {"t": "frame", "z": "slice"}


@dataclass(frozen=True)
class Stack:
    """Planes of an image.

    Attributes
    ----------
    axes
        Axes of the planes: ``""``, ``"z"``, ``"t"`` or ``"tz"``.
    shape
        Length of each of these axes.
    channels
        Number of channels; they share their ROIs.
    named
        Whether the image names its axes. Plain arrays do not: their planes may be slices or frames.
    """

    axes: str
    shape: tuple[int, ...]
    channels: int = 1
    named: bool = True

    @classmethod
    def of(cls, image: Array | Sequence[int]) -> Stack:
        """Return the planes of an image, or of an array with a shape: (Y, X), (Z, Y, X) or (T, Z, Y, X).

        Raises
        ------
        RoiError
            If the shape has another number of axes.
        """
        if isinstance(image, xr.DataArray):
            found = [d for d in DIMS if d in image.dims and d in _NAMES]
            return cls("".join(found), tuple(image.sizes[d] for d in found), image.sizes.get("c", 1))
        shape = tuple(image.shape if isinstance(image, np.ndarray) else image)
        if len(shape) not in (2, 3, 4):
            raise RoiError(f"shape {shape} has {len(shape)} axes; expected (Y, X), (Z, Y, X) or (T, Z, Y, X)")
        axes = {2: "", 3: "z", 4: "tz"}[len(shape)]
        return cls(axes, shape[:-2], named=len(shape) != 3)

    def places(self, rois: Sequence[Roi]) -> Ints:
        """Return the 1-based number of each ROI along each axis of the planes, (n, len(axes)); 0 = on all.

        As in ImageJ, a position that is a single number is a slice, or a frame if the image has no slices.

        Raises
        ------
        RoiError
            If a position exceeds the image, or the planes may be slices or frames and ROIs have both.
        """
        hyper = np.array([roi.hyperstack_position for roi in rois], np.int64).reshape(-1, 3)
        single = np.array([max(roi.header.position, 0) for roi in rois], np.int64) * ~hyper.any(axis=1)
        found = {"z": hyper[:, 1], "t": hyper[:, 2]}
        if len(self.axes) == 1:
            found[self.axes] = found[self._meant(found["z"], found["t"])]
        for axis in "zt":
            if axis in self.axes:
                found[axis] = found[axis] + single
                break
        places = np.zeros((len(rois), len(self.axes)), np.int64)
        for n, axis in enumerate(self.axes):
            places[:, n] = found[axis]
        for roi, place in zip(rois, places.tolist(), strict=True):
            self._refuse_outside(roi, place)
        return places

    def _meant(self, slices: Ints, frames: Ints) -> str:
        """Return the axis of the positions of ROIs that the image's only axis stands for."""
        several = {"z": bool((slices > 1).any()), "t": bool((frames > 1).any())}
        if all(several.values()) and not self.named:
            raise RoiError(
                "the ROIs are on several slices and on several frames, but the array has one axis for both: pass the "
                "image itself, or a DataArray with dims, instead of its shape"
            )
        other = "t" if self.axes == "z" else "z"
        # frames are often stored as slices, and slices as frames
        return other if several[other] and not several[self.axes] else self.axes

    def point_places(self, roi: Roi) -> Ints:
        """Return the 1-based numbers of each point of a multi-point ROI along the axes of the planes; 0 = on all.

        Raises
        ------
        RoiError
            If a position exceeds the image.
        """
        if not roi.point_positions:
            return np.repeat(self.places([roi]), len(roi.paths()[0]), axis=0)
        index = np.array(roi.point_positions, np.int64)  # ImageJ counts c fastest, then z, then t
        places = np.zeros((len(index), len(self.axes)), np.int64)
        rest = (index - 1) // self.channels
        for n in reversed(range(len(self.axes))):
            last = n == 0
            places[:, n] = np.where(index > 0, (rest if last else rest % self.shape[n]) + 1, 0)
            rest = rest // self.shape[n]
        for place in places.tolist():
            self._refuse_outside(roi, place, "a point of ")
        return places

    def _refuse_outside(self, roi: Roi, place: Sequence[int], what: str = "") -> None:
        for axis, number, length in zip(self.axes, place, self.shape, strict=True):
            if number > length:
                name = _NAMES[axis]
                raise RoiError(f"{what}{roi!r} is on {name} {number}, but the image has {length} {name}s")

    def on(self, places: Ints, plane: Sequence[int]) -> Mask:
        """Return for each place whether it is on a plane.

        Parameters
        ----------
        places
            As returned by :meth:`places`.
        plane
            0-based index of the plane along the axes of the planes.
        """
        here = np.array(plane, np.int64) + 1
        on: Mask = ((places == 0) | (places == here)).all(axis=1)
        return on
