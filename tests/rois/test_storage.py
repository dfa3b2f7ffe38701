"""Files of ROIs."""

from __future__ import annotations

import zipfile

import jpype
import pytest

from fijibridge.errors import FijiBridgeWarning, RoiError
from fijibridge.rois import Roi, read_rois, rois_to_labels


def test_a_roi_without_a_name_is_named_after_its_file_as_in_imagej(tmp_path, clean):
    plain = Roi.rectangle(1, 2, 3, 4).to_bytes()
    named = Roi.rectangle(1, 2, 3, 4, name="inside").to_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for entry, data in (("17.roi", plain), ("5.roi", plain), ("300.roi", plain), ("x.roi", named)):
            archive.writestr(entry, data)
    names = [roi.name for roi in read_rois(tmp_path / "a.zip")]
    assert names == ["17", "5", "300", "inside"]
    decoder = jpype.JClass("ij.io.RoiDecoder")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        theirs = [str(decoder(archive.read(n), n).getRoi().getName()) for n in archive.namelist()]
    assert names == theirs
    assert rois_to_labels(read_rois(tmp_path / "a.zip")[:3], (8, 8)).max() == 300
    (tmp_path / "42.roi").write_bytes(plain)
    assert [roi.name for roi in read_rois(tmp_path / "42.roi")] == ["42"]


def test_a_damaged_entry_of_a_zip_is_an_error_that_names_it(tmp_path):
    whole = Roi.polygon([(1, 1), (5, 1), (5, 4)], name="7").to_bytes()
    for damaged in (whole[:70], whole[:40], b"no ROI at all" * 9):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
            archive.writestr("1.roi", whole)
            archive.writestr("2.roi", damaged)
        with pytest.raises(RoiError, match=r"a\.zip: 2\.roi: "):
            read_rois(tmp_path / "a.zip")
        (tmp_path / "2.roi").write_bytes(damaged)
        with pytest.raises(RoiError, match=r"2\.roi: "):
            read_rois(tmp_path / "2.roi")


def test_what_macos_adds_and_empty_entries_are_skipped_with_a_warning(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1.roi", Roi.rectangle(1, 2, 3, 4).to_bytes())
        archive.writestr("__MACOSX/._1.roi", b"\0\5\x16\7 not a ROI")
        archive.writestr("2.roi", b"")
        archive.writestr("readme.txt", b"a text")
    with pytest.warns(FijiBridgeWarning, match=r"contains __MACOSX/\._1\.roi, 2\.roi: skipped"):
        rois = read_rois(tmp_path / "a.zip")
    assert [roi.name for roi in rois] == ["1"]
