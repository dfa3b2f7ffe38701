"""Best epoch, patience, and the reason of an end, of given metrics."""

from __future__ import annotations

import pytest
import torch

from fijibridge.errors import TrainingError
from fijibridge.nn.training import Settings
from fijibridge.nn.training.recorder import Recorder


def recorded(losses, **settings):
    """Return a recorder of validation losses, an epoch each, up to its end."""
    recorder = Recorder(Settings(**({"epochs": 8} | settings)), steps=0, observers=[])
    recorder.add({"epoch": 0, "val_loss": 9.0})
    for epoch, loss in enumerate(losses, start=1):
        net = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(net.weight, epoch)
        recorder.keep_best(epoch, {"val_loss": loss}, net)
        recorder.add({"epoch": epoch, "val_loss": loss})
        if recorder.stopped_early:
            break
    return recorder


def test_the_weights_of_the_best_epoch_are_kept():
    recorder = recorded([3, 1, 2])
    assert (recorder.best_epoch, recorder.best) == (2, 1)
    assert float(recorder.best_state["weight"]) == 2


def test_a_change_below_min_delta_does_not_count():
    assert recorded([3, 2.9, 2.8], min_delta=0.15).best_epoch == 3
    assert recorded([3, 2.9, 2.8], min_delta=0.5).best_epoch == 1


def test_patience_ends_a_training_and_more_of_it_trains_longer():
    recorder = recorded([3, 1, 2, 2, 2], patience=2)
    assert recorder.reason() == (
        "early stop after 4 of 8 epochs: val_loss did not improve for 2 epochs; best val_loss 1.0000 at epoch 2; a "
        "larger patience trains longer"
    )


def test_patience_that_is_over_at_the_last_epoch_ended_nothing():
    recorder = recorded([3, 1, 2, 2], patience=2, epochs=4)
    assert recorder.stopped_early
    assert recorder.reason() == "all 4 epochs done; best val_loss 1.0000 at epoch 2"


def test_reasons():
    assert recorded([]).reason(exhausted=True) == "the iterable ended after 0 of 8 epochs"
    assert "val_loss became nan; lower lr" in recorded([1, float("nan")], patience=5).reason()
    recorder = recorded([1])
    recorder.stop_asked = "stopped by run.stop()"
    assert recorder.reason().startswith("stopped by run.stop() after 1 of 8 epochs; best")
    recorder.failure = TrainingError("no memory")
    assert recorder.reason() == "no memory"


def test_a_state_is_restored():
    recorder, again = recorded([3, 1, 2]), Recorder(Settings(), steps=0, observers=[])
    recorder.step(1, torch.tensor(0.5))
    again.load_state_dict(recorder.state_dict())
    assert again.rows == recorder.rows
    assert (again.best, again.best_epoch, again.take_losses()) == (1, 2, [0.5])


class Interrupting:
    def progress(self, step, steps):
        raise KeyboardInterrupt


def test_an_observer_that_is_interrupted_stops_the_training():
    recorder = Recorder(Settings(), steps=3, observers=[Interrupting()])
    recorder.step(1, torch.tensor(0.5))
    assert recorder.stop_asked == "interrupted by an observer"


@pytest.mark.parametrize("resumed", [False, True])
def test_a_run_that_begins_removes_the_files_of_an_older_one(tmp_path, resumed):
    for name in ("last.ckpt", "other.txt"):
        (tmp_path / name).touch()
    Recorder(Settings(), 0, [], folder=tmp_path, resumed=resumed).begin()
    left = {"run.json", "other.txt", ".training.lock"} | ({"last.ckpt"} if resumed else set())
    assert {file.name for file in tmp_path.iterdir()} == left
