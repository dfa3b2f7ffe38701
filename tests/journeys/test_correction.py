"""Train, find cells, correct them in Fiji, train again and compare."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import fijibridge as fb

QUICK = {"epochs": 3, "batches": 4, "batch": 2, "patch": (32, 32), "forecast": False}


def small_net():
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4)


def test_correct_in_fiji_continue_and_set_old_beside_new(clean, tmp_path):
    """The way round: train, find cells, a person corrects them in Fiji, train on with them, old beside new."""
    tissues = {n: fb.synthetic_epithelium((96, 96), cell_size=16, photons=400, seed=s) for s, n in enumerate("atv")}
    first = fb.save_dataset(
        {n: {"image": t.image, "labels": t.labels} for n, t in tissues.items()}, tmp_path / "first",
        split={"validation": ["v"], "test": ["t"]}, provenance="manual",
    )  # fmt: skip
    quick = QUICK | {"batches": 12, "batch": 4}
    old = fb.train(small_net(), first, out=tmp_path / "old", **quick)
    assert clean.titles(), "it was seen while it went on"

    unlabelled = fb.synthetic_epithelium((96, 96), cell_size=16, photons=400, seed=7)
    clean.show(unlabelled.image, name="new image")
    cells = fb.label_cells(fb.predict(old.model, unlabelled.image), "watershed")
    clean.edit_cells(cells, "new image")
    person = fb.labels_to_rois(unlabelled.labels)  # what the person draws in place of the cells that were found
    clean._find("new image").setOverlay(None)
    clean.add_rois([roi.renamed("") for roi in person], "new image")
    corrected = clean.corrected_cells(cells, "new image")
    assert fb.match_labels(unlabelled.labels, corrected).f1 > 0.99
    second = clean.save_training_set(
        tmp_path / "second", ["new image"], provenance="corrected", provenance_note="by a person in ImageJ"
    )
    assert second.provenance == "corrected"

    before = {k: v.clone() for k, v in old.model.net.state_dict().items()}
    new = fb.train(old, second, out=tmp_path / "new", lr=0.01, **(quick | {"epochs": 6}))
    assert new.settings["warm_start"]
    assert all((v == before[k]).all() for k, v in old.model.net.state_dict().items()), "there is still an old one"

    found = fb.compare_runs(tmp_path / "old", tmp_path / "new", data=tmp_path / "first", out=tmp_path / "compared")
    beside = fb.compare_match_tables(found.tables["old"], found.tables["new"])
    assert beside["image"].tolist() == ["v", "total validation", "t", "total test", "total"]
    np.testing.assert_allclose(beside["f1 before"], found.matches["f1 old"])
    np.testing.assert_allclose(beside["f1 after"], found.matches["f1 new"])
    assert beside["f1 change"].iloc[-1] > 0
    told = found.settings.set_index("setting")
    assert told.loc["provenance"].tolist() == ["manual", "corrected"]
    assert told.loc["training images"].tolist() == ["a", "new image"]
    assert (tmp_path / "compared" / "comparison.html").is_file()
    clean.show_table(beside)
    assert clean.table()["f1 change"].tolist() == pytest.approx(beside["f1 change"].tolist())


def test_python_ends_in_good_order_while_it_trains(python):
    done = python("""
        import torch
        import fijibridge as fb
        fb.Run  # trainings are loaded before Java is
        fiji = fb.Fiji.start(WHERE, mode="headless")
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, seed=1)
        pair = tissue.image, fb.membrane_target(tissue.labels, 3)
        run = fb.train(fb.UNet(depth=1, width=4), [pair], validation=[pair], background=True, epochs=10_000, batches=4,
                       batch=2, patch=(32, 32), forecast=False)
        import time
        while "Training picture" not in fiji.titles():
            time.sleep(0.05)
        print("end of the script")
    """)
    assert done.stdout.strip() == "end of the script"
    assert "not shown" not in done.stderr
    assert "Traceback" not in done.stderr
