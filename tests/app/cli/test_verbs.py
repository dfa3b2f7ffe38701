from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fijibridge as fb
from fijibridge.app.cli import app
from fijibridge.errors import DatasetError, FijiBridgeError, OptionError
from fijibridge.files import read_image, write_image
from fijibridge.rois import read_rois
from tests.conftest import ROOT


def run(*arguments):
    done = CliRunner().invoke(app, ["run", *map(str, arguments)])
    if done.exception is not None and isinstance(done.exception, FijiBridgeError):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    tissue = fb.synthetic_epithelium((96, 112), cell_size=16, photons=400, weak_membranes=0)
    write_image(tissue.image, folder / "a.tif")
    write_image(tissue.labels, folder / "a_labels.tif")
    prob = fb.membrane_target(tissue.labels, membrane_width=3).astype(np.float32)
    write_image(prob, folder / "a_prob.tif")
    return folder


PACKAGE = {
    "spots.py": """
        import pandas as pd
        from fijibridge.verbs import Cells, Image, ShowTable, verb

        @verb("Bright Pixels...")
        def bright(image: Image, limit: float = 3) -> list:
            '''Mark the pixels of at least a grey value.'''
            table = pd.DataFrame({"bright": [int((image >= limit).sum())]})
            return [image >= limit, ShowTable(table, "a/b"), ShowTable(table, "a/b", add=True), "counted"]
    """,
    "spots-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: spots\nVersion: 1.0\n",
    "spots-1.0.dist-info/entry_points.txt": "[fijibridge.verbs]\nspots = spots\n",
}


@pytest.fixture
def package(tmp_path):
    """A folder with an installed package that brings a verb."""
    for name, text in PACKAGE.items():
        path = tmp_path / "site" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return tmp_path / "site"


def test_all_verbs_are_listed():
    from fijibridge.verbs import all_verbs

    for listed in (run(), run("--list")):
        assert listed.exit_code == 0
        names = [line.split()[0] for line in listed.output.splitlines()]
        assert names == [verb.name.replace("_", "-") for verb in all_verbs()]
    assert "label-cells        Find the cells between membranes" in listed.output
    assert run("no-verb").exit_code == 2


def test_help_says_unit_range_default_and_choices(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    text = run("label-cells", "--help").output
    assert "standard deviation of the smoothing (watershed 1.5, minima 1, seeded 0.5" in text
    assert "smallest probability at which a pixel is membrane (from 0 to 1) [default: 0.5]" in text
    assert "--no-fill-holes" in text
    assert "<keep|remove>" in text or "[keep|remove]" in text


def test_cells_are_those_of_the_repl(folder, tmp_path):
    done = run("label-cells", "--image", folder / "a_prob.tif", "--threshold=0.4", "--method=seeded", "--h=1",
               "--min-size=20", "--grow-by=1", "--edge-cells=remove", "--out", tmp_path / "new")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert {p.name for p in (tmp_path / "new").iterdir()} == {"a_cells.tif", "a_prob_rois.zip"}
    cells = fb.label_cells(read_image(folder / "a_prob.tif"), "seeded", threshold=0.4, h=1, min_size=20, grow=1,
                           edge_cells="remove")  # fmt: skip
    assert cells.max() > 5
    written = read_image(tmp_path / "new" / "a_cells.tif")
    assert (written.values == cells.values).all()
    assert fb.pixel_size(written) == pytest.approx(fb.pixel_size(cells))
    rois = read_rois(tmp_path / "new" / "a_prob_rois.zip")
    assert (fb.rois_to_labels(rois, cells.shape) == cells.values).all()


def test_matches_are_tables_and_coloured_rois(folder, tmp_path):
    """The predicted cells are the true ones without one of them, as ROIs."""
    truth = read_image(folder / "a_labels.tif")
    fb.write_rois(fb.labels_to_rois(truth.where(truth != 3, 0)), tmp_path / "drawn.zip")
    arguments = ("--true", folder / "a_labels.tif", "--predicted", tmp_path / "drawn.zip", "--over", folder / "a.tif")
    done = run("match-labels", *arguments, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    table = pd.read_csv(tmp_path / "out" / "Matches.csv")
    cells = int((np.unique(truth) > 0).sum())
    assert table[["matched", "GT", "predicted", "image"]].to_numpy().tolist() == [[cells - 1, cells, cells - 1, "a"]]
    assert len(pd.read_csv(tmp_path / "out" / "Matches cells.csv")) == cells
    colors = {roi.stroke_color for roi in read_rois(tmp_path / "out" / "a_rois.zip")}
    assert len(colors) == 2, "matched and missed"
    other = ("--true", tmp_path / "drawn.zip", "--predicted", folder / "a_labels.tif")
    assert run("match-labels", *other, "--out", tmp_path / "other").exit_code == 0
    table = pd.read_csv(tmp_path / "other" / "Matches.csv")
    assert table[["matched", "GT", "predicted"]].to_numpy().tolist() == [[cells - 1, cells - 1, cells]]


def test_errors_are_a_map_in_colours(folder, tmp_path):
    arguments = ("--true", folder / "a_labels.tif", "--predicted", folder / "a_labels.tif", "--prob",
                 folder / "a_prob.tif", "--membrane-threshold=1")  # fmt: skip
    assert run("show-errors", *arguments, "--out", tmp_path).exit_code == 0
    errors, shown = read_image(tmp_path / "a_labels_errors.tif"), read_image(tmp_path / "a_labels_errors.png")
    from fijibridge.cells.diagnosis.pixel_errors import error_colors

    assert (np.moveaxis(shown.values, 0, -1) == error_colors()[errors.values]).all()


@pytest.mark.jvm
def test_measuring_is_imagejs(folder, tmp_path):
    out = tmp_path / "measured"
    arguments = ["run", "measure-cells", "--cells", str(folder / "a_labels.tif"), "--image", str(folder / "a.tif"),
                 "--measurements=area mean", "--out", str(out)]  # fmt: skip
    subprocess.run([sys.executable, "-m", "fijibridge", *arguments], check=True, cwd=ROOT, timeout=120)
    table = pd.read_csv(out / "Results.csv")
    truth, image = read_image(folder / "a_labels.tif"), read_image(folder / "a.tif")
    assert table["label"].tolist() == [i for i in np.unique(truth) if i]
    inside = truth.values == table["label"][4]
    area = inside.sum() * np.prod(list(fb.pixel_size(truth).values()))
    assert table["Area"][4] == pytest.approx(area)
    assert table["Mean"][4] == pytest.approx(image.values[inside].mean())


def test_a_training_set_is_learnt_and_its_curves_are_drawn(folder, tmp_path):
    run(
        "save-training-set", "--image", folder / "a.tif", "--cells", folder / "a_labels.tif", "--folder", tmp_path / "s"
    )
    assert fb.Dataset.open(tmp_path / "s").names() == ["a"]
    small = ("--epochs=1", "--batches=2", "--depth=1", "--channels=2", "--patch=32", "--no-forecast")
    done = run("train-u-net", "--folder", tmp_path / "s", "--out", tmp_path / "run", *small)
    assert done.exit_code == 0, done.output
    assert "all 1 epochs done" in done.output
    curves = pd.read_csv(tmp_path / "run" / "Training curves.csv")
    assert list(curves) == ["epoch", "train_loss"]
    assert (tmp_path / "run" / "Training curves.png").stat().st_size > 5000
    prob = run("predict", "--image", folder / "a.tif", "--model", tmp_path / "run", "--out", tmp_path / "pred")
    assert prob.exit_code == 0, prob.output
    expected = fb.predict(tmp_path / "run", read_image(folder / "a.tif"))
    assert (read_image(tmp_path / "pred" / "a_prob.tif").values == expected.values).all()


def test_results_are_not_lost(folder, tmp_path):
    arguments = ("label-cells", "--image", folder / "a_prob.tif", "--out", tmp_path)
    (tmp_path / "a_cells.tif").write_text("mine")
    with pytest.raises(DatasetError, match="already contains files"):
        run(*arguments)
    assert (tmp_path / "a_cells.tif").read_text() == "mine"
    assert run(*arguments, "--overwrite").exit_code == 0
    assert read_image(tmp_path / "a_cells.tif").max() > 5
    with pytest.raises(DatasetError, match=r"a_cells\.tif is a file; expected a folder"):
        run(*arguments[:3], "--out", tmp_path / "a_cells.tif" / "deep")


def test_all_that_is_wrong_is_told_and_nothing_written(folder, tmp_path):
    with pytest.raises(OptionError, match=r"threshold is 7\.0; expected a number from 0 to 1; min_size is -1\.0"):
        run("label-cells", "--image", folder / "a.tif", "--threshold=7", "--min-size=-1", "--out", tmp_path / "new")
    with pytest.raises(OptionError, match=r"true: the file .*t\.tif does not exist; predicted: the file .*p\.tif"):
        run("match-labels", "--true", tmp_path / "t.tif", "--predicted", tmp_path / "p.tif", "--out", tmp_path / "new")
    fb.write_rois([fb.Roi.rectangle(0, 0, 2, 2)], tmp_path / "area.zip")
    fb.write_rois([fb.Roi.line([[0, 0], [2, 2]])], tmp_path / "line.zip")
    area, line = tmp_path / "area.zip", tmp_path / "line.zip"
    with pytest.raises(OptionError, match="no image to draw them on"):
        run("match-labels", "--true", area, "--predicted", area, "--out", tmp_path / "new")
    with pytest.raises(OptionError, match="contains no areas"):
        run("measure-cells", "--cells", line, "--image", folder / "a.tif", "--out", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_verb_of_a_package_is_there_without_more(package, folder, tmp_path):
    env = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "fijibridge", "run"]
    listed = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60).stdout
    assert listed.splitlines()[-1].split(maxsplit=1) == [
        "bright-pixels", "Mark the pixels of at least a grey value."
    ]  # fmt: skip
    write_image(np.array([[1, 2], [3, 4]], np.uint8), tmp_path / "dots.tif")
    arguments = ["bright-pixels", "--image", tmp_path / "dots.tif", "--out", tmp_path / "out"]
    done = subprocess.run([*command, *map(str, arguments)], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "counted" in done.stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_b.csv", "dots_bright_pixels.tif"]
    assert (read_image(tmp_path / "out" / "dots_bright_pixels.tif").values != 0).tolist() == [
        [False, False],
        [True, True],
    ]
    assert pd.read_csv(tmp_path / "out" / "a_b.csv")["bright"].tolist() == [2, 2], "a row was added"


def test_ctrl_c_stops_a_prediction_and_leaves_nothing(tmp_path):
    from fijibridge.nn.model import Model

    net = fb.UNet(depth=3, width=16)
    Model(net, ("other", "membrane")).save(tmp_path / "m.safetensors")
    write_image(np.zeros((3000, 3000), np.uint8), tmp_path / "large.tif")
    command = [sys.executable, "-m", "fijibridge", "run", "predict", "--image", "large.tif", "--model",
               "m.safetensors", "--tile=64", "--out", "out"]  # fmt: skip
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FORCE_COLOR": "1"}
    process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, preexec_fn=_ctrl_c_works)  # fmt: skip
    begun = ""
    while "predicting" not in begun:
        begun += process.stdout.read(1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "the prediction was cancelled after" in told
    assert "Traceback" not in told
    assert not (tmp_path / "out").exists()


def _ctrl_c_works() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
