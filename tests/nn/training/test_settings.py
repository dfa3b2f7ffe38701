"""Metadata of settings, from which flags, resuming and forecasts derive."""

from __future__ import annotations

import inspect

import pytest

from fijibridge.cells.targets.from_labels import CLASSES
from fijibridge.nn.planning import forecast_training
from fijibridge.nn.training import Border, Settings
from fijibridge.nn.training.settings import SETTINGS, Hyperparameters


def test_importing_them_loads_nothing_heavy(python):
    python(
        """
        import sys
        from fijibridge.nn.training.settings import SETTINGS
        heavy = {"torch", "pydantic", "numpy", "lightning"} & set(sys.modules)
        assert not heavy, heavy
        """
    )


def test_each_setting_has_its_metadata_and_the_default_of_version_01():
    assert list(Settings.model_fields) == list(SETTINGS)
    assert {name: getattr(Hyperparameters, name) for name in SETTINGS} == Settings().model_dump()
    assert (Settings().epochs, Settings().classes) == (50, CLASSES)
    assert all(setting.help and not setting.help.endswith(".") for setting in SETTINGS.values())


def test_flags_are_the_names_with_dashes():
    flags = {name: setting.flag for name, setting in SETTINGS.items() if setting.flag is not None}
    assert flags == {name: "--" + name.replace("_", "-") for name in flags}
    assert {"epochs", "membrane_width", "lr", "seed"} < set(flags)


def test_a_forecast_knows_what_is_passed_on_to_it():
    passed = {name for name, setting in SETTINGS.items() if setting.forecast}
    assert passed == {"epochs", "precision", "ema"}
    assert passed <= set(inspect.signature(forecast_training).parameters)


@pytest.mark.parametrize("wrong", [{"w0": 0}, {"sigma": float("inf")}, {"sigma": float("nan")}])
def test_a_border_weight_that_is_no_positive_number(wrong):
    with pytest.raises(ValueError, match="expected a finite number above 0"):
        Border(**wrong)
