"""The lines of docs/verbs.md from every language, without windows: equal results, no dialog, and what errors do."""

from __future__ import annotations

import pytest

from tests.journeys.test_examples import EXAMPLES, GIVEN, parts
from tests.journeys.test_examples import LANGUAGES as BY_SUFFIX
from tests.languages import BEGIN, GROWN, LANGUAGES, LINES, WRONG, code, prepared
from tests.worker.conftest import ScriptFailed
from tests.worker.languages import all_done

pytestmark = pytest.mark.jvm


@pytest.fixture(scope="session")
def folder(home):
    return prepared(home)


def test_the_page_has_a_line_for_each_verb():
    assert len(LINES) == 11


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_line_works_and_gives_the_same_as_in_pythons_own_fiji(jvm, folder, lines, language):
    assert all_done(jvm, folder, language) == lines


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "macro"])
def test_an_error_is_an_exception_of_the_script(jvm, folder, language):
    jvm(BEGIN, folder=str(folder))
    for (command, options), why in WRONG.items():
        with pytest.raises(ScriptFailed) as caught:
            jvm("speak(language, code)", language=language, code=code(language, command, options))
        assert f"{command}: {why}" in caught.value.trace
    assert jvm("[IJ.macroRunning(), Macro.getOptions(), WindowManager.getImageTitles() as List]") == [
        False, None, ["evl_01_cells.tif", "evl_01.tif"]]  # fmt: skip


@pytest.mark.parametrize("name", sorted(p.name for p in EXAMPLES.iterdir() if not p.name.endswith("_pyimagej.py")))
def test_an_example_gives_the_same_each_time(jvm, folder, name):
    """The label image of the second run is in the window of the first, and is what is measured."""
    _, text = parts(EXAMPLES / name)
    suffix = (EXAMPLES / name).suffix
    language = {".ijm": "macro", ".py": "jython"}.get(suffix) or BY_SUFFIX[suffix]
    model = str(folder / "runs" / "evl" / "model.safetensors")
    given = f'model = "{model}";\n' if language == "macro" else GIVEN[language].replace("MODEL", model)
    # SciJava's thread may hold an image that an earlier script selected, and that was closed since
    given = given.replace("IJ.getImage()", 'WindowManager.getImage("evl_01.tif")').replace(
        "import IJ", "import WindowManager"
    )
    jvm(BEGIN, folder=str(folder))
    for _ in range(2):
        jvm("speak(language, code); null", language=language, code=given + text)
        found = jvm(
            """
            def table = ResultsTable.getResultsTable()
            [(0..<table.size()).collect { table.getValue('Area', it) }, WindowManager.getImageTitles() as List,
                IJ.getImage().getTitle()]
            """
        )
        assert found == [GROWN, ["evl_01_cells.tif", "evl_01.tif", "evl_01_cells"], "evl_01.tif"]
