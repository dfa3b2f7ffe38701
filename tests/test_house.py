"""Rules of the house: sizes, names and first lines of modules, and tests where a reader looks for them."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

from .conftest import ROOT

PACKAGE = ROOT / "fijibridge"
MODULES = sorted(PACKAGE.rglob("*.py"))
MOST_MODULES = 16
"""Modules in a folder, without ``__init__``; folders inside it are not counted."""
MOST_LINES = 500

ESTABLISHED = {
    # nouns of the field
    "ceiling", "flooding", "labelling", "matching", "planning", "resampling", "sampling", "scaling", "tiling",
    "tracing", "training", "tuning", "watershed",
    # short for compiled classes, saved patches, seeded and tiled segmentation
    "compiled", "saved", "seeded", "tiled",
}  # fmt: skip
"""Names of modules that look like participles, and are nouns."""

SAME_STEM = {
    "annotation": "annotation in Fiji: what it does, and the methods for it",
    "axes": "axes of images, and of what a network takes",
    "base": "what the other modules of a room build on",
    "calibration": "pixel sizes of images, and their check",
    "cells": "cells: the room, those in Fiji",
    "dataset": "data sets: the room, its verbs, its commands",
    "derivation": "images made from others, and their check",
    "description": "descriptions that go with files: of a data set, of a model",
    "export": "export of models: the room, its command",
    "fiji": "Fiji: the room, the class",
    "files": "files: the room, predictions of files",
    "host": "hosts of verbs: Fiji's menu, the worker",
    "images": "images: open in Fiji, of a plan",
    "labels": "label images: their check, their ROIs",
    "matches": "matches of cells: found, and shown in Fiji",
    "parameters": "parameters of segmentation methods, and of verbs",
    "pictures": "PNG and the like: read, and drawn for reports",
    "pixels": "pixels in Java, and their check in a data set",
    "plots": "plots: ImageJ's, and those of reports",
    "prediction": "prediction: the room, its verbs",
    "reports": "reports: the room, its commands",
    "rois": "ROIs: the room, those in Fiji, those of a diagnosis",
    "scaling": "scaling: the room, its commands",
    "segmentation": "segmentation: the room, its verbs, its commands, its report",
    "settings": "settings of a training, and what a report tells of them",
    "tables": "tables: ImageJ's, their windows, those of reports",
    "tiles": "tiles of a prediction, and what an exported model says of them",
    "training": "training: the room, its verbs, its commands",
    "verbs": "verbs: the room, its commands",
    "writer": "writers: of files, of data sets",
}
"""Stems that several modules or folders share, each with the one thing that it stands for."""

QUESTION = re.compile(r"(What|How|Which|Where|Who|Whose|Why|When)\b")
WITHOUT_MODULE = {"test_house", "test_package"}
"""Tests of the package as a whole."""


def dotted(path: Path) -> str:
    """Return the name of a module, or of a package for its ``__init__``, without the leading ``fijibridge.``."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "fijibridge"


def docstring(path: Path) -> str:
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def test_no_folder_has_more_modules_than_one_can_survey():
    rooms = defaultdict(list)
    for path in MODULES:
        if path.stem not in ("__init__", "__main__"):
            rooms[dotted(path.parent / "__init__.py")].append(path.stem)
    crowded = {room: names for room, names in rooms.items() if len(names) > MOST_MODULES}
    assert not crowded


def test_no_module_is_too_long_to_read_at_once():
    lengths = {dotted(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    assert not {name: lines for name, lines in lengths.items() if lines > MOST_LINES}


def test_one_stem_stands_for_one_thing():
    """Modules and folders, without the folder that a module of its own name lies in: dataset/dataset.py."""
    homes = defaultdict(set)
    for path in MODULES:
        *above, stem = dotted(path).split(".")
        if stem != "fijibridge" and not (above and above[-1] == stem):
            homes[stem].add(".".join([*above, stem]))
    shared = {stem: sorted(names) for stem, names in homes.items() if len(names) > 1}
    assert not {stem: names for stem, names in shared.items() if stem not in SAME_STEM}
    assert not set(SAME_STEM) - set(shared), "stems that are not shared any more"


def test_no_module_is_named_by_a_participle():
    stems = {dotted(path).rpartition(".")[2] for path in MODULES}
    assert not {stem for stem in stems if stem.endswith(("ing", "ed")) and stem not in ESTABLISHED}


def test_each_module_says_what_it_holds():
    """As a noun or an imperative: "Tiles of an image." and not "How an image is cut into tiles."."""
    firsts = {dotted(path): docstring(path).partition("\n")[0] for path in MODULES}
    assert not [name for name, first in firsts.items() if not first]
    assert not {name: first for name, first in firsts.items() if QUESTION.match(first)}


def test_each_test_file_has_the_path_of_its_module():
    """But for journeys across modules, and what needs a screen or another Fiji."""
    tests = ROOT / "tests"
    there = {dotted(path) for path in [*MODULES, *PACKAGE.rglob("*.groovy")]}
    astray = []
    for path in sorted(tests.rglob("test_*.py")):
        *rooms, stem = path.relative_to(tests).with_suffix("").parts
        if rooms[:1] in (["journeys"], ["gui"]) or (not rooms and stem in WITHOUT_MODULE):
            continue
        if ".".join([*rooms, stem.removeprefix("test_")]) not in there:
            astray.append("/".join([*rooms, stem]))
    assert not astray


def test_the_files_that_contributing_names_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"`((?:fijibridge|tests|docs)/[\w./-]+)`", text)
    assert len(named) > 20
    assert [
        name for name in named if "a/b.py" not in name and "test_b" not in name and not (ROOT / name).exists()
    ] == []


def test_the_files_that_the_map_of_the_package_names_are_there():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(\w+\.py)\b", text.split("```")[1]))
    assert len(named) > 20
    assert named <= {path.name for path in MODULES}
