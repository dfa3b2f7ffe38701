"""The lines of docs/verbs.md from every language in Python's own Fiji, headless: equal results, and what errors do."""

from __future__ import annotations

import pytest

from tests.engines import check_failed, ways
from tests.languages import WRONG, prepared


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepared(tmp_path_factory.mktemp("lines"))


@pytest.mark.parametrize("language", [name for name in ways() if name != "macro"])
def test_every_line_works_and_gives_the_same_as_from_a_macro(clean, engines, folder, lines, language):
    assert engines.all_done(folder, language) == lines


@pytest.mark.parametrize("language", ways())
def test_an_error_ends_what_called_with_its_message_and_images_stay_open(clean, engines, folder, language):
    for (command, options), why in WRONG.items():
        check_failed(language, command, why, False, engines.failed(folder, language, command, options))
