"""Updates of several files: all are replaced, or none, wherever the process is killed."""

from __future__ import annotations

import os

import pytest

from fijibridge.errors import DatasetError
from fijibridge.files.update import UPDATE, finish_update, updated_files

KILLED = """
import os
from pathlib import Path
from fijibridge.files import update
folder = Path({folder!r})
calls = 0

def killed_after(function):
    def call(*arguments, **more):
        global calls
        calls += 1
        if calls > {steps}:
            os._exit(9)
        return function(*arguments, **more)
    return call

update.os.replace = killed_after(os.replace)
update.shutil.rmtree = killed_after(update.shutil.rmtree)
Path.rename, Path.unlink, Path.write_text = map(killed_after, (Path.rename, Path.unlink, Path.write_text))
with update.updated_files(folder, last="list") as (aside, remove):
    for name in ("a", "b", "list"):
        (aside / name).write_text("new")
    remove.append(folder / "c")
"""


def state(folder):
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


OLD = {"a": "old", "b": "old", "c": "old", "list": "old", "other": "old"}
NEW = {"a": "new", "b": "new", "list": "new", "other": "old"}


COUNT, CERTAIN = 11, 5
"""Number of steps; from this one on, the update is certain: the four files are written, and the folder is moved."""


@pytest.mark.parametrize("steps", range(COUNT + 1))
def test_all_files_are_replaced_or_none(python, tmp_path, steps):
    for name, text in OLD.items():
        (tmp_path / name).write_text(text)
    python(KILLED.format(folder=str(tmp_path), steps=steps), status=9 if steps < COUNT else 0)
    finish_update(tmp_path)
    assert state(tmp_path) == (OLD if steps < CERTAIN else NEW)
    assert not (tmp_path / UPDATE).exists()


def test_an_error_changes_nothing(tmp_path):
    (tmp_path / "a").write_text("old")

    def fail():
        with updated_files(tmp_path) as (aside, _):
            (aside / "a").write_text("new")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_an_update_that_cannot_be_finished_is_told(tmp_path):
    pending = tmp_path / UPDATE
    pending.mkdir()
    (pending / "update.json").write_text("{")
    with pytest.raises(DatasetError, match=r"was being saved when the process ended.*move the files in .* by hand"):
        finish_update(tmp_path)
    assert os.listdir(pending) == ["update.json"]
