from __future__ import annotations

import zipfile

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from roifile import ROI_TYPE, ImagejRoi

from fijibridge.errors import RoiError
from fijibridge.rois import Roi, labels_to_rois, read_rois, rois_to_labels, rois_to_mask, write_rois

small_labels = hnp.arrays(np.uint16, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 4))


@given(small_labels)
@settings(max_examples=300)
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
    assert rois_to_labels(five, (1, 2)).tolist() == [[1, 2]], "names that are no ids are numbered"


def test_kinds():
    ring = np.ones((3, 3), int)
    ring[1, 1] = 0
    assert labels_to_rois(ring)[0].kind == "composite"
    assert labels_to_rois(np.eye(3, dtype=int))[0].kind == "traced", "pixels that touch at a corner are one part"
    assert labels_to_rois(np.array([[1, 0, 1]]))[0].kind == "composite"
    assert labels_to_rois(np.ones((2, 2), int))[0].kind == "traced"


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


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (lambda: Roi.polygon([(1, 2, 3)]), "expected"),
        (lambda: Roi.polygon([(0, 0), (np.nan, 1)]), "finite"),
        (lambda: Roi.rectangle(0, 0, 0, 4), "positive"),
        (lambda: Roi.rectangle(0, 0, 70000, 5), "60000"),
        (lambda: Roi.polygon([(-6000, 0), (5, 0), (5, 5)]), "-5000"),
        (lambda: Roi.from_bytes(b"nonsense"), "not an ImageJ ROI"),
        (lambda: rois_to_labels([Roi.line([(0, 0), (5, 5)])], (6, 6)), "no area"),
        (lambda: rois_to_labels([Roi.rectangle(0, 0, 1, 1, position=4)], (3, 6, 6)), "slice 4"),
        (lambda: rois_to_labels([], (3,)), "axes"),
        (
            lambda: rois_to_mask(
                [
                    Roi(
                        ImagejRoi(
                            roitype=ROI_TYPE.ANGLE, n_coordinates=1, integer_coordinates=np.zeros((1, 2), int)
                        ).tobytes()
                    )
                ],
                (6, 6),
            ),
            "neither an area nor a line",
        ),
        (lambda: read_rois("nowhere.zip"), "no file"),
    ],
)
def test_bad_input(action, words):
    with pytest.raises(RoiError, match=words):
        action()


def test_files(tmp_path):
    rois = [
        Roi.rectangle(0, 0, 2, 2, name="a/b"),
        Roi.oval(1, 1, 4, 4, name="x"),
        Roi.polygon([(0, 0), (3, 0), (3, 3)]),
    ]
    write_rois([*rois, rois[1]], tmp_path / "set.zip")
    assert read_rois(tmp_path / "set.zip") == [*rois, rois[1]]
    with zipfile.ZipFile(tmp_path / "set.zip") as archive:
        assert archive.namelist() == ["a_b.roi", "x.roi", "0003.roi", "x-1.roi"]
    write_rois(rois[:1], tmp_path / "one.roi")
    assert read_rois(tmp_path / "one.roi") == rois[:1]
    with pytest.raises(RoiError, match="one ROI"):
        write_rois(rois, tmp_path / "two.roi")
    with pytest.raises(RoiError, match=r"\.zip"):
        write_rois(rois, tmp_path / "rois.txt")
    (tmp_path / "broken.zip").write_bytes(b"PK not a zip")
    with pytest.raises(RoiError, match="no ImageJ ROIs"):
        read_rois(tmp_path / "broken.zip")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.zip", "one.roi", "set.zip"]
