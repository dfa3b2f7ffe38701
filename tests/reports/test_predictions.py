"""Differences of predictions."""

from __future__ import annotations

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import DatasetError, FijiBridgeWarning, ImageError
from fijibridge.files import write_image


def test_predictions_that_are_the_same_do_not_differ():
    prob = np.random.default_rng(0).random((2, 40, 50))
    prob /= prob.sum(axis=0)
    row = fb.compare_predictions(prob, prob.copy()).iloc[0]
    assert row["max difference"] == row["mean difference"] == row["classes differ"] == 0
    assert row["cells a"] == row["cells b"] == row["matched"]


def test_differences_are_counted_by_hand(tmp_path):
    one = np.zeros((2, 20, 20), np.float32)
    one[1, :, 10] = 1
    one[0] = 1 - one[1]
    other = one.copy()
    other[:, 2, 3] = 0.4, 0.6  # another class
    other[:, 5, 10] = 0.25, 0.75  # the same one
    for folder, prob in (("x", one), ("y", other)):
        write_image(fb.as_image(prob, "cyx").assign_coords(c=["other", "membrane"]), tmp_path / folder / "i_prob.tif")
    row = fb.compare_predictions(tmp_path / "x", tmp_path / "y").iloc[0]
    assert row["image"] == "i"
    assert row["max difference"] == pytest.approx(0.6)
    assert row["mean difference"] == pytest.approx((0.6 + 0.25) / 400)
    assert row["classes differ"] == 1 / 400
    labels = np.zeros((10, 10), np.int32)
    labels[:5], labels[5:] = 1, 2
    without = np.where(labels == 2, 0, labels)
    row = fb.compare_predictions(labels, without).iloc[0]
    assert row["classes differ"] == 0.5
    assert (row["cells a"], row["cells b"], row["matched"]) == (2, 1, 1)
    assert np.isnan(row["max difference"])


def test_predictions_on_disk_as_zarr(runs, folder, tmp_path):
    for name, run in zip("xy", runs, strict=True):
        fb.predict_files(run.path, fb.Dataset.open(folder).split("test"), tmp_path / name, zarr=True)
    table = fb.compare_predictions(tmp_path / "x", tmp_path / "y")
    assert table["image"].tolist() == ["t"]
    image = fb.Dataset.open(folder)["t"].image()
    old, new = (fb.predict(run.model, image).values for run in runs)
    assert table["max difference"][0] == pytest.approx(np.abs(old - new).max(), rel=1e-4)


def test_what_cannot_be_compared_is_refused(tmp_path):
    write_image(np.zeros((4, 5), np.float32), tmp_path / "x" / "i_prob.tif")
    write_image(np.zeros((4, 5), np.float32), tmp_path / "y" / "j_prob.tif")
    with pytest.raises(DatasetError, match="no image with the same name"):
        fb.compare_predictions(tmp_path / "x", tmp_path / "y")
    write_image(np.zeros((4, 6), np.float32), tmp_path / "y" / "i_prob.tif")
    with (
        pytest.raises(ImageError, match=r"i: a has axes .*\(4, 5\).*\(4, 6\)"),
        pytest.warns(FijiBridgeWarning, match=r"left out: j_prob\.tif"),
    ):
        fb.compare_predictions(tmp_path / "x", tmp_path / "y")
    with pytest.raises(DatasetError, match="one is a folder, the other a file"):
        fb.compare_predictions(tmp_path / "x", tmp_path / "y" / "j_prob.tif")
    with pytest.raises(ImageError, match="label image"):
        fb.compare_predictions(np.zeros((4, 5), int), np.zeros((4, 5)))
    with pytest.raises(ImageError, match="two arrays or two paths"):
        fb.compare_predictions(np.zeros((4, 5)), tmp_path / "x")
