from __future__ import annotations

import importlib
import re
import tomllib

import pytest
import yaml

import fijibridge as fb
from fijibridge import errors
from fijibridge.errors import RenamedWarning

from .conftest import ROOT

PUBLIC = {
    "Augmentation", "Dataset", "Description",
    "Fiji", "FijiBridgeError", "IGNORE", "Model", "Normalisation",
    "PatchSampler", "Roi", "Run", "Sample", "SavedPatches", "Settings",
    "UNet", "__version__", "add_to_dataset", "affinity_target", "as_image", "average_precision",
    "ceiling", "check_dataset",
    "class_target", "class_weights", "compare_labels", "compare_predictions", "compare_runs", "compare_match_tables",
    "current", "describe_dataset", "diagnose", "distance_target", "downscale", "error_map",
    "export_model", "grow_labels", "imagej_info",
    "label_cells",
    "label_cells_tiled", "labels_from_membranes", "labels_to_rois", "changed_cells", "match_labels", "match_table",
    "membrane_target", "pixel_size", "plan", "predict", "predict_files", "read_image", "read_record", "read_rois",
    "receptive_field", "report_run", "rois_to_labels", "rois_to_mask", "save_dataset", "save_patches",
    "split_parts", "synthetic_epithelium", "thumbnail", "train", "tune_segmentation", "upscale", "verb",
    "weight_errors", "weight_map", "write_image", "write_rois",
}  # fmt: skip


def test_public_names_are_pinned():
    assert set(fb.__all__) == PUBLIC
    assert set(fb.__all__) == {"__version__", *fb._HOME}


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_public_name_loads_and_is_documented(name):
    thing = getattr(fb, name)
    if callable(thing):
        assert thing.__doc__


@pytest.mark.parametrize("old", sorted(set(fb._RENAMED) - set(fb._HOME)))
def test_old_public_names_work_and_warn(old):
    home, _, new = fb._RENAMED[old].partition(":")
    module = f"fijibridge.{home}" if home else "fijibridge"
    with pytest.warns(
        RenamedWarning, match=rf"^fijibridge\.{old} was renamed to {re.escape(module)}\.{new}$"
    ) as caught:
        thing = getattr(fb, old)
    assert thing is getattr(importlib.import_module(module), new)
    assert caught[0].filename == __file__


def test_unknown_name():
    with pytest.raises(AttributeError, match="no_such_thing"):
        fb.no_such_thing  # noqa: B018


def test_import_is_free(python):
    """Importing starts no JVM, loads nothing but Python's own modules, and adds no log handler."""
    python(
        """
        import logging, sys
        import fijibridge
        loaded = {name.split(".")[0] for name in sys.modules} - set(sys.stdlib_module_names)
        heavy = {"torch", "jpype", "scyjava", "lightning", "numpy", "xarray", "pandas"} & loaded
        assert not heavy, heavy
        ours = {name for name in sys.modules if name.startswith("fijibridge.")}
        assert ours == {"fijibridge.errors", "fijibridge.renames", "fijibridge.version"}, ours
        assert not logging.getLogger("fijibridge").handlers
        """
    )


def test_every_error_is_ours_and_a_builtin():
    found = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, Exception)]
    assert len(found) >= 10
    for error in found:
        assert error.__name__ in errors.__doc__
        if error not in (errors.FijiBridgeError, errors.FijiBridgeWarning):
            ours, builtin = error.__bases__
            assert ours is (errors.FijiBridgeWarning if issubclass(error, Warning) else errors.FijiBridgeError)
            assert builtin.__module__ == "builtins"


CONDA_NAMES = {"torch": "pytorch", "typer": "typer", "matplotlib": "matplotlib-base", "dask": "dask-core"}


def _name(requirement: str) -> str:
    return re.split(r"[<>=!\[;]", requirement)[0].strip().lower()


def test_environment_yml_equals_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    listed = {}
    for entry in environment["dependencies"]:
        if isinstance(entry, dict):
            listed |= {_name(e): e for e in entry["pip"] if not e.startswith("-e")}
        else:
            listed[_name(entry)] = entry
    expected = {
        CONDA_NAMES.get(_name(d), _name(d)): re.sub(r"\[.*\]", "", d)[len(_name(d)) :] for d in project["dependencies"]
    }
    expected["python"] = project["requires-python"]
    found = {name: entry[len(name) :].strip() for name, entry in listed.items() if name != "pip"}
    assert found == expected
