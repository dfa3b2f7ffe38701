from __future__ import annotations

import numpy as np
import tifffile
from skimage.segmentation import find_boundaries

import fijibridge as fb
from fijibridge.files import write_image
from tests.dataset.checks.conftest import labels_of, looked_at, the


def test_a_mask_in_place_of_labels(folder):
    mask = np.zeros((64, 80), np.uint8)
    mask[:, :30] = 255
    tifffile.imwrite(folder / "b_labels.tif", mask)
    assert the(looked_at(folder), "it contains only one number, 255").severity == "note"
    mask[:, 40:] = 255
    tifffile.imwrite(folder / "b_labels.tif", mask)
    finding = the(looked_at(folder), "it is a binary mask")
    assert (finding.severity, finding.file) == ("problem", "b_labels.tif")


def test_ids_with_gaps_and_in_several_parts(folder):
    labels = np.zeros((64, 80), np.uint16)
    labels[4:20, 4:20] = 3
    labels[30:34, 4:8] = labels[34:38, 8:12] = 5  # touch at a corner
    labels[50:60, 4:8] = labels[50:60, 20:24] = 9  # do not touch
    tifffile.imwrite(folder / "a_labels.tif", labels)
    findings = looked_at(folder)
    gaps, parts = the(findings, "are not used"), the(findings, "several parts")
    assert (gaps.severity, gaps.what) == ("note", "6 of the ids up to 9 are not used")
    assert parts.severity == "note"
    assert parts.what == (
        "2 id(s) have several parts if pixels are connected by sides (4 neighbours), 1 of them with parts that touch "
        "at corners: 5, 9"
    )


def test_a_cell_without_a_label(folder):
    labels = labels_of(folder)
    inner = [i for i in np.unique(labels)[1:] if not {0, 63} & set(np.where(labels == i)[0]) and
             not {0, 79} & set(np.where(labels == i)[1])]  # fmt: skip
    largest = max(inner, key=lambda i: (labels == i).sum())
    tifffile.imwrite(folder / "a_labels.tif", np.where(labels == largest, 0, labels))
    assert "1 gap(s) between cells" in the(looked_at(folder), "large enough for an unlabelled cell").what


def test_polarity(folder):
    bright = [f for f in looked_at(folder, membranes="bright") if "membranes look" in f.what]
    dark = [f for f in looked_at(folder, membranes="dark") if "membranes look" in f.what]
    assert sorted((len(bright), len(dark))) == [0, 3]


def test_classes_in_place_of_labels(folder):
    inside = ~find_boundaries(labels_of(folder))
    tifffile.imwrite(folder / "a_labels.tif", inside.astype(np.uint16) + 1)
    finding = the(looked_at(folder), "it contains 2 id(s), one of them in")
    assert (finding.severity, finding.item) == ("problem", "a")


def test_a_film_is_looked_at_frame_by_frame(tmp_path):
    for ndim in (3, 4):
        labels = np.zeros((3, *((4,) if ndim == 4 else ()), 64, 80), np.uint16)
        labels[0, ..., 4:20, 4:20] = labels[2, ..., 30:40, 30:40] = 1  # a cell that moves has one part in each frame
        labels[1:, ..., 4:20, 4:20] = labels[1:, ..., 4:20, 40:50] = 2
        dims = "tzyx" if ndim == 4 else "tyx"
        write_image(fb.as_image(labels, dims), tmp_path / "a_labels.tif")
        write_image(fb.as_image(labels.astype(np.float32) + np.arange(80), dims), tmp_path / "a_image.tif")
        finding = the(looked_at(tmp_path, split={}, membranes="dark"), "several parts")
        assert finding.what.startswith("in frame 1: 1 id(s) have several parts")
        assert finding.what.endswith(": 2, and similarly in 1 more")
