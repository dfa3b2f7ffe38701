"""Class ``Fiji``: identity of a session."""

from __future__ import annotations

import inspect
import re

import pytest

import fijibridge as fb
from fijibridge.errors import RenamedWarning, SessionError
from fijibridge.fiji.session.base import Base


def test_it_says_what_it_is(fiji):
    assert fb.current() is fiji
    assert fiji.mode == "headless"
    assert f"{fiji.flavor} {fiji.version}, headless, Java" in repr(fiji)
    if fiji.flavor == "embedded":
        assert fiji.version == "1.54p"
        with pytest.raises(SessionError, match="no ImageJ2 gateway"):
            fiji.ij  # noqa: B018
    else:
        assert re.fullmatch(r"2\.\d+\.\d+/1\.\d\d[a-z]", fiji.version)
        assert str(fiji.ij.getVersion()) in fiji.version


def test_it_consists_of_flat_parts():
    assert all(part.__bases__ == (Base,) for part in fb.Fiji.__bases__)
    methods = [name for part in fb.Fiji.__bases__ for name in vars(part) if not name.startswith("_")]
    assert len(methods) == len(set(methods)), "no part hides a method of another"
    longest = {
        name: len(inspect.getsource(method).partition('"""')[2].partition('"""')[2].strip().splitlines())
        for part in fb.Fiji.__bases__
        for name, method in inspect.getmembers(part, inspect.isfunction)
    }
    assert max(longest.values()) < 12, "methods are thin"


def test_the_heap_was_called_memory(fiji, where):
    with pytest.warns(RenamedWarning, match="memory= of Fiji.start was renamed to heap="):
        assert fb.Fiji.start(where, mode="headless", memory="300m") is fiji
