"""Images whose axes others name, such as those of pyimagej's ``ij.py.from_java``, wherever ours are taken."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.cells.corrections import drawn_cells
from fijibridge.files import read_image, write_image
from fijibridge.image import as_labels, in_order, origin, plain_attrs, unit, with_our_axes

NAMES = {"t": "t", "z": "pln", "y": "row", "x": "col", "c": "ch"}


def of_pyimagej(image: xr.DataArray) -> xr.DataArray:
    """Return an image as pyimagej 1.8 gives it: (t, pln, row, col, ch), with lists of places, no units."""
    dims = [d for d in "tzyxc" if d in image.dims]
    coords = {NAMES[d]: image.coords[d].values if d != "c" else np.arange(image.sizes["c"], dtype=float) for d in dims}
    java = {"metadata": {"a": object()}, "table": object(), "axes": [0, 1]}
    return xr.DataArray(
        image.transpose(*dims).values, dims=[NAMES[d] for d in dims], coords=coords, attrs=java, name=image.name
    )


@pytest.fixture(scope="module")
def tissue():
    """Not square, so that exchanged axes are seen."""
    return fb.synthetic_epithelium((70, 90), cell_size=20, seed=3)


@pytest.fixture(scope="module")
def prob(tissue):
    membrane = fb.membrane_target(tissue.labels, membrane_width=3).astype(np.float32) * 0.9
    both = xr.concat([1 - membrane, membrane], "c").assign_coords(c=["other", "membrane"])
    return fb.as_image(both)


def same(result, expected):
    """Compare pixels, axes and places; units nobody told."""
    if isinstance(expected, xr.DataArray):
        assert result.dims == expected.dims
        for axis in expected.dims:
            if axis != "c" and axis in expected.coords:
                np.testing.assert_allclose(result.coords[axis].values, expected.coords[axis].values)
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tyx", "czyx", "tczyx"])
def test_an_image_of_pyimagej_becomes_ours(axes):
    sizes = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 7}
    array = np.arange(np.prod([sizes[d] for d in axes])).reshape([sizes[d] for d in axes])
    steps = {d: {"z": 2.0, "y": 0.5, "x": 0.25, "t": 3.0}[d] for d in axes if d != "c"}
    image = fb.as_image(array, axes, pixel_size=steps, origin={"y": 10.0, "x": -4.0}, name="a")
    got = fb.as_image(of_pyimagej(image))
    assert got.dims == tuple(axes)
    same(got, image)
    assert fb.pixel_size(got) == steps
    assert origin(got) == origin(image)
    assert unit(got) == "pixel"
    assert got.name == "a"
    assert "c" not in got.coords, "numbers are no names of channels"
    assert dict(got.attrs) == {"axes": [0, 1]}, "Java's objects do not travel with the pixels"
    assert fb.pixel_size(of_pyimagej(image)) == steps


@pytest.mark.parametrize(
    "names",
    [("Time", "Z", "Y", "X", "Channel"), ("T", "Z", "Y", "X", "C"), ("frames", "slices", "rows", "cols", "ch")],
)
def test_axes_are_known_by_other_names_too(names):
    array = np.arange(2 * 3 * 4 * 5 * 2).reshape(2, 3, 4, 5, 2)
    image = fb.as_image(xr.DataArray(array, dims=names))
    assert image.dims == ("t", "c", "z", "y", "x")
    np.testing.assert_array_equal(image.values, array.transpose(0, 4, 1, 2, 3))
    with_step = fb.as_image(xr.DataArray(array, dims=names), dims="tzyxc", pixel_size=0.5)
    assert with_step.sizes == image.sizes


def test_what_is_no_axis_of_ours_is_refused_as_before():
    with pytest.raises(fb.FijiBridgeError, match="axes are"):
        fb.as_image(xr.DataArray(np.zeros((4, 5)), dims=("row", "phase")))
    with pytest.raises(fb.FijiBridgeError, match="axes are"):
        fb.as_image(xr.DataArray(np.zeros((4, 5, 2)), dims=("row", "y", "x")))
    unnamed = xr.DataArray(np.zeros((4, 5), int))
    assert in_order(unnamed) is unnamed
    assert as_labels(unnamed).shape == (4, 5)


def test_the_pixel_size_of_a_single_plane_that_older_pyimagej_tells():
    told = {"pln_axis_scale": 2.5, "pln_cal_axis_type": "linear", "row_axis_scale": None}
    plane = xr.DataArray(
        np.zeros((1, 4, 5)), dims=("pln", "row", "col"), coords={"pln": [0.0], "row": np.arange(4) * 0.5},
        attrs={"imagej": told},
    )  # fmt: skip
    image = fb.as_image(plane)
    assert fb.pixel_size(image) == {"z": 2.5, "y": 0.5, "x": 1.0}
    assert not image.attrs
    assert not plane.coords["pln"].attrs, "the image itself stays as it was"
    assert with_our_axes(image) is image


def test_plain_attributes():
    kept = {"text": "a", "n": 1, "x": np.float32(2), "list": [1.0, "b"], "array": np.arange(3), "flag": True}
    dropped = {"none": None, "dict": {}, "object": object(), "nested": [[1]], "objects": np.array([None]), "set": {1}}
    assert plain_attrs(kept | dropped) == kept


CALLS = {
    "label_cells": lambda t: fb.label_cells(t["prob"], "threshold", membrane=1),
    "label_cells_tiled": lambda t: fb.label_cells_tiled(t["prob"], "threshold", membrane=1, tile=64),
    "grow_labels": lambda t: fb.grow_labels(t["labels"]),
    "split_parts": lambda t: fb.split_parts(t["labels"]),
    "labels_from_membranes": lambda t: fb.labels_from_membranes(t["mask"]),
    "membrane_target": lambda t: fb.membrane_target(t["labels"], membrane_width=3),
    "class_target": lambda t: fb.class_target(t["labels"]),
    "distance_target": lambda t: fb.distance_target(t["labels"]),
    "affinity_target": lambda t: fb.affinity_target(t["labels"], [(0, -1)]),
    "weight_map": lambda t: fb.weight_map(t["labels"], target=t["mask"]),
    "class_weights": lambda t: fb.class_weights(t["mask"]),
    "downscale": lambda t: fb.downscale(t["image"], 2),
    "upscale": lambda t: fb.upscale(t["image"], 2),
    "labels_to_rois": lambda t: [r.to_bytes() for r in fb.labels_to_rois(t["labels"])],
    "drawn_cells": lambda t: drawn_cells(fb.labels_to_rois(t["labels"]), t["image"]),
    "match_labels": lambda t: fb.match_labels(t["labels"], t["cells"]).pairs,
    "match_labels with region": lambda t: fb.match_labels(t["plain labels"], t["cells"], region=t["mask"]).pairs,
    "compare_labels": lambda t: str(fb.compare_labels(t["labels"], t["cells"])),
    "changed_cells": lambda t: fb.changed_cells(t["labels"], t["cells"]).to_string(),
    "error_map": lambda t: fb.error_map(t["labels"], t["mask"], membrane_width=3),
    "diagnose": lambda t: fb.diagnose(t["labels"], t["cells"], prob=t["prob"], membrane=1).matching.pairs,
    "ceiling": lambda t: fb.ceiling([t["labels"]], factors=(2,), methods=("mean",)).to_string(),
    "rois": lambda t: fb.rois_to_labels(fb.labels_to_rois(t["labels"]), in_order(t["labels"]).shape),
}


@pytest.mark.parametrize("name", CALLS)
def test_whatever_takes_an_image_takes_one_of_pyimagej(tissue, prob, name):
    cells = fb.label_cells(prob, "threshold", membrane="membrane").rename("cells")
    mask = fb.membrane_target(tissue.labels, membrane_width=3)
    ours = {"image": tissue.image, "labels": tissue.labels, "prob": prob, "cells": cells, "mask": mask}
    ours |= {"plain labels": tissue.labels.values}
    theirs = {k: of_pyimagej(v) if isinstance(v, xr.DataArray) else v for k, v in ours.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, got = CALLS[name](ours), CALLS[name](theirs)
    if isinstance(expected, xr.DataArray | np.ndarray):
        same(got, expected)
    else:
        assert got == expected


def test_a_network_learns_from_and_predicts_what_pyimagej_gives(tissue, tmp_path):
    target = fb.membrane_target(tissue.labels, membrane_width=3)
    net = fb.UNet(depth=1, width=2)
    pairs = [(of_pyimagej(tissue.image), of_pyimagej(target))]
    run = fb.train(net, pairs, epochs=1, batches=1, batch=1, patch=(32, 48), seed=0)
    ours, theirs = (fb.predict(run.model, image) for image in (tissue.image, of_pyimagej(tissue.image)))
    same(theirs, ours)
    assert fb.plan(net, pairs, patch=(32, 48), probe=False).images == ((70, 90),)
    stack = fb.as_image(np.stack([tissue.image.values] * 2), "tyx", pixel_size={"y": 0.5, "x": 0.25})
    same(fb.predict(run.model, of_pyimagej(stack)), fb.predict(run.model, stack))


def test_files_and_training_sets_are_written_of_what_pyimagej_gives(tissue, tmp_path):
    write_image(tmp_path / "a.tif", of_pyimagej(tissue.image))
    same(read_image(tmp_path / "a.tif"), tissue.image)
    arrays = {"image": of_pyimagej(tissue.image), "labels": of_pyimagej(tissue.labels)}
    fb.save_dataset(tmp_path / "set", {"a": arrays}, provenance="manual")
    item = fb.Dataset.open(tmp_path / "set")["a"]
    same(item.image(), tissue.image)
    np.testing.assert_array_equal(item.labels().values, tissue.labels.values)
