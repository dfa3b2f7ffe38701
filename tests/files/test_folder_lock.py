"""Locks of run folders."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import textwrap

import pytest

from fijibridge.errors import TrainingError
from fijibridge.files.folder_lock import LOCK, FolderLock, _this_process


def test_a_second_training_is_refused_until_the_first_has_ended(tmp_path):
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.acquire()
    with pytest.raises(
        TrainingError, match=rf"is in use: process {os.getpid()} on {platform.node()} has been training"
    ):
        second.acquire()
    second.release()
    assert (tmp_path / LOCK).exists(), "who does not hold it cannot release it"
    first.release()
    second.acquire()
    second.release()
    assert not list(tmp_path.iterdir())


def test_the_lock_of_a_killed_process_is_replaced(tmp_path, caplog):
    code = f"""
        import os
        from pathlib import Path
        from fijibridge.files.folder_lock import FolderLock
        FolderLock(Path({str(tmp_path)!r})).acquire()
        os._exit(9)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    lock = FolderLock(tmp_path)
    lock.acquire()
    assert "was locked by process" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == [LOCK]


@pytest.mark.parametrize("holder", [
    {"host": "another"}, {"host": "another", "process": 1}, {"process": 1, "start": None}, {}, [], "no JSON",
])  # fmt: skip
def test_a_lock_is_never_taken_from_whom_one_cannot_know_to_have_ended(tmp_path, holder):
    about = {**_this_process(), **holder} if isinstance(holder, dict) and holder else holder
    text = holder if isinstance(holder, str) else json.dumps(about)
    (tmp_path / LOCK).write_text(text)
    with pytest.raises(TrainingError, match=r"is in use: .* since .* remove .*\.training\.lock"):
        FolderLock(tmp_path).acquire()
    assert (tmp_path / LOCK).read_text() == text


def test_a_number_that_was_given_anew_is_another_process(tmp_path):
    (tmp_path / LOCK).write_text(json.dumps({**_this_process(), "start": "another boot 5"}))
    FolderLock(tmp_path).acquire()
