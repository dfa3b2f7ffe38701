from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.errors import ImageError
from fijibridge.image import (
    as_image,
    as_labels,
    in_order,
    origin,
    plain_attrs,
    unit,
    with_our_axes,
)


def test_axes_are_put_in_order_without_a_copy():
    array = np.arange(24).reshape(2, 4, 3)
    image = as_image(array, "yxc")
    assert image.dims == ("c", "y", "x")
    assert np.shares_memory(image.values, array)
    assert (image.values == array.transpose(2, 0, 1)).all()


@pytest.mark.parametrize(
    ("array", "dims", "words"),
    [
        (np.zeros((64, 64, 3)), None, r"fijibridge\.as_image\(array, dims='yxc'\)"),
        (np.zeros((2, 64, 64, 3)), None, "dims='zyxc'"),
        (np.zeros(5), None, "2 to 5 axes"),
        (np.zeros((4, 5)), "zyx", "names 3"),
        (np.zeros((4, 5)), "yq", "axes are"),
        (np.zeros((4, 4, 5)), "yyx", "axes are"),
    ],
)
def test_unclear_axes_are_refused(array, dims, words):
    with pytest.raises(ImageError, match=words):
        as_image(array, dims)


NAMES = {"t": "t", "z": "pln", "y": "row", "x": "col", "c": "ch"}


def of_pyimagej(image: xr.DataArray) -> xr.DataArray:
    """Return an image as pyimagej 1.8 gives it: (t, pln, row, col, ch), with lists of places, no units."""
    dims = [d for d in "tzyxc" if d in image.dims]
    coords = {NAMES[d]: image.coords[d].values if d != "c" else np.arange(image.sizes["c"], dtype=float) for d in dims}
    java = {"metadata": {"a": object()}, "table": object(), "axes": [0, 1]}
    return xr.DataArray(
        image.transpose(*dims).values, dims=[NAMES[d] for d in dims], coords=coords, attrs=java, name=image.name
    )


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
