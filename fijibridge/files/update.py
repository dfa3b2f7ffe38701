"""Update of several files of a folder: all of them are replaced, or none, even if the process is killed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fijibridge.errors import DatasetError
from fijibridge.files.writer import sync_folder, temporary_folder

UPDATE = ".fijibridge-update"
"""Folder of an update that is complete, but whose files are not all in place yet."""
_LIST = "update.json"


@contextmanager
def updated_files(folder: Path, last: str = "") -> Iterator[tuple[Path, list[Path]]]:
    """Yield an empty folder for new files, and an empty list for files to remove.

    At the end, the new files replace those of the same name, and the listed files are removed. If the process is killed
    before, nothing has changed; if it is killed meanwhile, :func:`finish_update` completes the update.

    Parameters
    ----------
    folder
        Existing folder of the files.
    last
        Name of the file that is replaced after all others.

    Raises
    ------
    DatasetError
        If an earlier update cannot be completed.
    """
    finish_update(folder)
    with temporary_folder(folder / UPDATE) as aside:
        stale: list[Path] = []
        yield aside, stale
        files = sorted((path.name for path in aside.iterdir()), key=lambda name: (name == last, name))
        plan = {"files": files, "remove": [path.name for path in stale]}
        (aside / _LIST).write_text(json.dumps(plan), encoding="utf-8")
        sync_folder(aside)
        finish_update(folder)  # that of another process, which was faster
        aside.rename(folder / UPDATE)
    finish_update(folder)


def finish_update(folder: Path) -> None:
    """Complete an update that was interrupted; do nothing if there is none.

    Raises
    ------
    DatasetError
        If the files cannot be moved.
    """
    pending = folder / UPDATE
    if not pending.is_dir():
        return
    try:
        plan = json.loads((pending / _LIST).read_text(encoding="utf-8"))
        _move(pending, folder, plan["files"])
        _remove(folder, plan["remove"], plan["files"])
        sync_folder(folder, files=False)
        shutil.rmtree(pending)
    except FileNotFoundError:
        return  # another process completed it meanwhile
    except (OSError, ValueError, KeyError) as error:
        raise DatasetError(
            f"{folder} was being saved when the process ended, and the rest cannot be put into place: {error}. Make "
            f"the folder writable, or move the files in {pending} there by hand"
        ) from error


def _move(pending: Path, folder: Path, files: Sequence[str]) -> None:
    for name in files:
        source = pending / Path(name).name
        if source.exists():
            os.replace(source, folder / source.name)


def _remove(folder: Path, stale: Iterable[str], files: Iterable[str]) -> None:
    """Remove files, except those that were just replaced because the file system ignores case."""
    written = {file.lower(): folder / file for file in files}
    for name in stale:
        path = folder / Path(name).name
        twin = written.get(path.name.lower())
        if twin is None or not (path.exists() and path.samefile(twin)):
            path.unlink(missing_ok=True)
