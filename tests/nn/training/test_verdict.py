"""Verdicts on curves whose verdict is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

import fijibridge as fb
from fijibridge.nn.training import Ending
from fijibridge.nn.training.verdict import WINDOW, explain

NAN = float("nan")


def curves(train, val=None, **more):
    return pd.DataFrame(
        {"epoch": range(len(train)), "train_loss": train, "val_loss": val or [NAN] * len(train), **more}
    )


FALLING = [1.2, 0.8, 0.6, 0.45, 0.35, 0.3, 0.27, 0.25, 0.24]
CASES = {
    "weak model": (curves([1.0, 0.98, 0.97, 0.96, 0.96, 0.96], [1.0, 0.99, 0.98, 0.98, 0.98, 0.98]), "width"),
    "overfitting": (curves(FALLING, [1.2, 0.9, 0.7, 0.6, 0.62, 0.68, 0.75, 0.83, 0.9]), "more images"),
    "learning rate too high": (curves([1.0, 0.5, 0.3, 0.9, 1.4], [1.0, 0.6, 0.4, 1.0, 1.6]), "a third of lr"),
    "still improving": (curves(FALLING, [1.2, 1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3]), "more epochs"),
    "converged": (curves([*FALLING, 0.24, 0.24, 0.24], [*FALLING, 0.24, 0.24, 0.24]), "more or other images"),
    "unknown": (curves([*FALLING, 0.24, 0.24, 0.24, 0.24]), "name validation images"),
    "untrained": (curves([1.2], [1.2]), "at least one epoch"),
}


@pytest.mark.parametrize("looks", CASES)
def test_what_it_looks_like_and_what_to_try(looks):
    history, advice = CASES[looks]
    ending = explain(history, "all epochs done")
    assert ending.looks_like == looks
    assert any(advice in words for words in ending.advice)
    assert ending.evidence
    assert str(ending).startswith(f"all epochs done. It looks like: {looks} (")
    assert all(part in str(ending) for part in (*ending.evidence, *ending.advice))


def test_the_evidence_has_the_numbers():
    ending = explain(CASES["overfitting"][0], "early stop", patience=5)
    assert ending.evidence == (
        "val_loss was lowest, 0.6, at epoch 3, and is 0.9 at the end",
        "train_loss kept falling, from 0.45 to 0.24",
    )
    assert (ending.metric, ending.best_epoch, ending.best, ending.patience) == ("val_loss", 3, 0.6, 5)
    assert explain(CASES["learning rate too high"][0], "").evidence == ("the training loss went from 0.3 to 1.4",)
    assert explain(CASES["weak model"][0], "").evidence == (
        "train_loss fell only from 1 before the first step to 0.96",
    )


def test_a_warm_start_that_loses_what_it_knew():
    history = curves([0.2, 0.3, 0.35, 0.4], [0.25, 0.4, 0.5, 0.6])
    ending = explain(history, "", warm=True)
    assert ending.looks_like == "diverging from its start"
    assert ending.evidence == ("val_loss was 0.25 before the first step, 0.6 after",)
    assert "a tenth of lr" in ending.advice[1]
    assert explain(history, "").looks_like == "learning rate too high"  # the same curves of a fresh network
    kept = curves([0.2, 0.19, 0.19, 0.19], [0.25, 0.25, 0.25, 0.25])
    assert explain(kept, "", warm=True).looks_like == "converged"
    assert explain(kept, "").looks_like == "weak model"  # a fresh one that only lost a twentieth


def test_a_warm_start_without_validation_is_not_judged_by_the_few_batches_of_its_start():
    few = curves([0.378, 0.394, 0.41, 0.406, 0.413, 0.407])
    assert explain(few, "", warm=True).looks_like == "unknown"
    assert explain(curves([0.3, 0.5, 0.45, 0.44, 0.44, 0.44]), "", warm=True).looks_like == "diverging from its start"


def test_noise_of_a_flat_training_loss_is_no_rise():
    noise = [0.0, 0.008, -0.008, 0.004, -0.006, 0.007]
    train = [0.4 + n for n in noise]
    val = [0.5, 0.48, 0.46, 0.44, 0.42, 0.4]
    assert explain(curves(train, val), "", warm=True).looks_like == "still improving"
    rising = [0.4 + 20 * n for n in noise]
    assert explain(curves(rising, val), "", warm=True).looks_like == "learning rate too high"


def test_a_warm_start_that_changes_nothing_has_the_validation_loss_of_its_start():
    """The last validation images are much harder than the first ones."""
    tissue = fb.synthetic_epithelium((64, 64), cell_size=16, photons=400, weak_membranes=0, seed=1)
    target = fb.membrane_target(tissue.labels, 3)
    watched = [(tissue.image, target), (tissue.image, 1 - target)] * 6
    options = {"patch": (32, 32), "batch": 4, "forecast": False, "augment": False, "lr": 1e-12}
    torch.manual_seed(0)
    begun = fb.train(fb.UNet(depth=1, width=8, norm="none"), [(tissue.image, target)], epochs=0, **options)
    run = fb.train(begun, [(tissue.image, target)], validation=watched, epochs=2, batches=4, **options)
    assert run.history["val_loss"].tolist() == pytest.approx([run.history["val_loss"][0]] * 3, rel=1e-4)
    assert run.ending.looks_like != "diverging from its start"


def test_the_slope_is_that_of_the_last_epochs():
    val = [9.0, 5.0, 1.0, 0.9, 0.8, 0.7, 0.6]
    ending = explain(curves(FALLING[:7], val), "")
    assert WINDOW == 5
    assert ending.slope == pytest.approx(-0.1)
    assert ending.looks_like == "still improving"
    assert ending.evidence == ("val_loss changes by -0.1 per epoch at the end",)
    two = explain(curves([1.0, 0.5], [1.0, 0.5]), "")
    assert two.slope is None  # what was before the first step is no part of the end


def test_a_loss_that_has_turned_is_not_improving_though_a_line_through_its_end_falls():
    val = [2.0, 1.5, 1.2, 0.9, 0.7, 0.5, 0.51, 0.53]
    ending = explain(curves(FALLING[:8], val), "")
    assert ending.slope < -0.01 * 1.5
    assert ending.looks_like == "converged"
    assert ending.evidence == ("val_loss has not improved for 2 epochs",)
    assert explain(curves(FALLING[:7], val[:7]), "").looks_like == "still improving"  # one worse epoch is noise


def test_the_best_epoch_is_never_the_one_before_the_first_step():
    ending = explain(curves([0.5, 0.6, 0.55], [0.1, 0.4, 0.3]), "")
    assert (ending.best_epoch, ending.best) == (2, 0.3)


def test_a_score_is_better_when_it_is_higher():
    f1 = [NAN, 0.2, 0.5, 0.9, 0.6, 0.6, 0.6, 0.6]
    history = curves(FALLING[:8], FALLING[:8], val_f1=f1)
    ending = explain(history, "", metric="val_f1", patience=4)
    assert (ending.metric, ending.best_epoch, ending.best, ending.patience) == ("val_f1", 3, 0.9, 4)
    rising = curves(FALLING[:6], FALLING[:6], val_f1=[NAN, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert explain(rising, "", metric="val_f1").looks_like == "still improving"
    falling = curves([*FALLING, 0.24], [*FALLING, 0.24], val_f1=[NAN, *np.linspace(0.9, 0.5, 9)])
    assert explain(falling, "", metric="val_f1").looks_like == "converged"


def test_without_validation_the_training_loss_is_watched():
    ending = explain(curves(FALLING[:6]), "")
    assert (ending.metric, ending.best_epoch, ending.best) == ("train_loss", 5, 0.3)
    assert ending.looks_like == "still improving"
    assert explain(curves(FALLING[:6]).drop(columns="val_loss"), "").looks_like == "still improving"


@pytest.mark.parametrize("rest", [[NAN] * 5, [float("inf")] * 5])
def test_a_metric_without_values_after_the_first_step_is_not_watched(rest):
    history = curves(FALLING[:6], [1.2, 1.0, 0.9, 0.8, 0.7, 0.6], val_f1=[0.0, *rest])
    ending = explain(history, "", metric="val_f1")
    assert (ending.metric, ending.best_epoch, ending.best) == ("val_loss", 5, 0.6)
    assert ending.looks_like == "still improving"
    alone = explain(history.assign(val_loss=[1.2, *rest]), "", metric="val_f1")
    assert (alone.metric, alone.best_epoch, alone.best) == ("train_loss", 5, 0.3)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("train", [[1.0, 0.5, NAN], [1.0, NAN, NAN], [NAN, NAN, NAN], [1.0, 0.4, float("inf")]])
def test_losses_that_are_no_numbers(train):
    ending = explain(curves(train, [1.0, NAN, NAN]), "the loss became nan")
    assert ending.looks_like == "learning rate too high"
    assert "nan" in ending.evidence[0] or "inf" in ending.evidence[0] or "never finite" in ending.evidence[0]


def test_there_and_back():
    ending = explain(CASES["overfitting"][0], "early stop", patience=3)
    assert Ending.of(json.loads(json.dumps(ending.to_dict()))) == ending


def test_a_training_that_ended_early_says_its_patience():
    """Validation on targets turned upside down gets worse as the training learns."""
    tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)
    target = fb.membrane_target(tissue.labels, 3)
    torch.manual_seed(0)  # first weights of which validation is worse from the second epoch on
    run = fb.train(
        fb.UNet(depth=1, width=4), [(tissue.image, target)], validation=[(tissue.image, 1 - target)], epochs=40,
        batches=6, batch=4, patch=(32, 32), patience=2, forecast=False,
    )  # fmt: skip
    assert run.ending.patience == 2
    assert run.ending.metric == "val_loss"
    assert run.ending.best_epoch == int(run.history["val_loss"].iloc[1:].idxmin())
    assert run.ending.best == pytest.approx(run.history["val_loss"].iloc[1:].min())
    assert run.ending.slope > 0
    assert run.stopped_because.startswith("early stop after")


def test_the_best_epoch_is_the_one_whose_weights_were_kept():
    curve = pd.DataFrame(
        {"epoch": range(5), "train_loss": [1, 0.8, 0.6, 0.5, 0.45], "val_loss": [1, 0.5, 0.495, 0.4, 0.399]}
    )
    assert explain(curve, "done").best_epoch == 4
    told = explain(curve, "done", min_delta=0.01)
    assert (told.best_epoch, told.best) == (3, 0.4)


def test_a_stream_that_learns_does_not_look_like_a_learning_rate_too_high():
    curve = pd.DataFrame({"epoch": range(6), "train_loss": [np.nan, 1, 0.6, 0.4, 0.3, 0.2], "val_loss": np.nan})
    assert explain(curve, "done").looks_like == "still improving"


def test_a_slope_over_epochs_of_which_some_were_not_counted():
    f1 = [0, np.nan, 0.2, np.nan, 0.4, np.nan, 0.6]
    curve = pd.DataFrame({"epoch": range(7), "train_loss": np.linspace(1, 0.3, 7), "val_f1": f1})
    ending = explain(curve, "done", metric="val_f1")
    assert ending.slope == pytest.approx(0.1)
    assert ending.looks_like == "still improving"
