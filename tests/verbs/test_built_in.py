"""The verbs of fijibridge do what the functions do that they are named after."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import xarray as xr

import fijibridge as fb
from fijibridge.cells.diagnosis.rois import matching_rois
from fijibridge.errors import Cancelled, ImageError, ModelError, OptionError, TrainingError
from fijibridge.files import write_image
from fijibridge.files.names import stem
from fijibridge.nn.model import Model
from fijibridge.nn.training import Settings
from fijibridge.verbs import (
    Call,
    Measure,
    Outlines,
    Say,
    ShowCurves,
    ShowImage,
    ShowLabels,
    ShowTable,
    perform,
    verb_named,
)
from fijibridge.verbs import training as learning_verbs
from fijibridge.verbs.prediction import loaded, working
from fijibridge.verbs.training import sides
from tests.verbs.conftest import Arrays


def call(verb, host=None, call=None, /, **given):
    return perform(verb_named(verb), given, host or Arrays(), call)


@pytest.fixture(scope="module")
def tissue():
    return fb.synthetic_epithelium((96, 112), cell_size=16, photons=400, weak_membranes=0, seed=1)


@pytest.fixture(scope="module")
def prob(tissue):
    """As a network predicts it: a channel per class; where membranes are missing, less of them."""
    membrane = fb.membrane_target(tissue.labels, width=3).astype(np.float32) * 0.8
    membrane[:, 60:63] *= 0.3
    channels = np.stack([1 - membrane, membrane])
    return fb.as_image(channels, "cyx", pixel_size=0.2, unit="um", name="evl_prob.tif").assign_coords(
        c=["other", "membrane"]
    )


@pytest.fixture(scope="module")
def cells(prob):
    return fb.label_cells(prob, "threshold")


@pytest.fixture(scope="module")
def host(tissue, prob, cells):
    image = tissue.image.rename("evl.tif")
    return lambda: Arrays(raw=image, prob=prob, truth=tissue.labels.rename("truth"), found=cells.rename("evl_cells"))


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    path = tmp_path / "a model.safetensors"
    Model(fb.UNet(depth=1, width=4), ("other", "membrane")).save(path)
    return path


def test_label_cells(host, prob):
    options = {"method": "agglomeration", "threshold": "0.4", "sigma": "0.7", "h": "1", "beta": "0.4", "min_size": "1",
               "max_size": "300", "unit": "um2", "grow_by": "2", "fill_holes": "false", "border": "remove"}  # fmt: skip
    shown, outlines = call("label_cells", host(), image="prob", **options)
    cells = fb.label_cells(prob, "agglomeration", threshold=0.4, sigma=0.7, h=1, beta=0.4, min_size=1, max_size=300,
                           unit="um2", grow=2, fill_holes=False, edge_cells="remove")  # fmt: skip
    assert cells.max() > 5
    assert isinstance(shown, ShowLabels)
    assert shown.labels.identical(cells)
    assert shown.name == "evl_cells"
    assert (outlines.over, outlines.manager) == ("image", False)
    assert (fb.rois_to_labels(outlines.rois, cells.shape) == cells.values).all()


def test_label_cells_by_number_of_the_channel_and_without_outlines(host, prob):
    (shown,) = call("label_cells", host(), image="prob", membrane="2", grow="false", outlines="false")
    assert (shown.labels.values == fb.label_cells(prob, "watershed", membrane=1, grow=False).values).all()
    for wrong, words in (
        ("0", "membrane is '0'; expected the name"),
        ("3", "membrane is '3', but there are 2 channels"),
        ("nerve", "nerve"),
    ):
        with pytest.raises((OptionError, ImageError), match=words):
            call("label_cells", host(), image="prob", membrane=wrong)


def test_series_of_stacks_have_cells_and_matches_but_no_outlines(prob):
    series = xr.concat([xr.concat([prob[1, :40, :40]] * 2, "z")] * 3, "t")
    host = Arrays(prob=series.rename("series"))
    shown, said = call("label_cells", host, image="prob", method="threshold")
    assert (shown.labels.values == fb.label_cells(series, "threshold").values).all()
    assert said.text.startswith("No outlines")
    host.images["cells"] = shown.labels
    said, cells, matches = call("match_labels", host, true="cells", predicted="cells")
    assert said.text.startswith("No outlines")
    assert matches.table["matched"].item() == len(cells.table) == len(np.unique(shown.labels)) - 1


def test_label_cells_predicts_first_with_a_model(host, tissue, model):
    told = []
    shown, _ = call("label_cells", host(), Call(say=told.append), image="raw", model=str(model), threshold=0.3)
    expected = fb.label_cells(fb.predict(model, tissue.image), "watershed", threshold=0.3)
    assert (shown.labels.values == expected.values).all()
    assert told == ["predicting evl", "labelling evl"]


def test_what_does_not_fit_is_told_before_a_network_works(host, tmp_path):
    """The model is no model: nobody looks at it."""
    (tmp_path / "none.safetensors").write_text("")
    for given, words in (
        ({"method": "threshold", "h": 1}, "h is not a parameter of the method 'threshold'"),
        ({"grow": False, "grow_by": 2}, "leave one out"),
        ({"min_size": 5, "max_size": 2}, "max_size is 2; expected at least min_size"),
    ):
        with pytest.raises((ImageError, OptionError), match=words):
            call("label_cells", host(), image="raw", model=tmp_path / "none.safetensors", **given)


def test_predict(host, tissue, model):
    done = []
    options = {"flips": "true", "border": "mirror", "tile": "32", "precision": "bf16", "device": "cpu"}
    (shown,) = call(
        "predict", host(), Call(progress=lambda *n: done.append(n)), image="raw", model=str(model), **options
    )
    expected = fb.predict(model, tissue.image, flips=True, border="mirror", tile=32, precision="bf16", device="cpu")
    assert isinstance(shown, ShowImage)
    assert (shown.name, shown.limits) == ("evl_prob", (0.0, 1.0))
    assert (shown.image.values == expected.values).all()
    assert fb.pixel_size(shown.image) == fb.pixel_size(tissue.image)
    assert done[-1][0] == done[-1][1] > 1


def test_a_prediction_is_cancelled_between_tiles(host, model):
    seen = []
    cancelled = Call(progress=lambda done, steps: seen.append(done), cancelled=lambda: len(seen) > 1)
    with pytest.raises(Cancelled, match="the prediction was cancelled after"):
        call("predict", host(), cancelled, image="raw", model=str(model), tile=16)
    assert len(seen) == 2


def test_a_model_stays_loaded_until_its_file_changes(model, tmp_path):
    first = loaded(model, "cpu")
    assert loaded(model, "cpu") is first
    assert loaded(model, "cuda:0") is not first, "each device has its own, which no other call moves"
    torch.manual_seed(5)
    time.sleep(0.01)
    Model(fb.UNet(depth=1, width=4), ("other", "membrane")).save(model)
    second = loaded(model, "cpu")
    assert second is not first
    assert not torch.equal(next(second.net.parameters()), next(first.net.parameters()))
    with pytest.raises(ModelError, match="no model"):
        loaded(tmp_path / "none", None)


def test_predict_folder(tissue, model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "ab":
        write_image(tmp_path / "in" / f"{name}.tif", tissue.image[: 64 if name == "a" else 96])
    folders = {"input": str(tmp_path / "in"), "output": str(tmp_path / "out"), "model": str(model)}
    (said,) = call("predict_folder", **folders)
    assert said == Say(f"2 predictions in {tmp_path / 'out'}")
    written = fb.files.read_image(tmp_path / "out" / "a_prob.tif")
    np.testing.assert_allclose(written.values, fb.predict(model, tissue.image[:64]).values, atol=1e-6)
    with pytest.raises(OptionError, match="existing=keep leaves them"):
        call("predict_folder", **folders)
    (tmp_path / "out" / "a_prob.tif").write_text("kept")
    (tmp_path / "out" / "b_prob.tif").unlink()
    call("predict_folder", **folders, existing="keep")
    assert (tmp_path / "out" / "a_prob.tif").read_text() == "kept"
    assert (tmp_path / "out" / "b_prob.tif").is_file()
    call("predict_folder", **folders, existing="replace")
    assert fb.files.read_image(tmp_path / "out" / "a_prob.tif").identical(written)


def test_match_labels(host, tissue, cells):
    outlines, of_cells, row = call("match_labels", host(), true="truth", predicted="found", over="raw", thresh="0.6")
    expected = fb.match_labels(tissue.labels, cells, 0.6)
    assert 0 < expected.tp < expected.n_true
    assert row.table.iloc[0].to_dict() == fb.match_table({"evl": expected}).iloc[0].to_dict()
    assert (row.name, row.add) == ("Matches", True)
    assert of_cells.table.equals(expected.cells().drop(columns="color"))
    assert (outlines.over, of_cells.select_in) == ("over", "over")
    assert (list(outlines.rois), outlines.colors) == matching_rois(expected, tissue.labels, cells)
    assert sorted(set(of_cells.table["label"].astype(str))) == sorted({roi.name for roi in outlines.rois})


def test_match_labels_in_a_region_without_an_image(host, tissue, cells):
    region = fb.as_image(np.arange(tissue.labels.size).reshape(tissue.labels.shape) < 5000)
    arrays = host()
    arrays.images["known"] = region
    outlines, _, row = call("match_labels", arrays, true="truth", predicted="found", region="known", table="Mine")
    expected = fb.match_labels(tissue.labels, cells, region=region.values)
    assert expected.n_true < len(np.unique(tissue.labels))
    assert row.table["matched"].tolist() == [expected.tp]
    assert (row.name, row.table["image"].tolist(), outlines.over) == ("Mine", ["evl"], "predicted")


def test_show_errors(host, tissue, cells, prob):
    found = fb.diagnose(tissue.labels, cells, prob, thresh=0.5, threshold=0.4, width=3)
    results = call("show_errors", host(), true="truth", predicted="found", prob="prob", threshold=0.4, over="raw")
    assert [type(result) for result in results] == [ShowImage, Outlines, ShowTable, ShowTable, Say]
    errors, outlines, of_cells, gaps, said = results
    assert (errors.image.values == np.asarray(found.errors)).all()
    assert (errors.name, errors.colors.shape) == ("evl_errors", (256, 3))
    assert of_cells.table.equals(found.cells.drop(columns="color"))
    assert len(gaps.table) == len(found.gaps) > 0
    drawn, _ = matching_rois(found.matching, tissue.labels, cells)
    assert outlines.rois[: len(drawn)] == drawn
    assert set(gaps.table["label"]) <= {roi.name for roi in outlines.rois if roi.kind == "point"}
    assert said.text == found.summary


def test_measure_cells_says_what_is_measured_where(host, cells):
    (result,) = call("measure_cells", host(), cells="found", image="prob", measurements="area, mean", channel="2")
    assert isinstance(result, Measure)
    assert (result.on, tuple(result.measurements), result.channel) == ("image", ("area", "mean"), 1)
    assert len(result.rois) == cells.max()
    (result,) = call("measure_cells", host(), cells="found", image="raw")
    from fijibridge.fiji.analyzer import MEASUREMENTS

    assert (tuple(result.measurements), result.channel) == (MEASUREMENTS, None)
    with pytest.raises(OptionError, match="channel is 2; the image has 1"):
        call("measure_cells", host(), cells="found", image="raw", channel=2)


def test_without_cells_there_is_nothing_to_measure(cells, prob):
    host = Arrays(cells=(cells * 0).rename("a.tif"), prob=prob)
    with pytest.raises(OptionError, match="cells: a has none, so there is nothing to measure"):
        call("measure_cells", host, cells="cells", image="prob")


def test_cells_are_not_measured_on_an_image_of_another_size(host):
    given = host()
    given.images["raw"] = given.images["raw"][:20]
    with pytest.raises(OptionError, match="they belong to another"):
        call("measure_cells", given, cells="found", image="raw")


@pytest.mark.parametrize("kind", ["mask", "grey values"])
def test_what_is_no_label_image_is_no_cells(host, kind):
    given = host()
    if kind == "mask":
        given.images["found"] = (given.images["found"] > 0).astype(np.uint8) * 255
    else:
        given.images["found"] = given.images["raw"]
    with pytest.raises(
        OptionError, match="it is a binary mask" if kind == "mask" else "it looks like an image of grey"
    ):
        call("match_labels", given, true="truth", predicted="found")


def test_a_folder_without_a_description_says_how_to_get_one(tmp_path):
    with pytest.raises(OptionError, match="Save Training Set makes a folder with one"):
        call("plan", folder=str(tmp_path))


def test_save_training_set(host, tissue, tmp_path):
    folder = tmp_path / "set"
    call("save_training_set", host(), image="raw", cells="truth", folder=str(folder))
    (said,) = call("save_training_set", host(), image="raw", cells="truth", folder=str(folder), name="second",
                   split="validation", provenance="algorithm")  # fmt: skip
    saved = fb.Dataset.open(folder)
    assert said.text == str(saved)
    assert (saved.names("train"), saved.names("validation")) == (["evl"], ["second"])
    assert [item.provenance for item in saved] == ["manual", "algorithm"]
    assert (saved["evl"].labels().values == tissue.labels.values).all()
    with pytest.raises(OptionError, match="existing=replace replaces it, name="):
        call("save_training_set", host(), image="raw", cells="truth", folder=str(folder))
    call("save_training_set", host(), image="prob", cells="truth", folder=str(folder), name="evl", existing="replace")
    assert fb.Dataset.open(folder)["evl"].image().sizes["c"] == 2


def test_about():
    (said,) = call("about")
    assert said.text.startswith(f"fijibridge {fb.__version__}, Python 3")
    assert f"torch {torch.__version__}" in said.text


# --- learning ---------------------------------------------------------------------------------------


@pytest.fixture
def folder(tissue, tmp_path):
    fb.save_dataset(tmp_path / "set", {"a": {"image": tissue.image, "labels": tissue.labels}}, provenance="manual")
    return str(tmp_path / "set")


SMALL = {"epochs": 2, "batches": 3, "batch": 2, "depth": 1, "channels": 4, "patch": "32", "forecast": "false",
         "device": "cpu"}  # fmt: skip


def test_the_defaults_of_train_are_those_of_the_settings():
    train, settings = verb_named("train_u_net"), Settings()
    shared = [p for p in train.parameters if p.name in Settings.model_fields and p.name != "epochs"]
    assert len(shared) == 13
    assert {p.name: p.default for p in shared} == {p.name: getattr(settings, p.name) for p in shared}


def test_train_is_the_training_of_the_function(folder, tmp_path):
    steps, told = [], []
    curves, said = call("train_u_net", None, Call(lambda *n: steps.append(n), told.append), folder=folder,
                        out=str(tmp_path / "verb"), seed="3", width="2", **SMALL)  # fmt: skip
    torch.manual_seed(3)
    net = fb.UNet(depth=1, width=4)
    run = fb.train(net, fb.Dataset.open(folder), epochs=2, batches=3, batch=2, patch=(32, 32), forecast=False, seed=3,
                   width=2, device="cpu", observers=[])  # fmt: skip
    made = Model.load(tmp_path / "verb")
    for mine, theirs in zip(made.net.parameters(), run.model.net.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    assert isinstance(curves, ShowCurves)
    assert list(curves.table) == ["train_loss"]
    assert curves.table["train_loss"].tolist() == run.history["train_loss"].tolist()
    assert said.text.startswith("all 2 epochs done")
    assert steps[-1] == (6, 6)
    assert told[-1].startswith("epoch 2: train_loss ")
    assert learning_verbs.running == []


def test_a_run_that_is_there_is_refused_replaced_or_resumed(folder, tmp_path):
    given = {"folder": folder, "out": str(tmp_path / "run"), **SMALL}
    pressed = Call()
    pressed._progress = lambda done, steps: pressed.stop.set() if done >= 4 else None
    _, said = call("train_u_net", None, pressed, **{**given, "epochs": 40})
    assert said.text.startswith("cancelled by the user after")
    with pytest.raises(OptionError, match="has a run: existing=resume goes on with it"):
        call("train_u_net", **{**given, "epochs": 40})
    begun = len(fb.read_record(tmp_path / "run").curves)
    _, said = call("train_u_net", **{**given, "epochs": 40}, existing="resume")
    assert said.text.startswith("all 40 epochs done")
    assert len(fb.read_record(tmp_path / "run").curves) == 41 > begun
    with pytest.raises(OptionError, match="has a run: existing=resume goes on with it"):
        call("train_u_net", **given)
    _, said = call("train_u_net", **given, existing="replace")
    assert said.text.startswith("all 2 epochs done")
    small = {key: value for key, value in given.items() if key not in ("depth", "channels")}
    _, said = call("train_u_net", **{**small, "out": str(tmp_path / "warm")}, start=str(tmp_path / "run"))
    assert said.text.startswith("all 2 epochs done")


def test_stop_training_ends_one_that_goes_on_in_another_thread(folder, tmp_path):
    begun, results = threading.Event(), []
    watched = Call(progress=lambda done, steps: begun.set())
    given = {"folder": folder, "out": str(tmp_path / "run"), **SMALL, "epochs": 10_000}
    thread = threading.Thread(target=lambda: results.extend(call("train_u_net", None, watched, **given)))
    with pytest.raises(TrainingError, match="no training goes on"):
        call("stop_training")
    thread.start()
    assert begun.wait(60)
    (said,) = call("stop_training")
    thread.join(60)
    assert said.text == f"{tmp_path / 'run'} ends after its current step, and is saved"
    assert results[1].text.startswith("stopped by Stop Training")
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_no_epochs_have_no_curves(folder, tmp_path):
    (said,) = call("train_u_net", folder=str(folder), out=str(tmp_path / "new"), **{**SMALL, "epochs": 0})
    assert said.text.startswith("epochs=0: the network was left as it was")
    assert (tmp_path / "new" / "model.safetensors").exists()


def test_an_error_of_a_training_is_that_of_the_call(folder, tmp_path):
    with pytest.raises(TrainingError, match="multiple of 2"):
        call("train_u_net", folder=folder, out=str(tmp_path / "run"), **{**SMALL, "patch": "31"})
    assert learning_verbs.running == []
    with working(Call(say=pytest.fail), "cpu"):
        pass  # the device is free again


def test_plan_says_what_the_function_says(folder):
    given = {"patch": "32", "stride": "16", "batch": "2", "depth": "1", "channels": "4", "probe": "false",
             "device": "cpu"}  # fmt: skip
    (said,) = call("plan", folder=folder, **given)
    data = fb.Dataset.open(folder)
    made = fb.plan(fb.UNet(depth=1, width=4), data, patch=(32, 32), stride=(16, 16), batch=2, epochs=30, probe=False,
                   device="cpu")  # fmt: skip
    assert said.text == f"{data}\n{made}"


def test_sides_of_patches():
    assert sides("patch", None, 2) is None
    assert sides("patch", "64", 2) == (64, 64)
    assert sides("patch", "64", 3) == (16, 64, 64)
    assert sides("patch", "8", 3) == (8, 8, 8)
    assert sides("patch", "16, 128,64", 3) == (16, 128, 64)
    with pytest.raises(OptionError, match=r"patch is '1\.5'; expected pixels, such as 160 or 16,128,128"):
        sides("patch", "1.5", 2)


def test_devices_of_two_names_are_one():
    told = []
    waiting = Call(say=lambda text: (told.append(text), waiting.stop.set()))

    def wait():
        with pytest.raises(Cancelled), working(waiting, "cpu:0"):
            pytest.fail("two calls at once")

    with working(Call(), "cpu"), ThreadPoolExecutor(1) as pool:
        pool.submit(wait).result(20)
    assert told == ["waiting for another call that works on cpu:0"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.tif", "a"),
        ("a.ome.tif", "a.ome"),
        ("b.ome.zarr", "b.ome"),
        ("c 1.2", "c 1.2"),
        (".tif", ".tif"),
        (None, "image"),
    ],
)
def test_names_without_the_ending_of_their_file(name, expected):
    assert stem(fb.as_image(np.zeros((2, 2)), name=name)) == expected
