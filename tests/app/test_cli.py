from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.files import read_image, write_image


def cli(*arguments: object, status: int = 0) -> str:
    command = [sys.executable, "-m", "fijibridge", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tissue")
    for i, name in enumerate(("a", "b", "c")):
        tissue = fb.synthetic_epithelium((96, 96 + 16 * i), cell_size=16, photons=400, weak_membranes=0, seed=i)
        write_image(folder / f"{name}_image.tif", tissue.image)
        write_image(folder / f"{name}_labels.tif", tissue.labels)
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


def test_a_description_instead_of_patterns(folder, tmp_path):
    (folder / "dataset.toml").write_text('image = "*_image.tif"\nlabels = "{name}_labels.tif"\n')
    assert "3 train" in cli("train", folder, "--out", tmp_path, "--depth=1", "--channels=2", "--epochs=0")
    (folder / "dataset.toml").unlink()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "{folder}", "--out", "x"), "no description"),
        (("train", "{folder}", "--out", "x", "--labels=a"), "go with --image"),
        (("train", "{folder}", "--out", "x", *PATTERNS, "--patch=30"), "multiple of 8"),
        (("train", "/nowhere", "--out", "x", *PATTERNS), "no folder"),
        (("predict", "/nowhere", "{folder}", "--out", "x", PATTERNS[0]), "no model"),
        (("match", "{folder}", *PATTERNS, "--pred", "/nowhere"), "no file"),
    ],
)
def test_errors_are_a_line_and_a_status(folder, arguments, words):
    text = cli(*(str(a).replace("{folder}", str(folder)) for a in arguments), status=2)
    assert words in " ".join(text.split()).replace("│ ", "")
    assert "Traceback" not in text


def test_version():
    assert cli("--version").strip() == fb.__version__
