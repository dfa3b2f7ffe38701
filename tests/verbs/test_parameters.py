from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, Optional

import pytest

from fijibridge.errors import OptionError, VerbError
from fijibridge.verbs import Call, Cells, File, Folder, Image, Kind, NewFolder, Param
from fijibridge.verbs.parameters import REQUIRED, parameters_of


def of(function):
    return {p.name: p for p in parameters_of(function, Call)[0]}


def everything(
    call: Call,
    image: Image,
    cells: Annotated[Cells, Param("the cells")],
    file: File,
    folder: Folder,
    target: NewFolder,
    path: Path,
    model: Annotated[Path, Param(kind=Kind.file)],
    count: Annotated[int, Param("how many", "px", low=1, high=9)],
    share: Annotated[float, Param(low=0, label="Share of all")] = 0.5,
    way: Literal["a", "b c"] = "b c",
    on: bool = True,
    word: str = "x",
    other: Image | None = None,
    old: Optional[int] = None,  # noqa: UP045
) -> None: ...


def test_kinds_are_read_from_the_signature():
    found = of(everything)
    assert {name: p.kind for name, p in found.items()} == {
        "image": Kind.image, "cells": Kind.cells, "file": Kind.file, "folder": Kind.folder,
        "target": Kind.new_folder, "path": Kind.new_folder, "model": Kind.file, "count": Kind.integer,
        "share": Kind.number, "way": Kind.choice, "on": Kind.flag, "word": Kind.text, "other": Kind.image,
        "old": Kind.integer,
    }  # fmt: skip
    assert [name for name, p in found.items() if p.required] == list(found)[:8]
    assert [name for name, p in found.items() if p.optional] == ["other", "old"]
    assert parameters_of(everything, Call)[1] == "call"
    assert parameters_of(lambda: None, Call) == ([], None)


def test_what_is_said_of_a_parameter():
    found = of(everything)
    count, share, way = found["count"], found["share"], found["way"]
    assert (count.help, count.unit, count.low, count.high, count.default) == ("how many", "px", 1, 9, REQUIRED)
    assert (count.title, share.title, found["image"].title) == ("Count", "Share of all", "Image")
    assert count.expected == "a whole number from 1 to 9 (px)"
    assert share.expected == "a number of at least 0"
    assert way.expected == "one of a, b c"
    assert found["target"].expected == "a folder"


def _several(x: int | str | None) -> None: ...
def _either(x: int | str) -> None: ...
def _unknown(x: dict) -> None: ...
def _none(x) -> None: ...
def _upper(minSize: int) -> None: ...
def _umlaut(größe: int) -> None: ...
def _args(*x: int) -> None: ...
def _kwargs(**x: int) -> None: ...
def _position(x: int, /) -> None: ...


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (_several, r"_several: x has several types, int \| str \| None; expected one type"),
        (_either, r"_either: x is of type int \| str; expected fijibridge\.verbs\.Image"),
        (_unknown, "_unknown: x is of type <class 'dict'>; expected fijibridge.verbs.Image"),
        (_none, "_none: x is of type None"),
        (_upper, "_upper has the parameter 'minSize'; expected lower-case ASCII"),
        (_umlaut, "expected lower-case ASCII"),
        (_args, r"_args has the parameter \*x"),
        (_kwargs, r"has the parameter \*\*x"),
        (_position, "has the parameter x"),
    ],
)
def test_a_parameter_that_nobody_can_ask_for(function, words):
    with pytest.raises(VerbError, match=words):
        parameters_of(function, Call)


GOOD = [
    ("count", "3", 3), ("count", " 3 ", 3), ("count", 3.0, 3), ("count", "3e0", 3), ("old", "-12", -12),
    ("old", str(2**60 + 1), 2**60 + 1), ("old", "", None), ("old", None, None), ("share", "0.25", 0.25),
    ("share", 2, 2.0), ("way", "b c", "b c"), ("on", "false", False), ("on", "TRUE", True), ("on", "no", False),
    ("on", True, True), ("word", "", ""), ("word", " a ", " a "), ("other", "", None), ("image", "a b.tif", "a b.tif"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given", "value"), GOOD)
def test_values_are_read(name, given, value):
    read = of(everything)[name].read(given)
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(("name", "given", "value"), [good for good in GOOD if good[2] is not None])
def test_values_written_are_read_back(name, given, value):
    parameter = of(everything)[name]
    assert parameter.read(parameter.text(value)) == value


BAD = [
    ("count", "0", "count is 0; expected a whole number from 1 to 9 (px)"),
    ("count", 10, "count is 10; expected a whole number from 1 to 9 (px)"),
    ("count", "2.5", "count is '2.5'; expected a whole number from 1 to 9 (px)"),
    ("count", "two", "count is 'two'; expected a whole number from 1 to 9 (px)"),
    ("count", "", "count is empty; expected a whole number from 1 to 9 (px)"),
    ("count", True, "count is True; expected a whole number from 1 to 9 (px)"),
    ("count", "inf", "count is 'inf'; expected a whole number from 1 to 9 (px)"),
    ("share", "-0.1", "share is -0.1; expected a number of at least 0"),
    ("share", math.nan, "share is nan; expected a number of at least 0"),
    ("share", "1e999", "share is '1e999'; expected a number of at least 0"),
    ("way", "c", "way is 'c'; expected one of a, b c"),
    ("on", "maybe", "on is 'maybe'; expected true or false"),
    ("word", 3, "word is 3; expected text"),
    ("word", None, "word is empty; expected text"),
    ("cells", "", "cells is empty; expected a label image"),
    ("file", 3, "file is 3; expected a file"),
]


@pytest.mark.parametrize(("name", "given", "words"), BAD)
def test_values_that_are_none(name, given, words):
    with pytest.raises(OptionError) as error:
        of(everything)[name].read(given)
    assert str(error.value) == words


def test_paths_are_looked_at(tmp_path, monkeypatch):
    found = of(everything)
    file = tmp_path / "a b.txt"
    file.write_text("")
    assert found["file"].read(str(file)) == file
    assert found["file"].read(tmp_path) == tmp_path, "a folder may stand for a file: a run"
    assert found["target"].read(tmp_path / "new") == tmp_path / "new"
    assert not (tmp_path / "new").exists()
    monkeypatch.setenv("HOME", str(tmp_path))
    assert found["file"].read("~/a b.txt") == file
    for name, path, words in (
        ("file", tmp_path / "none", "there is no such file"),
        ("model", tmp_path / "none", "there is no such file"),
        ("folder", file, "which is not an existing folder"),
        ("target", file, "a file; expected a folder"),
    ):
        with pytest.raises(OptionError, match=words):
            found[name].read(str(path))
