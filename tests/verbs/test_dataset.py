"""The verbs of dataset do what the functions do that they are named after."""

from __future__ import annotations

import pytest
import torch

import fijibridge as fb
from fijibridge.errors import OptionError
from tests.verbs.conftest import call


def test_save_training_set(host, tissue, tmp_path):
    folder = tmp_path / "set"
    call("save_training_set", host(), image="raw", cells="truth", folder=str(folder))
    (said,) = call("save_training_set", host(), image="raw", cells="truth", folder=str(folder), name="second",
                   split="validation", provenance="algorithm")  # fmt: skip
    saved = fb.Dataset.open(folder)
    assert said.text == str(saved)
    assert (saved.names("train"), saved.names("validation")) == (["evl"], ["second"])
    assert [item.provenance for item in saved] == ["manual", "algorithm"]
    assert (saved["evl"].labels().values == tissue.labels.values).all()
    with pytest.raises(OptionError, match="set existing=replace to replace it, or set another"):
        call("save_training_set", host(), image="raw", cells="truth", folder=str(folder))
    call("save_training_set", host(), image="prob", cells="truth", folder=str(folder), name="evl", existing="replace")
    assert fb.Dataset.open(folder)["evl"].image().sizes["c"] == 2


def test_about():
    (said,) = call("about")
    assert said.text.startswith(f"fijibridge {fb.__version__}, Python 3")
    assert f"torch {torch.__version__}" in said.text
