"""A whole session by menu and dialogs, recorded by ImageJ, replayed without a display, and typed in Python."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import torch

import fijibridge as fb
from fijibridge.files.writer import write_image

PREPARE = """
import os
FOLDER = os.environ["FOLDER"]
PATH = os.path.join(FOLDER, "a model.safetensors")
TABLES = ("Matches", "Matches cells", "Results")
"""
SESSION = (
    PREPARE
    + """
jpype.JClass("ij.plugin.frame.Recorder")()
open_file(os.path.join(FOLDER, "tissue 1.tif"))
open_file(os.path.join(FOLDER, "truth.tif"))
call("Predict...", Image="tissue 1.tif", Model=PATH, Flips=True, Device="cpu")
call("Label Cells...", Image="tissue 1_prob", Method="threshold", Threshold="0.55", Min_size="4", Grow=False)
wait(lambda: "tissue 1_cells" in fiji.titles())
call("Match Labels...", Predicted="tissue 1_cells", Thresh="0.3", Over="tissue 1.tif", **{"True": "truth.tif"})
wait(lambda: "Matches" in fiji.tables())
call("Measure Cells...", Cells="tissue 1_cells", Image="tissue 1.tif", Measurements="area mean centroid")
wait(lambda: "Results" in fiji.tables())
recorder = jpype.JClass("ij.plugin.frame.Recorder").getInstance()
open(os.path.join(FOLDER, "macro.ijm"), "w").write(str(recorder.getText()))
for name in TABLES:
    fiji.table(name).to_json(os.path.join(FOLDER, f"seen {name}.json"), double_precision=15)
assert not dialogs()
"""
)
REPLAY = (
    PREPARE
    + """
import numpy as np, fijibridge as fb
fiji = fb.Fiji.start(os.environ.get("FIJIBRIDGE_TEST_FIJI", "embedded"), mode="headless")
fiji.run_macro(open(os.path.join(FOLDER, "macro.ijm")).read())
for name in TABLES:
    fiji.table(name).to_json(os.path.join(FOLDER, f"replayed {name}.json"), double_precision=15)
"""
)


def test_a_recorded_session_replayed_headless_gives_what_python_gives(window, python, tmp_path, fiji):
    torch.manual_seed(0)
    tissue = fb.synthetic_epithelium((96, 120), cell_size=20, photons=400, weak_membranes=0, seed=1)
    truth = np.asarray(tissue.labels).astype(np.uint16)
    write_image(tissue.image, tmp_path / "tissue 1.tif")
    write_image(truth, tmp_path / "truth.tif")
    pair = tissue.image, fb.membrane_target(tissue.labels, 3)
    quick = {"epochs": 2, "batches": 30, "batch": 4, "patch": (64, 64), "forecast": False, "device": "cpu"}
    model = fb.train(fb.UNet(depth=1, width=8), [pair], observers=[], **quick).model
    model.save(tmp_path / "a model.safetensors")

    window(SESSION)
    path = tmp_path / "a model.safetensors"
    recorded = (tmp_path / "macro.ijm").read_text().splitlines()
    # ImageJ2 records a name for opening a file that no macro can run
    recorded = [re.sub(r'run\("Select path", "inputfile=\[?(.*?)\]?"\);', r'open("\1");', line) for line in recorded]
    (tmp_path / "macro.ijm").write_text("\n".join(recorded))
    # which windows came to the front is ImageJ's own; no call depends on it
    assert [line for line in recorded if not line.startswith("selectImage")] == [
        f'open("{tmp_path / "tissue 1.tif"}");',
        f'open("{tmp_path / "truth.tif"}");',
        f'run("FijiBridge Predict...", "image=[tissue 1.tif] model=[{path}] flips device=cpu");',
        'run("FijiBridge Label Cells...", '
        '"image=[tissue 1_prob] method=threshold threshold=0.55 min_size=4 grow=false");',
        'run("FijiBridge Match Labels...", '
        '"true=truth.tif predicted=[tissue 1_cells] thresh=0.3 over=[tissue 1.tif]");',
        'run("FijiBridge Measure Cells...", '
        '"cells=[tissue 1_cells] image=[tissue 1.tif] measurements=[area mean centroid]");',
    ]
    python(REPLAY, FOLDER=str(tmp_path))

    prob = fb.predict(model, tissue.image, flips=True, device="cpu")
    cells = fb.label_cells(prob, method="threshold", threshold=0.55, min_size=4, grow=False)
    matching = fb.match_labels(truth, cells, thresh=0.3)
    assert matching.tp > 10, "else the tables say little"
    typed = {
        "Matches": fb.match_table({"tissue 1": matching}).iloc[:1],
        "Matches cells": matching.cells().drop(columns="color"),
        "Results": fiji.measure(cells, tissue.image, ["area", "mean", "centroid"]),
    }
    for name, table in typed.items():
        for way in ("seen", "replayed"):
            back = pd.read_json(tmp_path / f"{way} {name}.json", dtype={"true": str, "predicted": str})
            assert list(back.columns) == list(table.columns)
            for column in table:
                if pd.api.types.is_numeric_dtype(table[column]):
                    np.testing.assert_allclose(back[column].astype(float), table[column].astype(float), rtol=1e-6)
                else:
                    assert back[column].astype(str).tolist() == table[column].astype(str).tolist()
