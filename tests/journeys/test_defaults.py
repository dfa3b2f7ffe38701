"""A setting has one default through Python, verbs, and the command line; renamed options work in all of them."""

from __future__ import annotations

import inspect

import pytest
import typer

import fijibridge as fb
from fijibridge.app.cli import app, segmentation
from fijibridge.app.demo import run_demo
from fijibridge.cells.segmentation.methods import DEFAULT_METHOD, method_names, method_parameters
from fijibridge.cells.segmentation.tuning import GRIDS, METRICS
from fijibridge.errors import OptionError, RenamedWarning
from fijibridge.imagej.measurements import MEASUREMENTS
from fijibridge.nn.patches.sampling_modes import MODES
from fijibridge.nn.training import Settings
from fijibridge.reports.segmentation import write_report
from fijibridge.verbs import all_verbs, verb_named

FUNCTIONS = {
    "label_cells": fb.label_cells, "match_labels": fb.match_labels, "show_errors": fb.diagnose, "predict": fb.predict,
    "predict_folder": fb.predict_files, "plan": fb.plan, "measure_cells": None, "train_u_net": None,
    "save_training_set": None, "stop_training": None, "about": None,
}  # fmt: skip
"""The Python function of each verb; None for those that have none with defaults of their own."""

OTHERWISE = {
    ("label_cells", "method"): DEFAULT_METHOD,  # None in Python for one version, which warns
    ("label_cells", "grow"): True,
}

OTHER_MEANING = {"image", "labels", "region", "out", "label", "validation", "name", "description"}
"""Options that mean something else than the parameter of that name, or that are passed on only if they are given."""

COMMANDS = {
    "ceiling": fb.ceiling, "plan": fb.plan, "predict": fb.predict_files, "label": fb.label_cells,
    "tune": fb.tune_segmentation, "match": fb.match_labels, "report": write_report, "compare": fb.compare_runs,
    "export": fb.export_model, "demo": run_demo,
}  # fmt: skip


def defaults(function) -> dict[str, object]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name: p.default for p in parameters if p.default is not p.empty}


def options(command: str) -> dict[str, object]:
    """The default of each option of a command, as the function behind it gets it."""
    context = typer.main.get_command(app).make_context("fijibridge", [command, "--help"], resilient_parsing=True)
    found = {}
    for option in context.command.get_command(context, command).params:
        value = getattr(option.default, "name", option.default)
        found[option.name] = None if callable(value) else value
    return found


def test_each_verb_has_the_defaults_of_its_function():
    assert set(FUNCTIONS) == {verb.name for verb in all_verbs()}
    compared = 0
    for name, function in FUNCTIONS.items():
        known = {} if function is None else defaults(function)
        for parameter in verb_named(name).parameters:
            if parameter.name in known and not parameter.required:
                expected = OTHERWISE.get((name, parameter.name), known[parameter.name])
                assert parameter.default == expected, (name, parameter.name)
                compared += 1
    assert compared > 30


def test_each_command_has_the_defaults_of_its_function():
    compared = 0
    for command, function in COMMANDS.items():
        given, known = options(command), defaults(function)
        for name in set(given) & set(known) - OTHER_MEANING:
            expected = known[name]
            if name in ("factors", "methods"):
                expected = ",".join(map(str, expected))
            if (name == "method" and command == "label") or name in ("overwrite", "tags"):
                expected = {"method": DEFAULT_METHOD}.get(name, expected)
            assert given[name] == expected, (command, name)
            compared += 1
    assert compared > 30


def test_settings_have_their_defaults_in_the_verb_and_leave_them_to_the_settings_in_the_command():
    settings, given = Settings(), options("train")
    shared = [p for p in verb_named("train_u_net").parameters if p.name in Settings.model_fields]
    assert len(shared) >= 14
    for parameter in shared:
        assert parameter.default == getattr(settings, parameter.name)
        assert given[parameter.name] is None


def test_choices_are_those_of_the_registries():
    assert verb_named("label_cells")["method"].choices == method_names() == tuple(GRIDS)
    assert verb_named("train_u_net")["sampling"].choices == tuple(MODES)
    assert [metric.value for metric in segmentation.Metric] == list(METRICS)
    assert verb_named("measure_cells")["measurements"].default.split() == list(MEASUREMENTS)
    tuned = options("tune")
    for name in method_parameters():
        assert verb_named("label_cells")[name].kind == "number"
        assert name in tuned


def test_padding_has_the_choices_of_predict(tmp_path):
    for padding in verb_named("predict")["padding"].choices:
        assert padding in (fb.predict.__doc__ or "")


RENAMED = {
    ("train_u_net", "width"): "membrane_width", ("show_errors", "width"): "membrane_width",
    ("show_errors", "threshold"): "membrane_threshold", ("label_cells", "border"): "edge_cells",
    ("predict", "border"): "padding", ("predict_folder", "border"): "padding", ("plan", "memory"): "memory_limit",
}  # fmt: skip


def test_renamed_parameters_of_verbs():
    assert {(v.name, old): p.name for v in all_verbs() for p in v.parameters for old in p.was} == RENAMED


@pytest.mark.parametrize(
    ("arguments", "new", "wrong"),
    [
        (("train", "x", "--out=y", "--width=0"), "--membrane-width", "membrane_width is 0"),
        (("plan", "x", "--memory=4GB", "--depth=0"), "--memory-limit", "depth is 0"),
        (("label", "x", "--border=remove", "--threshold=2"), "--edge-cells", "threshold is 2"),
        (("predict", "m", "x", "-o=y", "--border=mirror", "--tile=0"), "--padding", "tile is 0"),
        (("report", "x", "--width=0"), "--membrane-width", "membrane_width is 0"),
        (("report", "x", "--threshold=2"), "--membrane-threshold", "membrane_threshold is 2"),
        (("run", "show-errors", "--true=a", "--predicted=b", "--out=y", "--width=0"), "--membrane-width", "width is 0"),
    ],
)
def test_old_flags_work_and_warn(arguments, new, wrong):
    """Another option is out of its range, so that nothing is read or written."""
    from typer.testing import CliRunner

    with pytest.warns(RenamedWarning, match=f"{new}$"):
        done = CliRunner().invoke(app, arguments)
    assert isinstance(done.exception, OptionError)
    assert wrong in str(done.exception)


def test_old_flags_are_not_in_the_help():
    from typer.testing import CliRunner

    text = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "200"}).output
    assert "--membrane-width" in text
    assert "--width" not in text


def test_commands_are_in_the_order_of_the_work():
    group = typer.main.get_command(app)
    names = group.list_commands(group.make_context("fijibridge", ["--help"], resilient_parsing=True))
    assert names == [
        "install-scripts", "uninstall-scripts", "doctor", "demo", "describe", "check", "ceiling", "plan", "train",
        "predict", "label", "tune", "match", "report", "compare", "export", "run",
    ]  # fmt: skip
