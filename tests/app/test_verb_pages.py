from __future__ import annotations

import re
import shlex

import numpy as np
import typer

from fijibridge.app.cli import app
from fijibridge.app.verb_pages import markdown
from fijibridge.image import as_image
from fijibridge.verbs import Say, all_verbs, perform, unregister, verb_named
from fijibridge.verbs.macro_options import read_options
from tests.conftest import ROOT
from tests.verbs.conftest import Arrays

PAGE = (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8")


def test_the_page_is_made_from_the_verbs():
    assert markdown() == PAGE, "python -m fijibridge.app.verb_pages > docs/verbs.md"


def test_the_macros_on_the_page_are_calls():
    calls = re.findall(r'^run\("(FijiBridge [^"]*)"(?:, "([^"]*)")?\);$', PAGE, re.MULTILINE)
    own = ("FijiBridge Bright Cells...", "cells=evl_01_cells.tif limit=120")
    assert {command for command, _ in calls if command != own[0]} == {made.command for made in all_verbs()}
    assert own in calls
    for command, options in calls:
        if command != own[0]:
            assert read_options(options).keys() == {p.name for p in verb_named(command).parameters if p.required}


def test_the_commands_on_the_page_are_understood():
    commands = re.findall(r"^fijibridge (run .*)$", PAGE, re.MULTILINE)
    assert len(commands) == len(all_verbs())
    group = typer.main.get_command(app)
    for command in commands:
        _, verb, *arguments = shlex.split(command)
        with group.make_context("fijibridge", ["run", verb]) as context:
            runs = group.get_command(context, "run")
            found = runs.get_command(context, verb)
            given = found.make_context(verb, list(arguments)).params  # refuses what is unknown or missing
        assert [str(given[name[2:].replace("-", "_")]) for name in arguments[::2]] == arguments[1::2]


def test_the_verb_of_ones_own_on_the_page_works():
    (block,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    namespace: dict[str, object] = {"__name__": "mine"}
    exec(compile(block, "verbs.md", "exec"), namespace)
    cells = as_image(np.array([[0, 1, 1], [2, 2, 3]]), name="evl_01_cells.tif")
    image = as_image(np.array([[9, 100, 200], [50, 60, 120]]), name="evl_01.tif")
    (options,) = re.findall(r'run\("FijiBridge Bright Cells...", "(.*)"\)', PAGE)
    host = Arrays(**{"": image, "evl_01_cells.tif": cells})
    table, said = perform(verb_named("bright_cells"), read_options(options), host)
    assert table.table.to_dict("list") == {"label": [1, 2, 3], "mean": [150, 55, 120]}
    assert said == Say("2 of 3 cells are bright")
    assert markdown() == PAGE, "the page is about those of fijibridge"
    unregister("bright_cells")
