"""Settings from keywords, files and records."""

from __future__ import annotations

import pytest

import fijibridge as fb
from fijibridge.errors import RenamedWarning, TrainingError
from fijibridge.nn.losses import losses_of
from fijibridge.nn.training import Border, Settings, train
from tests.trained import QUICK, small_net


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"lr": float("nan")}, "lr is nan: Input should be a finite number"),
        ({"epochs": -1}, "epochs is -1: Input should be greater than or equal to 0"),
        ({"patch": (0, 1)}, r"patch\.0 is 0"),
        ({"stride": (0,)}, "stride"),
        ({"ema": 1}, "ema is 1: Input should be less than 1"),
        ({"loss": "dise"}, r"loss is 'dise': expected one of cross_entropy\+dice, .*; did you mean 'dice'"),
        ({"border_weight": {"w0": -1}}, "w0 of the border weight is -1"),
        ({"border_weight": {"w": 1}}, r"border_weight\.w is 1"),
        ({"epoch": 1}, "no setting 'epoch'.*did you mean 'epochs'"),
    ],
)
def test_invalid_values_are_named_with_what_was_expected(wrong, words):
    with pytest.raises(TrainingError, match=words):
        Settings.of(**wrong)


@pytest.mark.parametrize("name", losses_of("classes"))
def test_every_registered_loss_of_the_classes_is_a_setting(name):
    assert Settings(loss=name).loss == name


def test_the_docstring_lists_each_setting():
    assert "{attributes}" not in Settings.__doc__
    assert "    membrane_width\n        Width of the membranes" in Settings.__doc__


def test_old_keywords_work_and_warn():
    with pytest.warns(RenamedWarning, match=r"width= of Settings was renamed to membrane_width="):
        settings = Settings(width=5)
    with pytest.warns(RenamedWarning, match=r"border= of Settings\.of was renamed to border_weight="):
        assert Settings.of(settings, border={}).border_weight == Border()
    with pytest.warns(RenamedWarning, match=r"Settings\.width was renamed"):
        assert settings.width == settings.membrane_width == 5
    with pytest.warns(RenamedWarning, match=r"Settings\.border was renamed"):
        assert settings.border is None
    with (
        pytest.warns(RenamedWarning, match="width= of train was renamed to membrane_width=") as caught,
        pytest.raises(TrainingError, match="nothing to train on"),
    ):
        fb.train(fb.UNet(depth=1, width=2), [], width=5)
    assert caught[0].filename == __file__


def test_old_names_in_files_are_read_silently(tmp_path):
    (tmp_path / "run.toml").write_text("width = 2\nborder = {w0 = 5}\nepochs = 3\n")
    settings = Settings.read(tmp_path / "run.toml")
    assert settings == Settings(membrane_width=2, border_weight=Border(w0=5), epochs=3)
    assert Settings.stored({"width": 4}).membrane_width == 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"patince": 3}, "no setting 'patince'.*did you mean 'patience'"),
        ({"epochs": -1}, "epochs is -1"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"loss": "mse"}, "loss is 'mse'"),
        ({"augment": {"spin": 3}}, "augment: .*spin"),
        ({"metric": "val_f1"}, "needs validation images"),
        ({"batch": 3, "devices": 2}, "cannot be divided equally"),
    ],
)
def test_settings_that_make_no_sense(pair, changes, words):
    with pytest.raises(TrainingError, match=words):
        train(small_net(), [pair], **(QUICK | changes))


def test_settings_from_a_file(tmp_path, pair):
    file = tmp_path / "run.toml"
    file.write_text(
        'epochs = 1\nbatches = 2\npatch = [32, 32]\nschedule = "cosine"\nforecast = false\n[border_weight]\nw0 = 5\n'
    )
    settings = Settings.read(file)
    assert (settings.schedule, settings.border_weight.w0, settings.border_weight.sigma) == ("cosine", 5, 5)
    run = train(small_net(), [pair], settings=settings, batches=3)
    assert (run.settings["batches"], run.settings["epochs"]) == (3, 1)
    file.write_text("epochs = 1\nbatchs = 2\n")
    with pytest.raises(TrainingError, match=r"run\.toml: there is no setting 'batchs'"):
        Settings.read(file)


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
def test_schedules(pair, schedule):
    run = train(small_net(), [pair], schedule=schedule, lr=0.01, **QUICK)
    assert run.history["lr"].iloc[-1] == pytest.approx(0.01 if schedule == "constant" else 0, abs=1e-3)
