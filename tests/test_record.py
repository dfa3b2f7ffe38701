from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.errors import RenamedWarning, TrainingError
from fijibridge.files import write_image
from fijibridge.record import picture_of, read_record

ENDING = {
    "why": "all 2 epochs done",
    "looks_like": "converged",
    "evidence": ["val_loss is flat"],
    "advice": ["nothing"],
}
HISTORY = [
    {"epoch": 0, "train_loss": 1.0, "val_loss": None, "lr": 0.0, "seconds": 0.5},
    {"epoch": 1, "train_loss": 0.5, "val_loss": 0.25, "lr": 0.1, "seconds": 2.0},
]


@pytest.fixture
def folder(tmp_path):
    told = {
        "format": 1, "settings": {"lr": 0.1, "metric": "val_loss"}, "stopped_because": ENDING["why"], "ending": ENDING,
        "seconds": 2.5, "forecast": {"epoch_s": 1.0, "device_bytes": None, "total_s": 4.0},
        "measured": {"epoch_s": 1.5, "device_bytes": None}, "environment": {"torch": "2"},
        "matches": [{"matched": 3, "GT": 4, "predicted": 3, "image": "total"}], "history": HISTORY,
    }  # fmt: skip
    (tmp_path / "run.json").write_text(json.dumps(told))
    return tmp_path


def test_a_record_says_what_is_in_the_folder(folder):
    record = fb.read_record(folder)
    assert record.name == folder.name
    assert record.stopped_because == "all 2 epochs done"
    assert record.summary() == ("all 2 epochs done. It looks like: converged (val_loss is flat). To try: nothing.")
    assert record.history["train_loss"].tolist() == [1.0, 0.5]
    assert np.isnan(record.history["val_loss"][0])
    assert record.curves.columns.tolist() == ["train_loss", "val_loss"]
    assert record.matches["matched"].tolist() == [3]
    took = record.took()
    assert took.index.tolist() == ["epoch_s", "total_s"]
    assert took.loc["epoch_s"].tolist() == [1.0, 1.5, 1.5]
    assert np.isnan(took.loc["total_s", "measured"])
    assert record.picture is None
    assert read_record(record) is record


def test_epochs_of_a_run_that_goes_on_are_read_from_the_table(folder):
    told = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(told | {"history": [], "ending": None, "stopped_because": None}))
    pd.DataFrame(HISTORY).to_csv(folder / "history.csv", index=False)
    record = read_record(folder)
    assert record.history["epoch"].tolist() == [0, 1]
    assert record.seconds == 2.0
    assert record.stopped_because is None
    assert "after 1 epoch(s): the training is running, or was interrupted" in record.summary()


def test_a_picture_joins_image_and_membranes(folder):
    image = fb.as_image(np.arange(12, dtype=np.uint8).reshape(3, 4), pixel_size=0.5, unit="um")
    prob = np.stack([np.ones((3, 4)), np.full((3, 4), 0.25)])
    picture = picture_of(image, fb.as_image(prob, dims="cyx", pixel_size=0.5, unit="um"))
    assert picture.coords["c"].values.tolist() == ["image", "membrane"]
    write_image(picture, folder / "validation.tif")
    read = read_record(folder).picture
    np.testing.assert_array_equal(read.sel(c="image").values, image.values)
    assert (read.sel(c="membrane").values == 0.25).all()
    assert fb.pixel_size(read) == {"y": 0.5, "x": 0.5}
    names = {"c": ["membrane", "cell"]}
    named = picture_of(image, fb.as_image(prob, dims="cyx", pixel_size=0.5, unit="um").assign_coords(names))
    assert (named.sel(c="membrane").values == 1).all()
    two = picture_of(fb.as_image(np.zeros((2, 3, 4)), dims="cyx"), fb.as_image(prob, dims="cyx"))
    assert two.coords["c"].values.tolist() == ["image 1", "image 2", "membrane"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 9}, "format 9, but this version reads format 1"),
        ({"settings": None}, "not the record of a run"),
        ({"history": [{"epoch": "x"}]}, "not a table of numbers"),
        ({"ending": {"why": "so"}}, "lacks the fields looks_like, evidence, advice"),
    ],
)
def test_what_is_no_record_is_refused(folder, change, words):
    told = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(told | change))
    with pytest.raises(TrainingError, match=words):
        read_record(folder)


def test_what_is_no_folder_of_a_run_is_refused(tmp_path):
    with pytest.raises(TrainingError, match=r"is not the folder of a run: it has no run\.json"):
        read_record(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(TrainingError, match="cannot be read"):
        read_record(tmp_path)
    with pytest.raises(TrainingError, match="run is a int; expected the folder"):
        read_record(3)


def test_reading_needs_no_torch(python, folder):
    python(f"""
        import sys
        import fijibridge as fb
        assert fb.read_record({str(folder)!r}).stopped_because == "all 2 epochs done"
        assert not {{"torch", "jpype", "lightning"}} & set(sys.modules)
    """)


def test_the_old_name_of_the_summary(folder):
    with pytest.warns(RenamedWarning, match=r"Record\.told was renamed to Record\.summary"):
        assert read_record(folder).told() == read_record(folder).summary()


def test_old_names_of_settings_are_read_as_new_ones(folder):
    record = json.loads((folder / "run.json").read_text())
    record["settings"] |= {"width": 4, "border": None}
    (folder / "run.json").write_text(json.dumps(record))
    settings = read_record(folder).settings
    assert (settings["membrane_width"], settings["border_weight"]) == (4, None)
    assert not {"width", "border"} & set(settings)
