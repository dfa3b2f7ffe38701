from __future__ import annotations

import zipfile

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi

from fijibridge.errors import RenamedWarning, RoiError
from fijibridge.fiji import rois as fiji_rois
from fijibridge.rois import Roi, labels_to_rois, read_rois, rois_to_labels, rois_to_mask, write_rois


def test_kinds():
    ring = np.ones((3, 3), int)
    ring[1, 1] = 0
    assert labels_to_rois(ring)[0].kind == "composite"
    assert labels_to_rois(np.eye(3, dtype=int))[0].kind == "traced", "pixels that touch at a corner are one part"
    assert labels_to_rois(np.array([[1, 0, 1]]))[0].kind == "composite"
    assert labels_to_rois(np.ones((2, 2), int))[0].kind == "traced"


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
        (lambda: read_rois("nowhere.zip"), "is not a file"),
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
    assert read_rois(tmp_path / "set.zip") == [*rois[:2], rois[2].renamed("0003"), rois[1]]
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


def test_write_rois_takes_the_path_first_with_a_warning(tmp_path):
    rois = [Roi.rectangle(0, 0, 2, 2, name="a")]
    with pytest.warns(RenamedWarning, match=r"write_rois\(path, object\) was renamed to write_rois\(object, path\)"):
        write_rois(tmp_path / "old.zip", rois)
    assert read_rois(tmp_path / "old.zip") == rois


@pytest.mark.parametrize("name", ["\U0001f9eb", "a\U0001f9eb7", "\u6771", "\u00e4\u0308"])
def test_names_beyond_the_basic_plane_survive(tmp_path, clean, name):
    roi = Roi.rectangle(1, 2, 3, 4, name=name)
    for made in (roi, Roi.rectangle(1, 2, 3, 4).renamed(name), Roi.polygon([(0, 0), (4, 0), (4, 4)], name=name)):
        assert made.name == name
        assert made.styled(stroke="red", properties={"k": name}).at(3).name == name
        java = fiji_rois.to_java([made])[0]
        assert str(java.getName()) == name
        assert fiji_rois.from_java([java])[0].name == name
    write_rois([roi, roi], tmp_path / "a.zip")
    assert [one.name for one in read_rois(tmp_path / "a.zip")] == [name, name]
