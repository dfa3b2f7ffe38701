"""The registry of segmentation methods: each is defined once, and a new one takes a file and a line."""

from __future__ import annotations

import inspect
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fijibridge
from fijibridge.cells.segmentation import methods
from fijibridge.cells.segmentation.flooding import closed
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.segmentation.parameters import make_parameters
from fijibridge.errors import ImageError
from tests.conftest import ROOT

NEW_METHOD = """
from fijibridge.cells.segmentation.methods.method import Method, Parameter


def find(prob, parameters, sides):
    from fijibridge.cells.segmentation.regions import connected_regions

    return connected_regions(prob ** parameters["gamma"] < parameters.threshold)


METHOD = Method(
    find, summary="the threshold of a power", suits="tests", grid={"gamma": (1.0, 4.0)},
    parameters={"gamma": Parameter(1.0, "exponent of the probability", "")},
)
"""

USE = """
import numpy as np
import fijibridge as fb
from fijibridge.cells.segmentation.methods import method_names, parameter_help

prob = np.zeros((9, 9)); prob[4] = 0.8
print(fb.label_cells(prob, "power").max(), fb.label_cells(prob, "power", gamma=4).max())
tuning = fb.tune_segmentation([prob], [np.repeat([1, 0, 2], [36, 9, 36]).reshape(9, 9)], "power")
print(tuning.best)
print(method_names()[-1], parameter_help("gamma"))
"""


def test_a_new_method_takes_one_file_and_one_line(tmp_path):
    """Copy the package, add the file and the name, and use the method from Python in a process of its own."""
    package = Path(fijibridge.__file__).parent
    shutil.copytree(package, tmp_path / "fijibridge", ignore=shutil.ignore_patterns("__pycache__"))
    folder = tmp_path / "fijibridge" / "cells" / "segmentation" / "methods"
    (folder / "power.py").write_text(NEW_METHOD)
    registry = folder / "__init__.py"
    registry.write_text(registry.read_text().replace('"agglomeration"]', '"agglomeration", "power"]'))
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        "2 1", "{'method': 'power', 'gamma': 1.0}", "power exponent of the probability (power 1)",
    ], done.stderr  # fmt: skip


def test_the_registry_knows_every_file_of_the_folder():
    files = {path.stem for path in Path(methods.__file__).parent.glob("*.py")} - {"__init__", "method"}
    assert set(methods.method_names()) == files
    assert methods.DEFAULT_METHOD in files


@pytest.mark.parametrize("name", methods.method_names())
def test_defaults_are_among_what_is_tuned(name):
    method = methods.get_method(name)
    defaults = {"threshold": methods.THRESHOLD, **{n: p.default for n, p in method.parameters.items()}}
    assert method.grid.keys() <= defaults.keys()
    assert all(defaults[parameter] in tried for parameter, tried in method.grid.items())


@pytest.mark.parametrize("name", methods.method_names())
def test_only_methods_that_cover_the_image_leave_no_pixel_out(name):
    prob = np.full((20, 20), 0.1, np.float32)
    prob[10] = 0.9
    method = methods.get_method(name)
    found = method.find(prob, make_parameters(prob, name), closed(2))
    assert found.max() == 2
    assert (found > 0).all() == method.covers


def test_an_unknown_method_is_an_error_with_a_guess():
    with pytest.raises(ImageError, match=r"method 'watersched' is not known; .*; did you mean 'watershed'\?"):
        methods.get_method("watersched")


def test_the_help_of_a_parameter_has_the_default_of_each_method():
    assert methods.parameter_help("h") == (
        "how much wider, in radius, a cell is than its necks (watershed 2, seeded 2, agglomeration 0.5); "
        "depth of a minimum below the lowest way out of it, a probability (minima 0.05)"
    )
    assert methods.parameter_unit("h") == ""
    assert methods.parameter_unit("sigma") == "px"


def test_all_functions_have_the_same_defaults():
    """`label_cells` and its check use the same defaults."""
    by_function, checked = (
        {name: p.default for name, p in inspect.signature(f).parameters.items()} for f in (label_cells, make_parameters)
    )
    shared = by_function.keys() & checked.keys() - {"prob", "method", "own"}
    assert {name: by_function[name] for name in shared} == {name: checked[name] for name in shared}
    assert len(shared) == 7


def test_the_registry_loads_without_numpy():
    code = (
        "import sys; from fijibridge.cells.segmentation import methods; methods.summaries(); "
        "assert not {'numpy', 'scipy', 'xarray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_documentation_lists_every_method():
    page = (ROOT / "docs" / "cells.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    found = ((name, methods.get_method(name)) for name in methods.method_names())
    assert rows == [f"| `{name}` | {method.summary} | {method.suits} |" for name, method in found]
