"""Calls from scripts in Fiji's menu, answered by this process."""

from __future__ import annotations

import json

import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import RenamedWarning
from fijibridge.fiji.menu import call
from fijibridge.fiji.session import python_mode


def ask(**request):
    return json.loads(python_mode.perform_here(json.dumps(request)))


def test_a_script_asks_for_the_version_and_performs_a_verb(clean, capfd):
    assert ask(what="hello") == {"done": {"version": fb.__version__}}
    clean.show(np.zeros((4, 5), np.uint8), name="a")
    assert "no training is running" in ask(what="perform", verb="stop_training", given={})["error"]
    assert ask(what="perform", verb="about", given={}) == {"done": {"named": {}}}
    assert "nonsense" in ask(what="perform", verb="nonsense", given={})["error"]


def test_it_was_part_of_the_menu():
    with pytest.warns(RenamedWarning, match="was renamed to fijibridge.fiji.session.python_mode.perform_here"):
        assert call.perform_here is python_mode.perform_here
