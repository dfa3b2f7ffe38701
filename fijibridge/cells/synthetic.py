"""Synthetic images of cells with exact ground truth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import xarray as xr
from scipy import ndimage
from scipy.spatial import cKDTree

from fijibridge.arrays import Floats
from fijibridge.errors import ImageError
from fijibridge.image import as_image, like


@dataclass(frozen=True)
class Epithelium:
    """Synthetic image of an epithelium, with ground truth.

    Attributes
    ----------
    image : xarray.DataArray
        (y, x) ``uint16``, photon counts plus camera offset, with bright membranes, calibrated in um.
    labels : xarray.DataArray
        (y, x) ``int32``, consecutive ids from 1; every pixel belongs to a cell.
    """

    image: xr.DataArray
    labels: xr.DataArray


def synthetic_epithelium(
    shape: tuple[int, int] = (256, 256),
    *,
    cell_size: float = 24.0,
    membrane_width: float = 2.0,
    blur: float = 1.2,
    photons: float = 60.0,
    unevenness: float = 0.6,
    weak_membranes: float = 0.25,
    pixel_size: float = 0.2,
    seed: int = 0,
) -> Epithelium:
    """Draw a fluorescence image of an epithelium.

    Parameters
    ----------
    shape
        (Y, X) pixels.
    cell_size
        Mean diameter of the cells, in pixels.
    membrane_width
        Full width of the stained membrane before the blur, in pixels.
    blur
        Standard deviation of the Gaussian point spread function, in pixels.
    photons
        Mean number of photons in a pixel on a bright membrane, which determines the Poisson noise.
    unevenness
        Fall-off of the illumination over the frame: 0 = even, 0.6 = down to 40 % in the darkest corner.
    weak_membranes
        Fraction of the membranes that are stained weakly, at 35 to 70 % of the full stain.
    pixel_size
        Pixel size in um.
    seed
        Seed of the random numbers; equal seeds give equal images.

    Returns
    -------
    Epithelium

    Notes
    -----
    Cells are the Voronoi regions of points that were spread out by three iterations of Lloyd's algorithm; a smooth
    random displacement bends the membranes. The stain inside the cells varies slowly (a texture 60 % as bright as a
    weak membrane), and some vesicles are as bright as a membrane, so that no threshold separates cells and membranes.

    Examples
    --------
    >>> tissue = synthetic_epithelium((64, 64), seed=3)
    >>> tissue.image.dims, tissue.image.dtype, bool((tissue.labels > 0).all())
    (('y', 'x'), dtype('uint16'), True)
    """
    if min(shape) < 2 * cell_size or cell_size < 6:
        raise ImageError(
            f"cell_size is {cell_size} px and shape is {shape}; expected cells of at least 6 px, and an image at least "
            "twice as large as a cell"
        )
    rng = np.random.default_rng(seed)
    labels, to_edge, edge_id = _tissue(shape, cell_size, rng)
    stain = np.exp(-((to_edge / (membrane_width / 2)) ** 4))
    strength = np.where(rng.random(1 << 16) < weak_membranes, rng.uniform(0.35, 0.7, 1 << 16), 1.0)
    light = stain * strength[edge_id] + _cell_body(shape, cell_size, rng)
    light = ndimage.gaussian_filter(light, blur) * _illumination(shape, unevenness, rng)
    counts = rng.poisson(photons * light) + rng.normal(100, 2, shape)
    image = as_image(counts.clip(0, 65535).round().astype(np.uint16), pixel_size=pixel_size, unit="um", name="tissue")
    return Epithelium(image, as_image(like(labels, image), name="labels"))


def _tissue(
    shape: tuple[int, int], cell_size: float, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int32], Floats, npt.NDArray[np.int64]]:
    """Return cell ids, the distance of each pixel from the nearest cell edge, and a number for that edge.

    If d1 and d2 are the distances to the two nearest points, whose distance from each other is a, then
    (d2**2 - d1**2) / (2 a) is the exact distance from the edge between their Voronoi regions.
    """
    points = _spread_points(shape, cell_size, rng)
    where = _bent_grid(shape, cell_size, rng)
    distance, nearest = cKDTree(points).query(where, k=2)
    first, second = nearest[:, 0], nearest[:, 1]
    apart = np.linalg.norm(points[first] - points[second], axis=1)
    to_edge = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / (2 * apart)
    low, high = np.minimum(first, second), np.maximum(first, second)
    edge_id = (low * 7919 + high * 104729) % (1 << 16)
    ids = np.unique(_largest_piece(first.reshape(shape)), return_inverse=True)[1].reshape(shape) + 1
    return ids.astype(np.int32), to_edge.reshape(shape), edge_id.reshape(shape)


def _spread_points(shape: tuple[int, int], cell_size: float, rng: np.random.Generator) -> Floats:
    """Return random points after three iterations of Lloyd's algorithm; centroids are estimated from samples."""
    margin = 2 * cell_size
    low, high = np.full(2, -margin), np.array(shape) + margin
    n = round(float(np.prod(high - low)) / (np.pi / 4 * cell_size**2))
    points = rng.uniform(low, high, (n, 2))
    samples = rng.uniform(low, high, (40 * n, 2))
    for _ in range(3):
        owner = cKDTree(points).query(samples)[1]
        count = np.bincount(owner, minlength=n)
        mean = np.stack([np.bincount(owner, samples[:, k], n) for k in (0, 1)], 1) / np.maximum(count, 1)[:, None]
        points = np.where(count[:, None] > 0, mean, points)
    return points


def _bent_grid(shape: tuple[int, int], cell_size: float, rng: np.random.Generator) -> Floats:
    """Return the coordinates of all pixels after a smooth random displacement."""
    grid: Floats = np.moveaxis(np.indices(shape, dtype=float), 0, -1).copy()
    for axis in (0, 1):
        grid[..., axis] += 0.12 * cell_size * _smooth_noise(shape, cell_size / 2.5, rng)
    return grid.reshape(-1, 2)


def _smooth_noise(shape: tuple[int, int], sigma: float, rng: np.random.Generator) -> Floats:
    noise = ndimage.gaussian_filter(rng.normal(size=shape), sigma, mode="reflect")
    return np.asarray(noise / noise.std())


def _largest_piece(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Assign pieces that the displacement cut off from a cell to neighbouring cells, so that each id is one region."""
    crumbs = np.zeros(labels.shape, bool)
    for box, value in zip(ndimage.find_objects(labels + 1), range(labels.max() + 1), strict=True):
        if box is None:
            continue
        pieces, count = ndimage.label(labels[box] == value)
        if count > 1:
            main = np.bincount(pieces.reshape(-1))[1:].argmax() + 1
            crumbs[box] |= (pieces > 0) & (pieces != main)
    nearest = ndimage.distance_transform_edt(crumbs, return_distances=False, return_indices=True)
    filled: npt.NDArray[np.int64] = labels[tuple(nearest)]
    return filled


def _cell_body(shape: tuple[int, int], cell_size: float, rng: np.random.Generator) -> Floats:
    """Return the stain inside cells: a slowly varying texture, and vesicles as bright as a membrane."""
    texture = 0.12 + 0.09 * np.clip(_smooth_noise(shape, cell_size / 4, rng), -1.2, 2)
    vesicles = np.zeros(shape)
    n = round(np.prod(shape) / cell_size**2 * 0.7)
    vesicles[rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)] = rng.uniform(5, 14, n)
    return np.asarray(texture + ndimage.gaussian_filter(vesicles, 1.0))


def _illumination(shape: tuple[int, int], unevenness: float, rng: np.random.Generator) -> Floats:
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    slope = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    slope = (slope - slope.min()) / np.ptp(slope)
    return np.asarray(1 - unevenness * slope)
