"""The lines of docs/verbs.md from every language in Python's own Fiji with its windows, in one start of it."""

from __future__ import annotations

import json

import pytest

from tests.engines import check_failed, ways
from tests.languages import WRONG, prepared


@pytest.fixture(scope="module")
def found(python, display, tmp_path_factory):
    """What came out of each line, in each language, and what is told of each error."""
    folder = prepared(tmp_path_factory.mktemp("lines"))
    python(
        f"""
        import json
        from pathlib import Path

        import fijibridge as fb
        from tests.engines import Engines, ways
        from tests.languages import WRONG

        folder = Path({str(folder)!r})
        fb.Fiji.start(WHERE, mode="interactive")
        engines = Engines()
        lines = {{language: engines.all_done(folder, language) for language in ways()}}
        errors = {{language: [engines.failed(folder, language, *call) for call in WRONG] for language in ways()}}
        (folder / "found.json").write_text(json.dumps([lines, errors]))
        """,
        DISPLAY=display,
        timeout=550,
    )
    return json.loads((folder / "found.json").read_text())


@pytest.mark.parametrize("language", ways())
def test_every_line_works_without_a_dialog_and_gives_the_same_as_headless(found, lines, language):
    assert found[0][language] == lines


@pytest.mark.parametrize("language", ways())
def test_an_error_ends_what_called_with_its_message_and_images_stay_open(found, language):
    for (command, _), why, one in zip(WRONG, WRONG.values(), found[1][language], strict=True):
        check_failed(language, command, why, True, one)
