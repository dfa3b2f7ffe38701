"""Trainings that start from trained networks."""

from __future__ import annotations

import pytest
from torch import nn

import fijibridge as fb
from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import FijiBridgeWarning, TrainingError
from fijibridge.nn.normalisation import Normalisation
from fijibridge.nn.training import train
from tests.trained import QUICK, small_net


@pytest.mark.parametrize("begun", [lambda run: run.model.net, lambda run: run, lambda run: run.model])
def test_a_trained_network_learns_in_training_mode(pair, begun):
    """Networks are handed back in evaluation mode, in which normalisation would not learn."""
    run = train(small_net(), [pair], **QUICK)
    assert not run.model.net.training
    modes = set()

    class Watching(nn.CrossEntropyLoss):
        def forward(self, output, y, weight):
            modes.add(output.grad_fn is not None and watched.net.training)
            return super().forward(output, y)

    watched = train(begun(run), [pair], epochs=0, patch=(32, 32), forecast=False).model
    before = [m.running_mean.clone() for m in watched.net.modules() if isinstance(m, nn.BatchNorm2d)]
    train(watched.net, [pair], loss=Watching(ignore_index=IGNORE), **QUICK)
    after = [m.running_mean for m in watched.net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert True in modes
    assert all((a != b).any() for a, b in zip(before, after, strict=True)), "the statistics follow the new images"


@pytest.mark.parametrize("given", [lambda run: run, lambda run: run.model])
def test_a_warm_start_leaves_the_model_that_it_began_from_as_it_is(pair, given):
    run = train(small_net(), [pair], **QUICK)
    before = {k: v.clone() for k, v in run.model.net.state_dict().items()}
    new = train(given(run), [pair], lr=0.1, **QUICK)
    assert all((v == before[k]).all() for k, v in run.model.net.state_dict().items())
    assert any((v != before[k]).any() for k, v in new.model.net.state_dict().items())


@pytest.fixture(scope="module")
def trained(pair, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    return train(small_net(), [pair], out=folder, **(QUICK | {"epochs": 5}))


def test_a_warm_start_begins_where_the_other_ended(trained, pair):
    for start in (trained, trained.model, trained.path):
        run = train(start, [pair], **(QUICK | {"epochs": 1, "lr": 1e-4}))
        assert run.history["train_loss"].iloc[0] == pytest.approx(trained.history["train_loss"].iloc[-1], abs=0.2)
        assert run.settings["warm_start"]
        assert run.model.normalisation == trained.model.normalisation


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"classes": ("membrane", "other")}, "a class id would change its meaning"),
        ({"normalisation": Normalisation(0, 100)}, "scaled by"),
    ],
)
def test_what_a_warm_start_refuses(trained, pair, change, words):
    with pytest.raises(TrainingError, match=words):
        train(trained.model, [pair], **(QUICK | change))


def test_a_warm_start_compares_pixel_sizes(trained, pair):
    image, target = pair
    with pytest.warns(FijiBridgeWarning, match="the network was trained on 0.2"):
        train(trained.model, [(fb.as_image(image, pixel_size=0.3), target)], **(QUICK | {"epochs": 1}))
    with pytest.raises(TrainingError, match="rescale the images"):
        train(trained.model, [(fb.as_image(image, pixel_size=2.0), target)], **QUICK)
    with pytest.warns(FijiBridgeWarning, match="cannot be compared"):
        train(trained.model, [(image.values, target)], **(QUICK | {"epochs": 1}))
