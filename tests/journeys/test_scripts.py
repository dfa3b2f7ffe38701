"""Verbs called by scripts, in the languages of ImageJ's recorder and of Fiji's script editor, by the real engines."""

from __future__ import annotations

import jpype
import numpy as np
import pytest

import fijibridge as fb
from tests.engines import JARS

MEASURE = '"FijiBridge Measure Cells...", "cells=cells image=raw measurements=[area mean]"'
WRONG = '"FijiBridge Predict...", "image=raw model=/nowhere"'

TOLD = "FijiBridge Predict...: model is '/nowhere': there is no such file"

# what a person writes in each language: measure, and return how many rows there are
GOOD = {
    "beanshell": f"""
        import ij.IJ; import ij.measure.ResultsTable;
        IJ.run({MEASURE});
        ResultsTable.getResultsTable().size()
    """,
    "groovy": f"""
        import ij.IJ; import ij.measure.ResultsTable
        IJ.run({MEASURE})
        ResultsTable.resultsTable.size()
    """,
    "javascript": f"""
        importPackage(Packages.ij);
        IJ.run({MEASURE});
        Packages.ij.measure.ResultsTable.getResultsTable().size()
    """,
    "jython": f"""
from ij import IJ
from ij.measure import ResultsTable
IJ.run({MEASURE})
result = ResultsTable.getResultsTable().size()
    """,
}
# what fails, and is caught
CAUGHT = {
    "beanshell": f"""
        import ij.IJ;
        told = "";
        try {{ IJ.run({WRONG}); told = "went on"; }} catch (Exception e) {{ told = e.getMessage(); }}
        told
    """,
    "groovy": f"""
        import ij.IJ
        try {{ IJ.run({WRONG}); "went on" }} catch (RuntimeException e) {{ e.message }}
    """,
    "javascript": f"""
        importPackage(Packages.ij);
        try {{ IJ.run({WRONG}); "went on" }} catch (e) {{ "" + e.javaException.getMessage() }}
    """,
    "jython": f"""
from ij import IJ
from java.lang import RuntimeException
try:
    IJ.run({WRONG})
    result = "went on"
except RuntimeException as e:
    result = e.getMessage()
    """,
}
# what fails, and is not caught
UNCAUGHT = {
    "beanshell": f"import ij.IJ; IJ.run({WRONG});",
    "groovy": f"import ij.IJ; IJ.run({WRONG})",
    "javascript": f"importPackage(Packages.ij); IJ.run({WRONG});",
    "jython": f"from ij import IJ\nIJ.run({WRONG})\n",
}


@pytest.fixture
def session(clean):
    cells = np.zeros((20, 30), np.uint8)
    prob = np.zeros((20, 30), np.float32)
    prob[:, 14:16] = 1
    clean.show(prob, name="prob")
    cells[2:8, 3:9], cells[10:15, 12:20] = 3, 7
    clean.show(cells * 2, name="raw")
    clean.show(cells, name="cells")
    return clean


@pytest.mark.parametrize("language", JARS)
def test_a_script_calls_a_verb_and_finds_its_table(session, evaluate, language):
    assert float(evaluate[language](GOOD[language])) == 2
    table = session.table()
    assert table["label"].tolist() == [3, 7]
    assert table["Area"].tolist() == [36, 40]
    assert table["Mean"].tolist() == [6, 14]


@pytest.mark.parametrize("language", JARS)
def test_an_error_is_an_exception_of_the_script_that_says_what_is_wrong(session, evaluate, language):
    assert str(evaluate[language](CAUGHT[language])) == TOLD
    with pytest.raises(jpype.JException) as caught:
        evaluate[language](UNCAUGHT[language])
    assert TOLD in str(caught.value)
    assert not jpype.JClass("ij.IJ").macroRunning()
    assert float(evaluate[language](GOOD[language])) == 2, "and the next script works"


def test_a_script_on_a_thread_of_javas_calls_while_python_waits(session, evaluate):
    code = f"""
        import ij.IJ; import ij.measure.ResultsTable
        def error = null
        def other = Thread.start {{
            try {{ IJ.run({MEASURE}) }} catch (Throwable e) {{ error = e }}
        }}
        other.join()
        error == null ? ResultsTable.resultsTable.size() : -1
    """
    assert int(evaluate["groovy"](code)) == 2
    failing = f"""
        import ij.IJ
        def error = null
        Thread.start {{ try {{ IJ.run({WRONG}) }} catch (Throwable e) {{ error = e }} }}.join()
        error.message
    """
    assert str(evaluate["groovy"](failing)) == TOLD
    assert session.titles() == ["prob", "raw", "cells"]


def test_two_scripts_at_once_each_have_their_own_options_and_errors(session, evaluate, where):
    code = f"""
        import ij.IJ
        def caught = Collections.synchronizedList([])
        def threads = (0..<8).collect {{ i -> Thread.start {{
            try {{
                if (i % 2) IJ.run({WRONG}) else IJ.run("FijiBridge Label Cells...", "image=prob method=threshold")
            }} catch (Throwable e) {{ caught << i }}
        }} }}
        threads*.join()
        caught.sort()
    """
    failed = [int(i) for i in evaluate["groovy"](code)]
    assert failed == [1, 3, 5, 7]
    fiji = fb.Fiji.start(where, mode="headless")
    assert fiji.titles()[:3] == ["prob", "raw", "cells"]
    results = {title: fiji.array(title) for title in fiji.titles()[3:]}
    assert "prob_cells" in results
    assert set(results) <= {"prob_cells", "prob_cells-1", "prob_cells-2", "prob_cells-3"}, "one for each call at a time"
    assert all((labels == results["prob_cells"]).all() for labels in results.values())
