from __future__ import annotations

import re
import shlex
import shutil

import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.files import read_image, write_image
from tests.commands import cli


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    for i, name in enumerate(("a", "b", "c")):
        tissue = fb.synthetic_epithelium((96, 96 + 16 * i), cell_size=16, photons=400, weak_membranes=0, seed=i)
        write_image(tissue.image, folder / f"{name}_image.tif")
        write_image(tissue.labels, folder / f"{name}_labels.tif")
    return folder


PATTERNS = ("--image=*_image.tif", "--labels={name}_labels.tif", "--test=c")


@pytest.fixture(scope="module")
def done(folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    train = cli("train", folder, *PATTERNS, "--out", out / "run", "--depth=2", "--channels=8", "--epochs=3",
                "--batches=15", "--patch=64")  # fmt: skip
    predict = cli("predict", out / "run", folder, PATTERNS[0], "--test=c", "--split=test", "--out", out / "pred")
    label = cli("label", out / "pred", "--min-size=10")
    match = cli("match", folder, *PATTERNS, "--split=test", "--pred", out / "pred", "--csv", out / "matches.csv")
    return out, train, predict, label, match


def test_train_predict_label_match(done):
    out, train, predict, label, match = done
    assert "2 train, 1 test" in train
    assert "all 3 epochs done" in train
    assert "1 predictions" in predict
    assert "1 label images" in label
    assert sorted(p.name for p in (out / "pred").iterdir()) == ["c_cells.tif", "c_prob.tif"]
    table = pd.read_csv(out / "matches.csv")
    assert table["image"].tolist() == ["c", "total"]
    assert table["f1"].iloc[-1] > 0.7
    assert re.search(r"matched\s+GT\s+predicted\s+image", match)
    assert "truth: unknown" in match


def test_the_prediction_is_the_one_of_the_repl(done, folder):
    out = done[0]
    image = read_image(folder / "c_image.tif")
    prob = fb.predict(out / "run", image)
    written = read_image(out / "pred" / "c_prob.tif")
    np.testing.assert_allclose(written.values, prob.values, atol=1e-6)
    assert fb.pixel_size(written) == pytest.approx(fb.pixel_size(image))
    cells = fb.label_cells(prob, "watershed", min_size=10)
    assert (read_image(out / "pred" / "c_cells.tif").values == cells.values).all()


def test_tune_says_the_options_of_label(folder, done, here, tmp_path):
    out = done[0]
    text = here("tune", out / "pred", folder, *PATTERNS, "--split=test", "--threshold=0.3,0.5", "--h=1,2",
                "--min-size=10", "--csv", tmp_path / "t.csv", "--plot", tmp_path / "t.png")  # fmt: skip
    table = pd.read_csv(tmp_path / "t.csv")
    assert len(table) == 4
    assert (tmp_path / "t.png").stat().st_size > 5000
    (line,) = [line for line in text.splitlines() if line.startswith("fijibridge label")]
    options = line.split("--", 1)[1]
    here("label", out / "pred", "--out", tmp_path, *(f"--{o.strip()}" for o in options.split("--")))
    here("match", folder, *PATTERNS, "--split=test", "--pred", tmp_path, "--csv", tmp_path / "m.csv")
    assert pd.read_csv(tmp_path / "m.csv")["f1"].iloc[-1] == pytest.approx(table["f1"].max())
    here("match", folder, *PATTERNS, "--split=test", "--pred", tmp_path, "--min-size=9999", "--csv", tmp_path / "n.csv")
    assert pd.read_csv(tmp_path / "n.csv")["GT"].iloc[-1] == 0, "there is no cell so large"
    bad = here("tune", out / "pred", folder, *PATTERNS, "--split=test", "--threshold=0.3;0.5", status=2)
    assert "expected numbers separated by commas" in " ".join(bad.replace("│", " ").split())


def test_the_command_that_tune_prints_is_exactly_the_tuned_one(folder, done, here, tmp_path):
    pred = tmp_path / "the cells' [red]"
    shutil.copytree(done[0] / "pred", pred)
    text = here("tune", pred, folder, *PATTERNS, "--split=test", "--threshold=0.123456789", "--min-size=1234567")
    (line,) = [line for line in text.splitlines() if line.startswith("fijibridge label")]
    words = shlex.split(line)
    assert words[:3] == ["fijibridge", "label", str(pred)]
    assert [float(w.split("=")[1]) for w in words[4:]] == [0.123456789, 1234567]


def test_label_images_that_are_there_are_kept(done, here, tmp_path):
    here("label", done[0] / "pred", "--out", tmp_path)
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    told = here("label", done[0] / "pred", "--out", tmp_path, "--threshold=0.9", status=2)
    assert "c_cells.tif: add --overwrite to replace them" in " ".join(told.split())
    assert file.read_bytes() == before
    here("label", done[0] / "pred", "--out", tmp_path, "--threshold=0.9", "--overwrite")
    assert file.read_bytes() != before


def test_label_takes_all_of_label_cells(done, here, tmp_path):
    prob = read_image(done[0] / "pred" / "c_prob.tif")
    options = ("--method=agglomeration", "--beta=0.4", "--sigma=0.7", "--h=1", "--grow-by=2", "--edge-cells=remove",
               "--unit=um2", "--min-size=0.5", "--max-size=40")  # fmt: skip
    here("label", done[0] / "pred", "--out", tmp_path, *options)
    cells = fb.label_cells(prob, "agglomeration", beta=0.4, sigma=0.7, h=1, grow=2, edge_cells="remove", unit="um2",
                           min_size=0.5, max_size=40)  # fmt: skip
    assert (read_image(tmp_path / "c_cells.tif").values == cells.values).all()


def test_predict_takes_all_of_predict(folder, done, here, tmp_path):
    """Files instead of a folder, and every option."""
    files = [folder / "a_image.tif", folder / "b_image.tif"]
    options = ("--tile=32", "--flips", "--padding=valid", "--precision=bf16", "--device=cpu")
    here("predict", done[0] / "run", *files, "-o", tmp_path, *options)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a_image_prob.tif", "b_image_prob.tif"]
    prob = fb.predict(done[0] / "run", read_image(files[1]), tile=32, flips=True, padding="valid", precision="bf16",
                      device="cpu")  # fmt: skip
    assert (read_image(tmp_path / "b_image_prob.tif").values == prob.values).all()
    here("predict", done[0] / "run", *files, "-o", tmp_path, "--resume")
    assert read_image(tmp_path / "b_image_prob.tif").shape == prob.shape, "what was there is left"
    here("predict", done[0] / "run", *files, "-o", tmp_path, "--overwrite", "--zarr")
    here("predict", done[0] / "run", *files, "-o", tmp_path, "--overwrite")
    assert read_image(tmp_path / "b_image_prob.tif").shape == (2, 96, 112)
    assert read_image(tmp_path / "b_image_prob.ome.zarr").shape == (2, 96, 112)


def test_a_description_instead_of_patterns(folder, tmp_path):
    (folder / "dataset.toml").write_text('image = "*_image.tif"\nlabels = "{name}_labels.tif"\n')
    assert "3 train" in cli("train", folder, "--out", tmp_path, "--depth=1", "--channels=2", "--epochs=0")
    (folder / "dataset.toml").unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "{folder}", "--out", "x"), "no description"),
        (("train", "{folder}", "--out", "x", "--labels=a"), "need --image"),
        (("train", "{folder}", "--out", "x", *PATTERNS, "--patch=30"), "multiple of 8"),
        (("train", "/nowhere", "--out", "x", *PATTERNS), "does not exist"),
        (("predict", "/nowhere", "{folder}", "--out", "x", PATTERNS[0]), "no model"),
        (("label", "{out}/pred", "--no-grow", "--grow-by=2"), "leave one out"),
        (("match", "{folder}", *PATTERNS, "--pred", "/nowhere"), "does not exist"),
        (("match", "{folder}", *PATTERNS, "--pred", "x", "--split=tset"), "not one of 'train', 'validation', 'test'"),
        (("match", "{folder}", *PATTERNS[:2], "--region={name}.png", "--pred", "x"), "missing in"),
        (("match", "{folder}", *PATTERNS, "--split=test", "--pred", "{out}/cut"), "(pred): true has shape (96, 128)"),
        (("train", "{folder}", "--out", "x", PATTERNS[0], "--labels=a_labels.tif"), "expected {name} in place"),
        (("train", "{folder}", "--out", "{out}/run", *PATTERNS), "contains a finished run"),
        (("train", "{folder}", "--out", "x", *PATTERNS, "--device=gpu"), "unknown device 'gpu'"),
        (("train", "{folder}", "--out", "x", *PATTERNS, "--lr=0"), "lr is 0"),
        (("train", "{folder}", "--out", "x", *PATTERNS, "--patch=40000"), "needs at least"),
        (("train", "{folder}", "--out", "x", *PATTERNS, "--patch=8192", "--depth=13"), "needs at least"),
        (("predict", "{out}/run", "{folder}/a_image.tif", "--out", "x", "--split=test"), "a_image.tif is a file"),
        (("predict", "{out}/run", "{folder}/no.tif", "--out", "x"), "no.tif does not exist"),
        (("predict", "{out}/run", "{folder}", PATTERNS[0], "--out", "{out}/pred"), "results already exist"),
        (("predict", "{out}/run", "{folder}", PATTERNS[0], "--out", "{folder}/a_image.tif"), "a_image.tif is a file"),
        (("label", "{out}/pred", "--out={out}/other", "--threshold=5"), "threshold is 5"),
    ],
)
def test_errors_are_a_line_and_a_status(folder, done, here, arguments, words):
    write_image(read_image(folder / "c_labels.tif")[:-4], done[0] / "cut" / "c_cells.tif")
    places = {"{folder}": str(folder), "{out}": str(done[0])}
    placed = [re.sub(r"\{(folder|out)\}", lambda place: places[place[0]], a) for a in arguments]
    text = here(*placed, status=2)
    assert words in " ".join(text.replace("│", " ").split())
    assert "Traceback" not in text


def test_a_finished_run_may_be_overwritten(folder, here, tmp_path):
    for status, more in ((0, ()), (2, ()), (0, ("--overwrite",))):
        small = ("--depth=1", "--channels=2", "--epochs=0", *more)
        here("train", folder, *PATTERNS, "--out", tmp_path, *small, status=status)


def test_a_prediction_needs_no_labels_and_a_warning_is_a_line(done, tmp_path):
    """New images with other pixels, beside the description of the ones with labels."""
    tissue = fb.synthetic_epithelium((64, 64), cell_size=16)
    for name in "xy":
        write_image(fb.as_image(tissue.image, pixel_size=0.5), tmp_path / f"{name}_image.tif")
    (tmp_path / "dataset.toml").write_text('image = "*_image.tif"\nlabels = "{name}_labels.tif"\n')
    text = cli("predict", done[0] / "run", tmp_path, "--out", tmp_path / "pred")
    assert "2 predictions" in text
    (told,) = [line for line in text.splitlines() if "rescale" in line]
    assert told.startswith(
        "fijibridge: warning: pixels are 0.5 um in y and 0.5 um in x, but the network was trained on"
    )
    assert ".py" not in text


def test_version():
    assert cli("--version").strip() == fb.__version__
