"""Extend a registry: the new entry appears in functions, verbs, command line and docs."""

from __future__ import annotations

METHOD = '''
import sys
import types
from typing import Literal

import numpy as np

from fijibridge.cells.segmentation import methods
from fijibridge.cells.segmentation.methods.method import Method, Parameter


def find(prob, parameters, sides):
    """Make one cell of all pixels below a share of the threshold."""
    return (prob < parameters.threshold * parameters["share"]).astype(np.int32)


file = types.ModuleType(f"{methods.__name__}.whole")
file.METHOD = Method(
    find,
    summary="one cell for all pixels below the threshold",
    suits="images of a single cell",
    grid={"share": (0.5, 1.0)},
    parameters={"share": Parameter(1.0, "share of the threshold that counts", "probability")},
)
sys.modules[file.__name__] = file
methods.MethodName = Literal[(*methods.method_names(), "whole")]
'''


def test_a_segmentation_method_takes_a_file_and_its_name(python):
    """Function, tuning, verb, macro, command line, docs and Groovy script know it and its parameter."""
    python(
        METHOD
        + """
import fijibridge as fb
from typer.testing import CliRunner
from fijibridge.app.cli import app
from fijibridge.app.verb_pages import markdown
from fijibridge.verbs import Call, verb_named
from fijibridge.worker.scripts import script

prob = fb.as_image(np.array([[0.1, 0.1, 0.9, 0.4]]), name="a_prob")
assert fb.label_cells(prob, "whole", share=0.5, grow=False).values.tolist() == [[1, 1, 0, 0]]
tuning = fb.tune_segmentation([prob], [np.array([[1, 1, 0, 1]])], "whole")
assert len(tuning.table) == 2 and tuning.varied == ("share",)

verb = verb_named("label_cells")
assert verb["method"].choices[-1] == "whole" and "whole for images of a single cell" in verb["method"].help
assert (verb["share"].low, verb["share"].high, verb["share"].default) == (0, 1, None)
values = verb.read({"image": "a", "method": "whole", "share": "0.5", "grow": "false", "outlines": "false"})
(shown,) = verb.run({**values, "image": prob}, Call())
assert shown.labels.values.tolist() == [[1, 1, 0, 0]]

for command in ("label", "tune"):
    text = CliRunner().invoke(app, [command, "--help"], env={"COLUMNS": "250"}).output
    assert "whole" in text and "--share" in text and "share of the threshold that counts" in text
assert "| `share` | share of the threshold that counts (whole 1) |" in markdown()
assert "'whole'" in script(verb) and "name: 'share'" in script(verb)
"""
    )
