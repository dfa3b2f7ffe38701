"""Planes of stacks on which ROIs lie."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.errors import RoiError


def cells(places):
    """One cell for each (c, z, t) or number of a plane, side by side."""
    found = [fb.Roi.rectangle(n, 1, 1, 3) for n in range(len(places))]
    at = [{"position": p} if isinstance(p, int) else dict(zip("czt", p, strict=True)) for p in places]
    return [roi.at(**place) for roi, place in zip(found, at, strict=True)]


def planes(labels):
    """The index of the planes that each id is on, along all axes but y and x."""
    return {int(i): sorted({tuple(p[:-2].tolist()) for p in np.argwhere(labels == i)}) for i in np.unique(labels)[1:]}


def image(dims, **sizes):
    return xr.DataArray(np.zeros([*(sizes[d] for d in dims[:-2]), 6, 7], np.uint8), dims=list(dims))


@pytest.mark.parametrize(("dims", "sizes", "places", "expected"), [
    ("tyx", {"t": 3}, [(0, 1, 1), (0, 1, 2), (0, 1, 3)], [[(0,)], [(1,)], [(2,)]]),
    ("tcyx", {"t": 3, "c": 2}, [(0, 1, 1), (1, 1, 2), (2, 1, 3)], [[(0,)], [(1,)], [(2,)]]),
    ("tcyx", {"t": 3, "c": 2}, [(0, 0, 3), (0, 0, 1)], [[(2,)], [(0,)]]),
    ("tyx", {"t": 3}, [3, 1], [[(2,)], [(0,)]]),
    ("zyx", {"z": 3}, [3, (0, 2, 0), (1, 1, 1)], [[(2,)], [(1,)], [(0,)]]),
    ("czyx", {"z": 3, "c": 2}, [(1, 3, 1), (2, 2, 1)], [[(2,)], [(1,)]]),
    ("tzyx", {"t": 2, "z": 3}, [(0, 3, 2), (0, 1, 1)], [[(1, 2)], [(0, 0)]]),
    ("tczyx", {"t": 2, "c": 2, "z": 3}, [(1, 3, 2), 2], [[(1, 2)], [(0, 1), (1, 1)]]),
    ("tzyx", {"t": 2, "z": 3}, [(0, 3, 0), (0, 0, 2)], [[(0, 2), (1, 2)], [(1, 0), (1, 1), (1, 2)]]),
    ("zyx", {"z": 3}, [(0, 1, 1), (0, 1, 2), (0, 1, 3)], [[(0,)], [(1,)], [(2,)]]),  # frames stored as slices
    ("tyx", {"t": 3}, [(0, 1, 1), (0, 2, 1), (0, 3, 1)], [[(0,)], [(1,)], [(2,)]]),  # slices stored as frames
    ("tyx", {"t": 3}, [(0, 2, 1), (0, 3, 2)], [[(0,)], [(1,)]]),  # of a projection
    ("yx", {}, [(0, 5, 9)], [[()]]),
])  # fmt: skip
def test_the_axes_of_an_image_say_what_a_position_is(dims, sizes, places, expected):
    shape = image(dims, **sizes)
    rois = cells(places)
    labels = fb.rois_to_labels(rois, shape)
    assert labels.shape == tuple(n for d, n in shape.sizes.items() if d != "c")
    assert list(planes(labels).values()) == expected
    mask = fb.rois_to_mask(rois, shape)
    assert (mask == (labels > 0)).all()


def test_the_shape_of_an_array_may_be_slices_or_frames():
    assert planes(fb.rois_to_labels(cells([(0, 1, 1), (0, 1, 3)]), (3, 6, 7))) == {1: [(0,)], 2: [(2,)]}
    assert planes(fb.rois_to_labels(cells([(0, 1, 1), (0, 3, 1)]), (3, 6, 7))) == {1: [(0,)], 2: [(2,)]}
    with pytest.raises(RoiError, match=r"on several slices and on several frames, .* pass the image itself"):
        fb.rois_to_labels(cells([(0, 1, 3), (0, 2, 1)]), (3, 6, 7))
    assert planes(fb.rois_to_labels(cells([(0, 1, 3), (0, 2, 1)]), (3, 2, 6, 7))) == {1: [(2, 0)], 2: [(0, 1)]}
    for shape in ((7,), (1, 2, 3, 4, 5)):
        with pytest.raises(RoiError, match=r"expected \(Y, X\), \(Z, Y, X\) or \(T, Z, Y, X\)"):
            fb.rois_to_labels([], shape)


@pytest.mark.parametrize(("dims", "sizes", "place", "why"), [
    ("tyx", {"t": 3}, (0, 1, 4), "on frame 4, but the image has 3 frames"),
    ("zyx", {"z": 3}, 4, "on slice 4, but the image has 3 slices"),
    ("tzyx", {"t": 2, "z": 3}, (0, 4, 1), "on slice 4, but the image has 3 slices"),
])  # fmt: skip
def test_a_position_outside_of_the_image_is_an_error(dims, sizes, place, why):
    for draw in (fb.rois_to_labels, fb.rois_to_mask):
        with pytest.raises(RoiError, match=why):
            draw(cells([place]), image(dims, **sizes))


def test_the_same_id_on_several_frames_is_one_cell():
    rois = [roi.renamed("7") for roi in cells([(0, 1, 1), (0, 1, 2)])]
    labels = fb.rois_to_labels(rois, image("tyx", t=2))
    assert np.unique(labels).tolist() == [0, 7]
    assert (labels == 7).sum(axis=(1, 2)).tolist() == [3, 3]


def test_labels_of_four_axes_come_back_as_they_were():
    labels = np.zeros((2, 3, 6, 7), np.uint16)
    labels[0, 1, 1:3, 1:3], labels[1, 1, 2:4, 2:4], labels[1, 2, 2:4, 2:4] = 5, 5, 9
    rois = fb.labels_to_rois(labels)
    assert [(r.name, r.hyperstack_position) for r in rois] == [("5", (0, 2, 1)), ("5", (0, 2, 2)), ("9", (0, 3, 2))]
    assert (fb.rois_to_labels(rois, labels.shape) == labels).all()


def test_corrected_cells_of_a_film_with_channels_stay_on_their_frames():
    from fijibridge.cells.corrections import drawn_cells

    film = image("tcyx", t=3, c=2)
    found = drawn_cells(cells([(0, 1, 1), (0, 1, 2), (0, 1, 3)]), film)
    assert found.dims == ("t", "y", "x")
    assert [np.unique(frame).tolist() for frame in found.values] == [[0, 1], [0, 2], [0, 3]]


def test_points_count_channels_first_as_imagej_does():
    """ImageJ stores the number of the plane in the stack with each point."""
    points = fb.Roi.points([(1, 1), (2, 2), (3, 3)])
    from roifile import ImagejRoi

    data = ImagejRoi.frombytes(points.to_bytes())
    data.counters, data.counter_positions = np.zeros(3, np.uint8), np.array([1, 4, 6])
    roi = fb.Roi.from_bytes(data.tobytes())
    assert roi.point_positions == [1, 4, 6]
    mask = fb.rois_to_mask([roi], image("tcyx", t=3, c=2))
    assert np.argwhere(mask).tolist() == [[0, 1, 1], [1, 2, 2], [2, 3, 3]]
    with pytest.raises(RoiError, match=r"a point of .* on frame 3, but the image has 2 frames"):
        fb.rois_to_mask([roi], image("tcyx", t=2, c=2))
