"""Names of version 0.1 work, and say what they are called now."""

import importlib
import inspect
import json
import pickle
import pkgutil
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

import fijibridge
from fijibridge import renames
from fijibridge.errors import RenamedWarning


@pytest.mark.parametrize("old", sorted(renames.MODULES))
def test_an_old_module_is_the_new_one(old):
    new = importlib.import_module(f"fijibridge.{renames.MODULES[old]}")
    spec = new.__spec__
    sys.modules.pop(f"fijibridge.{old}", None)
    with pytest.warns(RenamedWarning, match=rf"^fijibridge\.{old} was renamed to fijibridge\.{renames.MODULES[old]}$"):
        assert importlib.import_module(f"fijibridge.{old}") is new
    assert new.__spec__ is spec
    assert new.__name__ == f"fijibridge.{renames.MODULES[old]}"


def test_an_old_module_hides_no_function():
    sys.modules.pop("fijibridge.dataset.leaks", None)
    with pytest.warns(RenamedWarning):
        importlib.import_module("fijibridge.dataset.leaks")
    assert callable(fijibridge.dataset.leaks)


def test_no_old_name_hides_a_module():
    there = {info.name for info in pkgutil.walk_packages(fijibridge.__path__, "fijibridge.")}
    assert not {f"fijibridge.{old}" for old in renames.MODULES} & there
    assert {f"fijibridge.{new}" for new in renames.MODULES.values()} <= there


def test_the_warning_points_to_the_users_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import sys\nimport fijibridge.observing\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=True)
    assert f"{script}:2: RenamedWarning: fijibridge.observing was renamed to fijibridge.observers" in done.stderr


def test_old_modules_run_as_programs():
    done = subprocess.run(
        [sys.executable, "-m", "fijibridge.fiji.scripts", "--help"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "fijibridge.fiji.scripts was renamed to fijibridge.worker.scripts" in done.stderr


def test_an_old_keyword_and_the_new_one_are_an_error():
    @renames.renamed_keywords(width="membrane_width")
    def target(*, membrane_width=3):
        return membrane_width

    with pytest.raises(
        TypeError, match="target got width= and membrane_width=, which mean the same; give only membrane_width="
    ):
        target(width=3, membrane_width=4)


def test_both_orders_of_object_and_path():
    @renames.object_before_path
    def write(rois, path):
        return rois, path

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert write([1], Path("a")) == ([1], Path("a"))
        assert write("a", "b") == ("a", "b")
    with pytest.warns(RenamedWarning, match=r"write\(path, object\) was renamed to write\(object, path\)"):
        assert write("a.zip", [1]) == ([1], "a.zip")


def test_a_path_by_position_and_the_object_by_name():
    @renames.object_before_path
    def write(rois, path, overwrite=False):
        return rois, path, overwrite

    with pytest.warns(RenamedWarning, match=r"write\(path, rois=\) was renamed to write\(rois, path\)"):
        assert write("a.zip", rois=[1], overwrite=True) == ([1], "a.zip", True)


def test_old_keys_can_be_read():
    settings = renames.RenamedKeys({"membrane_width": 3, "epochs": 5}, width="membrane_width", border="border_weight")
    with pytest.warns(RenamedWarning, match="the key 'width' was renamed to 'membrane_width'"):
        assert settings["width"] == 3
    with pytest.warns(RenamedWarning):
        assert settings.get("width") == 3
    assert "width" in settings
    assert "border" not in settings
    assert settings.get("border", 7) == 7
    assert settings.get("epochs") == 5
    assert list(settings) == ["membrane_width", "epochs"]
    assert json.loads(json.dumps(settings)) == settings == pickle.loads(pickle.dumps(settings))
    with pytest.raises(KeyError):
        settings["border"]


@pytest.mark.parametrize(
    ("module", "name"),
    [("fiji.jvm", "java_class"), ("fiji.jvm", "EMBEDDED"), ("verbs.prediction", "stem"), ("files.reading", "SUFFIXES")],
)
def test_names_that_moved_are_found_in_their_old_modules(module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RenamedWarning)
        assert getattr(importlib.import_module(f"fijibridge.{module}"), name) is not None


def renamed_functions():
    """Yield all functions and methods of the package that accept an old name or an old order of parameters."""
    for found in pkgutil.walk_packages(fijibridge.__path__, "fijibridge."):
        if found.name.endswith("__main__"):
            continue
        module = importlib.import_module(found.name)
        own = [value for value in vars(module).values() if getattr(value, "__module__", None) == found.name]
        for owner in (module, *(value for value in own if isinstance(value, type))):
            for name, value in vars(owner).items():
                plain = getattr(value, "__func__", value)
                if (
                    getattr(plain, "__module__", None) == found.name
                    and callable(plain)
                    and hasattr(plain, "__wrapped__")
                ):
                    yield f"{owner.__name__}.{name}", plain


def test_the_new_names_of_parameters_exist_and_the_old_ones_do_not():
    """A decorator with a mistyped name would break the scripts that it is there for."""
    checked = 0
    for name, function in renamed_functions():
        layer, kinds = function, {p.name: p.kind for p in inspect.signature(function).parameters.values()}
        anything = inspect.Parameter.VAR_KEYWORD in kinds.values()
        while layer is not None:
            for old, new in getattr(layer, "__dict__", {}).get("__renamed__", {}).items():
                assert anything or (new in kinds and old not in kinds), (name, old, new)
                checked += 1
            for moved in getattr(layer, "__dict__", {}).get("__positional_before__", ()):
                assert kinds[moved] is inspect.Parameter.KEYWORD_ONLY, (name, moved)
                checked += 1
            layer = getattr(layer, "__wrapped__", None)
    assert checked > 60
