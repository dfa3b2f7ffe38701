"""Convert drawn membranes to cells, which gives ground truth if only membranes were annotated."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage

from fijibridge.cells.distances import Spacing, in_pixels, spacing
from fijibridge.errors import ImageError
from fijibridge.image import Array, ImageT, like, refuse_channels_last, same_shape, values
from fijibridge.renames import keyword_only

_STANDS_OUT = 1.0  # minimum difference in radius between a cell and a gap that is cut, in pixels


@keyword_only("min_size", "region")
def labels_from_membranes(
    mask: ImageT,
    close: float = 0,
    *,
    min_size: float | None = None,
    region: Array | None = None,
    max_size: float | None = None,
    unit: str = "px",
) -> ImageT:
    """Label the cells between drawn membranes, and close gaps in the drawing.

    Parameters
    ----------
    mask
        (Y, X) or (Z, Y, X), non-zero = membrane: bool, 0 and 1, or 0 and 255.
    close
        Width of the largest gaps to close, in `unit`: the number of consecutive membrane pixels that may be missing,
        along an axis or a diagonal. Gaps between a membrane and the edge of the image or of `region` count too.
    min_size
        Regions with fewer pixels are dropped. By default, regions of at most ``close`` pixels (``close**2`` in 3D) are
        dropped, because regions that fit into a closed gap may remain between two cuts.
    region
        Mask, non-zero where membranes were drawn. There are no cells elsewhere; cells end at the edge of the region.
    max_size
        Regions with more pixels are background; by default, there is no limit.
    unit
        Unit of `close`: ``"px"`` (x pixels) or, for calibrated images, ``"um"`` (``"nm"``, ``"mm"``).

    Returns
    -------
    numpy.ndarray or xarray.DataArray
        ``int32`` label image with consecutive ids from 1; 0 = membrane, cut or background. Calibrated if `mask` is.

    Raises
    ------
    ImageError
        If `mask` contains more than two values, `close` is negative, `mask` and `region` differ in shape, or `unit` is
        physical and `mask` has no pixel size.

    Notes
    -----
    Cells are the 4-connected (6-connected in 3D) regions of non-membrane pixels; 8-connected regions would leak through
    membranes that are 1 px thin.

    A gap is a neck of such a region. Let D(p) be the distance of a pixel from the nearest membrane. In the middle of a
    gap of ``close`` pixels, D is at most ``t = (close + 1) / sqrt(2)``, which occurs in diagonal gaps. D is therefore
    capped at ``t + 1``, and each maximum that stands out by 1 px (h-maxima, Soille, Morphological Image Analysis, 2003)
    becomes one cell; a watershed on D cuts the region between them where it is narrowest. Necks wider than t are never
    cut, since both their sides belong to one capped plateau. Cells narrower than a gap survive if they are 2 px wider
    than their own gap. A region without such a maximum is one cell. A constriction of a cell that is as narrow as a gap
    is treated as a gap: choose `close` well below the width of the narrowest part of the cells.

    Examples
    --------
    >>> mask = np.zeros((9, 15)); mask[:, 7] = 255
    >>> labels_from_membranes(mask)[4]
    array([1, 1, 1, 1, 1, 1, 1, 0, 2, 2, 2, 2, 2, 2, 2], dtype=int32)
    >>> mask[4, 7] = 0
    >>> int(labels_from_membranes(mask).max()), int(labels_from_membranes(mask, close=1).max())
    (1, 2)
    """
    inside = ~_as_mask(mask)
    step = spacing(mask, "mask")
    if not isinstance(mask, xr.DataArray):
        refuse_channels_last(inside.shape)
    if region is not None:
        same_shape(mask=mask, region=region)
        inside &= values(region) != 0
    gap = in_pixels(close, unit, mask, "close")
    if not (np.isfinite(gap) and gap >= 0):
        raise ImageError(f"close is {gap:g} px; expected 0 or more")
    smallest = math.floor(gap ** (inside.ndim - 1)) + 1 if min_size is None else min_size
    labels = ndimage.label(inside, output=np.int32)[0] if gap == 0 else _cut_at_gaps(inside, gap, step)
    return like(_of_size(labels, smallest, max_size), mask, name="labels")


def _as_mask(mask: Array) -> npt.NDArray[np.bool_]:
    array = values(mask)
    if array.dtype == bool:
        return array
    high = array.max() if array.size else 0
    if not np.issubdtype(array.dtype, np.number) or not ((array == 0) | (array == high)).all():
        raise ImageError(
            f"mask has dtype {array.dtype} and more than two values; expected 0 and one value for membranes: "
            "use fijibridge.label_cells for a probability, and predict raw images first"
        )
    membrane: npt.NDArray[np.bool_] = array != 0
    return membrane


def _cut_at_gaps(inside: npt.NDArray[np.bool_], gap: float, step: Spacing) -> npt.NDArray[np.int32]:
    """Label the regions between membranes, and cut them at necks that are not wider than a gap."""
    import edt
    from skimage.segmentation import watershed

    depth: npt.NDArray[np.float32] = edt.edt(inside, anisotropy=step, black_border=True, parallel=2)
    # The tolerance of 0.1 % is larger than rounding errors, and smaller than the step to the next possible distance.
    peaks = _peaks(inside, depth, 1.001 * (gap + 1) / math.sqrt(2))
    # Only regions with several seeds are flooded; the others stay whole, and their ids are below those of the seeds.
    regions, count = ndimage.label(inside, output=np.int32)
    seeds, n_seeds = ndimage.label(peaks, output=np.int32)
    region_of_seed = np.zeros(n_seeds + 1, np.int32)
    region_of_seed[seeds[peaks]] = regions[peaks]
    several = np.bincount(region_of_seed[1:], minlength=count + 1) > 1
    several[0] = False
    seeds[seeds > 0] += count
    cut = watershed(-depth, np.where(several[regions], seeds, 0), mask=several[regions], watershed_line=True)
    cells: npt.NDArray[np.int32] = np.where(several[regions], cut, regions)
    return cells


def _peaks(inside: npt.NDArray[np.bool_], depth: npt.NDArray[np.float32], widest: float) -> npt.NDArray[np.bool_]:
    """Return the maxima of the capped depth that stand out."""
    from skimage.morphology import local_maxima, reconstruction

    capped = np.minimum(depth, np.float32(widest + _STANDS_OUT))
    # skimage's h_maxima is not used, because it is inexact for floats. Pixels are connected only along their sides:
    # diagonal steps cross membranes, and if one of the two functions allowed them, false small seeds would appear.
    sides = ndimage.generate_binary_structure(inside.ndim, 1)
    flattened = reconstruction(capped - np.float32(_STANDS_OUT), capped, footprint=sides)
    peaks: npt.NDArray[np.bool_] = local_maxima(flattened, connectivity=1) & inside
    return peaks


def _of_size(labels: npt.NDArray[Any], smallest: float, largest: float | None) -> npt.NDArray[np.int32]:
    """Return the regions whose size is within the limits, with consecutive ids."""
    size = np.bincount(labels.reshape(-1))
    keep = (size >= max(smallest, 1)) & (size <= (np.inf if largest is None else largest))
    keep[:1] = False
    numbers: npt.NDArray[np.int32] = (np.cumsum(keep) * keep).astype(np.int32)[labels]
    return numbers
