from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fijibridge.errors import RenamedWarning, RoiError
from fijibridge.rois import Roi, labels_to_rois, read_rois, rois_to_labels, rois_to_mask
from tests.examples import examples

small_labels = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4))


@given(small_labels)
@examples(300)
def test_labels_to_rois_to_labels_is_the_identity(labels):
    """Holes, several parts, corner contacts, border cells: random 9 x 9 images have them all."""
    rois = labels_to_rois(labels)
    assert [int(r.name) for r in rois] == [i for i in np.unique(labels) if i]
    assert (rois_to_labels(rois, labels.shape) == labels).all()
    again = [Roi.from_bytes(r.to_bytes()) for r in rois]
    assert again == rois
    assert (rois_to_labels(again, labels.shape) == labels).all()


@given(hnp.arrays(np.uint16, (3, 5, 6), elements=st.integers(0, 3)))
def test_labels_to_rois_in_3d_is_per_slice(labels):
    rois = labels_to_rois(labels)
    assert all(1 <= r.position <= 3 for r in rois)
    assert (rois_to_labels(rois, labels.shape) == labels).all(), "an id stays one, on however many slices"


def test_id_gaps_and_large_ids():
    labels = np.array([[0, 7, 7], [70000, 70000, 0]])
    rois = labels_to_rois(labels)
    assert [r.name for r in rois] == ["7", "70000"]
    back = rois_to_labels(rois, labels.shape)
    assert back.dtype == np.uint32
    assert (back == labels).all()


@pytest.mark.parametrize("cell", [2**31, 2**40 + 1])
def test_ids_of_any_size(cell):
    labels = np.array([[cell, 0, 5]], np.uint64)
    assert (rois_to_labels(labels_to_rois(labels), labels.shape) == labels).all()
    five = [Roi.rectangle(0, 0, 1, 1, name="05"), Roi.rectangle(1, 0, 1, 1, name="5")]
    assert rois_to_labels(five, (1, 2)).tolist() == [[5, 6]], "an id that is taken is the next free one"


def test_a_roi_with_an_odd_name_does_not_renumber_the_others():
    names = ("17", "0003-0012", "5", "", "17", "300", "-2", "1e3")
    rois = [Roi.rectangle(n, 0, 1, 1, name=name) for n, name in enumerate(names)]
    assert rois_to_labels(rois, (1, 8)).tolist() == [[17, 301, 5, 302, 303, 300, 304, 305]]


@pytest.mark.parametrize("name", ["dev_cornea01", "dev_nuclei512"])
def test_golden_roisets_of_imagej(data, name):
    """Filling ImageJ's ROIs of labels gives the labels, and ours have the same vertices in the same order."""
    labels = tifffile.imread(data / "golden" / "imagej" / f"{name}_labels.tif")
    golden = read_rois(data / "golden" / "imagej" / f"{name}_RoiSet.zip")
    assert (rois_to_labels(golden, labels.shape) == labels).all()
    ours = labels_to_rois(labels)
    assert (rois_to_labels(ours, labels.shape) == labels).all()
    assert [int(r.name) for r in ours] == [int(r.name) for r in golden]
    for mine, its in zip(ours, golden, strict=True):
        np.testing.assert_array_equal(mine.paths(), its.paths())


def test_later_rois_win_and_numbering():
    a, b = Roi.rectangle(0, 0, 3, 1, name="first"), Roi.rectangle(2, 0, 2, 1, name="second")
    assert rois_to_labels([a, b], (1, 5)).tolist() == [[1, 1, 2, 2, 0]]


def test_off_screen_parts_are_cut_off():
    roi = Roi.polygon([(-3, -3), (2, -3), (2, 2), (-3, 2)])
    assert rois_to_labels([roi], (3, 4)).sum() == 4


def test_sub_pixel_polygon_contains_the_centres():
    roi = Roi.polygon([(0.6, 0.6), (2.4, 0.6), (2.4, 2.4), (0.6, 2.4)])
    assert rois_to_mask([roi], (4, 4)).sum() == 1


def test_oval_is_symmetric_and_of_the_right_area():
    mask = rois_to_mask([Roi.oval(2, 3, 40, 30)], (40, 50))
    assert mask.sum() == pytest.approx(np.pi * 20 * 15, rel=0.01)
    assert (mask[3:33, 2:42] == mask[3:33, 2:42][::-1, ::-1]).all()


def test_lines_have_a_width():
    mask = rois_to_mask([Roi.line([(2, 5.5), (18, 5.5)], width=3)], (11, 20))
    assert mask[:, 10].sum() == 3
    outline = rois_to_mask([Roi.rectangle(2, 2, 6, 6)], (12, 12), line_width=1)
    assert (outline[4:7].sum(axis=1) == 2).all(), "on the edge between two pixels, one of them is drawn"
    assert not outline[4:7, 4:7].any()


def test_width_is_the_old_name_of_line_width():
    line = [Roi.line([(2, 5.5), (18, 5.5)])]
    expected = rois_to_mask(line, (11, 20), line_width=3)
    with pytest.warns(RenamedWarning, match="width= of rois_to_mask was renamed to line_width="):
        assert (rois_to_mask(line, (11, 20), width=3) == expected).all()
    with pytest.warns(RenamedWarning, match="argument 3 of rois_to_mask is keyword-only now: line_width="):
        assert (rois_to_mask(line, (11, 20), 3) == expected).all()


def _box(kind, options=0, ends=(0, 0, 0, 0), **more):
    """Return a ROI of 32,000 x 32,000 pixels in about 100 bytes."""
    path = struct.pack(f">{len(more['path'])}f", *more["path"]) if "path" in more else b""
    head = struct.pack(
        ">4shBxHHHHH4fHiIIHHBBHiI", b"Iout", 228, kind, 0, 0, 32000, 32000, more.get("n", 0), *ends, 0, len(path) // 4,
        0, 0, more.get("subtype", 0), options, 0, 0, more.get("arc", 0), 0, 0,
    )  # fmt: skip
    return Roi.from_bytes(head + path + more.get("vertices", b""))


FAR = 3e9
HUGE = {
    "rectangle": (lambda: _box(1), 120),
    "oval": (lambda: _box(2), 0),
    "rounded": (lambda: _box(1, arc=30000), 0),
    "sub-pixel rectangle": (lambda: _box(1, 128, (0, 0, FAR, FAR)), 120),
    "sub-pixel oval": (lambda: _box(2, 128, (-FAR, -FAR, 2 * FAR, 2 * FAR)), 120),
    "ellipse": (lambda: _box(7, 0, (-FAR, 5, FAR, 5), subtype=3), None),
    "composite": (lambda: _box(1, path=(0, 0, 0, 1, FAR, 0, 1, FAR, FAR, 1, 0, FAR, 4)), 120),
    "polygon": (lambda: _box(0, 128, n=3, vertices=bytes(12) + struct.pack(">6f", 0, 3e38, 0, 0, 0, 3e38)), 120),
    "not finite": (lambda: _box(1, path=(0, 0, 0, 1, np.nan, 0, 1, FAR, np.inf, 4)), "its path cannot be read"),
    "no path": (lambda: _box(1, path=(0, 0, 0, 9, 1, 2)), "its path cannot be read"),
    "spline": (
        lambda: _box(0, 129, n=3, vertices=bytes(12) + struct.pack(">6f", 0, FAR, 0, 0, 0, FAR)),
        "extends beyond",
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_a_huge_roi_takes_no_more_than_its_part_of_the_image(name):
    make, expected = HUGE[name]
    tracemalloc.start()
    try:
        if isinstance(expected, str):
            with pytest.raises(RoiError, match=expected):
                rois_to_mask([make()], (10, 12))
        else:
            mask = rois_to_mask([make()], (10, 12))
            assert expected is None or mask.sum() == expected
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
