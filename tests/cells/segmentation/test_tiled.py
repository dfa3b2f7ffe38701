from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.segmentation.tiled import label_cells_tiled
from fijibridge.errors import ImageError
from fijibridge.image import as_image, pixel_size, unit
from tests.examples import examples

METHODS = ["threshold", "watershed", "minima", "seeded", "agglomeration"]


def noise(shape: tuple[int, ...], seed: int, smoothing: float, levels: int | None) -> np.ndarray:
    """Smooth noise from 0 to 1; with few levels, many pixels are equal, which an order has to tell apart."""
    field = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=shape), smoothing)
    field = (field - field.min()) / np.ptp(field)
    return (field if levels is None else np.round(field * levels) / levels).astype(np.float32)


def foam(shape: tuple[int, ...], side: float, seed: int) -> np.ndarray:
    """Bubbles around jittered points of a lattice, faint membranes between them: cells of about one size."""
    rng = np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(*(np.arange(0, n + side, side) for n in shape), indexing="ij"), -1)
    points = lattice.reshape(-1, len(shape)) + rng.uniform(-side / 4, side / 4, (lattice[..., 0].size, len(shape)))
    from scipy.spatial import cKDTree

    grid = np.moveaxis(np.indices(shape, float), 0, -1)
    distance = cKDTree(points).query(grid, k=2)[0]
    prob = np.exp(-((distance[..., 1] - distance[..., 0]) ** 2) / 4) + rng.normal(0, 0.08, shape)
    return prob.clip(0, 1).astype(np.float32)


def tiled_or_refused(prob, method: str, words: str, **parameters) -> np.ndarray | None:
    try:
        return label_cells_tiled(prob, method, **parameters)
    except ImageError as error:
        if words not in str(error):
            raise
        return None


cuts = {
    "seed": st.integers(0, 10_000),
    "tile": st.tuples(st.integers(6, 40), st.integers(6, 40)),
    "levels": st.sampled_from([None, 4, 20]),
    "threshold": st.sampled_from([0.35, 0.5, 0.6]),
}


@examples(20)
@given(
    **cuts,
    min_size=st.sampled_from([0, 5, 40]),
    max_size=st.sampled_from([None, 200]),
    edge_cells=st.sampled_from(["keep", "remove"]),
    fill_holes=st.booleans(),
)
def test_connected_regions_are_those_of_the_whole_for_any_tile(tile, seed, levels, **parameters):
    """Regions wind through many tiles, enclose each other and touch the border: no halo is needed."""
    prob = noise((48, 57), seed, 1.5, levels)
    whole = label_cells(prob, "threshold", grow=False, **parameters)
    assert (label_cells_tiled(prob, "threshold", tile=tile, halo=1, grow=False, **parameters) == whole).all()


@examples(20)
@given(**cuts, grow=st.sampled_from([1.0, 2.5, 4.0]))
def test_growing_by_a_distance_needs_no_more_halo_than_it(tile, seed, levels, threshold, grow):
    prob = noise((48, 57), seed, 1.5, levels)
    whole = label_cells(prob, "threshold", grow=grow, threshold=threshold)
    tiled = tiled_or_refused(prob, "threshold", "to grow", tile=tile, halo=12, grow=grow, threshold=threshold)
    assert tiled is None or (tiled == whole).all()


@pytest.mark.parametrize("method", METHODS)
@examples(8)
@given(
    **cuts, halo=st.sampled_from([4, 12, 25, 60]), grow=st.sampled_from([True, False, 3.0]), min_size=st.integers(0, 30)
)
def test_equal_to_the_whole_or_refused(method, tile, halo, seed, levels, **parameters):
    """On noise without any cells that one would call so: what comes back is right, or nothing comes back."""
    prob = noise((50, 60), seed, 2, levels)
    whole = label_cells(prob, method, **parameters)
    tiled = tiled_or_refused(prob, method, "raise halo to", tile=tile, halo=halo, **parameters)
    assert tiled is None or (tiled == whole).all()


@pytest.mark.parametrize("method", METHODS)
@examples(4)
@given(seed=st.integers(0, 1000), tile=st.integers(20, 60))
def test_cells_that_fit_into_the_halo_are_decided(method, seed, tile):
    prob = foam((120, 130), 14, seed)
    whole = label_cells(prob, method, min_size=10)
    assert whole.max() > 50
    assert (label_cells_tiled(prob, method, tile=tile, halo=50, min_size=10) == whole).all()


@pytest.mark.parametrize("method", METHODS)
def test_volumes_with_long_voxels(method):
    prob = as_image(foam((70, 24, 24), 8, 1), pixel_size={"z": 0.3, "y": 0.2, "x": 0.2}, unit="um")
    parameters = {"beta": 0.2} if method == "agglomeration" else {}
    whole = label_cells(prob, method, **parameters)
    tiled = label_cells_tiled(prob, method, tile=(13, 15, 40), halo=(24, 24, 8), **parameters)
    assert whole.max() > 100
    xr.testing.assert_identical(tiled, whole)


def test_a_cell_that_is_larger_than_the_halo_is_told():
    prob = np.zeros((60, 60), np.float32)
    prob[::59], prob[:, ::59] = 1, 1
    with pytest.raises(ImageError, match=r"to find the cells at y \d+, x \d+ .* raise halo to 8 or more"):
        label_cells_tiled(prob, "watershed", tile=20, halo=4)
    assert label_cells_tiled(prob, "threshold", tile=20, halo=4).max() == 1


def test_space_without_cells_is_told():
    prob = np.ones((90, 90), np.float32)
    prob[2:5, 2:5] = 0
    with pytest.raises(ImageError, match=r"to grow the cells .* or grow by a number of pixels"):
        label_cells_tiled(prob, "threshold", tile=20, halo=4)
    assert (
        label_cells_tiled(prob, "threshold", tile=20, halo=4, grow=2) == label_cells(prob, "threshold", grow=2)
    ).all()


def test_zarr_in_and_out(tmp_path):
    import zarr

    prob = foam((70, 80), 14, 3)
    stored = zarr.create_array(tmp_path / "prob.zarr", shape=prob.shape, chunks=(32, 32), dtype="float32")
    stored[:] = prob
    whole = label_cells(prob, "threshold")
    written = label_cells_tiled(stored, "threshold", out=tmp_path / "new" / "cells.zarr", tile=33, halo=20)
    assert isinstance(written, zarr.Array)
    assert written.dtype == np.int32
    assert (written[:] == whole).all()
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["cells.zarr"]
    with pytest.raises(ImageError, match="already exists"):
        label_cells_tiled(stored, "threshold", out=tmp_path / "new" / "cells.zarr")


def test_calibration_and_channels(tmp_path):
    prob = foam((70, 80), 14, 3)
    both = as_image(np.stack([1 - prob, prob]), "cyx", pixel_size=0.3, unit="um").assign_coords(c=["cell", "membrane"])
    both = both.chunk({"y": 20, "x": 80})
    whole = label_cells(prob, "threshold")
    labels = label_cells_tiled(both, "threshold", out=tmp_path / "cells.zarr", tile=40, halo=20)
    assert labels.dims == ("y", "x")
    assert (pixel_size(labels), unit(labels)) == ({"y": 0.3, "x": 0.3}, "um")
    assert (labels.values == whole).all()
    assert (label_cells_tiled(both.values, "threshold", membrane=1, tile=40, halo=20) == whole).all()


def test_nothing_is_left_of_a_labelling_that_failed(tmp_path):
    prob = np.zeros((40, 40), np.float32)
    prob[20] = np.nan
    with pytest.raises(ImageError, match="NaN"):
        label_cells_tiled(prob, "threshold", out=tmp_path / "cells.zarr", tile=16, halo=4)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"tile": 0}, "tile is 0"),
        ({"halo": (3, 3, 3)}, "halo is"),
        ({"treshold": 0.4}, "did you mean 'threshold'"),
        ({"h": 2}, "not a parameter of the method 'threshold'"),
    ],
)
def test_bad_parameters(parameters, words):
    with pytest.raises(ImageError, match=words):
        label_cells_tiled(np.zeros((8, 8), np.float32), "threshold", **parameters)
    with pytest.raises(ImageError, match="expected a single frame"):
        label_cells_tiled(as_image(np.zeros((2, 8, 8), np.float32), "tyx"), "threshold")
    with pytest.raises(ImageError, match="looks like 2 classes"):
        label_cells_tiled(np.stack([np.ones((8, 8)), np.zeros((8, 8))]), "threshold")
