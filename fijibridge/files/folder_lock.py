"""Lock of the folder of a run, so that two trainings do not write into it at once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from fijibridge.errors import TrainingError

log = logging.getLogger("fijibridge")

LOCK = ".training.lock"
"""File that tells which process trains into a folder: its host, number and start, and since when."""


class FolderLock:
    """Lock of a folder; it ends with :meth:`release`, or with the process.

    Parameters
    ----------
    folder
        Existing folder of a run.
    """

    def __init__(self, folder: Path):
        self.path = folder / LOCK
        self._held = False

    def acquire(self) -> None:
        """Take the lock. A lock of a process of this machine that has ended is replaced.

        Raises
        ------
        TrainingError
            If a process trains into the folder, or may do so: on another machine, nobody can tell from here.
        """
        for _ in range(3):  # another process may replace the same old lock at the same time
            try:
                descriptor = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            except FileExistsError:
                self._replace_old()
                continue
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(_this_process(), file)
            self._held = True
            return
        raise TrainingError(f"{self.path.parent} is being claimed by another training: choose another folder")

    def release(self) -> None:
        """Remove the lock if this object holds it."""
        if self._held:
            self.path.unlink(missing_ok=True)
            self._held = False

    def _replace_old(self) -> None:
        """Remove the lock of a process that has ended; refuse any other."""
        try:
            holder: Any = json.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return
        except (OSError, ValueError):
            holder = {}
        holder = holder if isinstance(holder, dict) else {}
        who = f"process {holder.get('process', '?')} on {holder.get('host', 'an unknown machine')}"
        since = holder.get("since", "an unknown time")
        if not _has_ended(holder):
            raise TrainingError(
                f"{self.path.parent} is in use: {who} has been training there since {since}. Wait for it, or choose "
                f"another folder. If that process no longer runs, remove {self.path}"
            )
        log.warning("%s was locked by %s since %s, which has ended; continuing", self.path.parent, who, since)
        aside = self.path.with_name(f"{LOCK}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)  # only one of several processes succeeds
            aside.unlink()


def _this_process() -> dict[str, Any]:
    return {
        "host": platform.node(), "process": os.getpid(), "start": _start_of(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }  # fmt: skip


def _has_ended(holder: dict[str, Any]) -> bool:
    """Return whether the holder of a lock was a process of this machine that no longer runs; False if unknown."""
    process = holder.get("process")
    if holder.get("host") != platform.node() or not isinstance(process, int) or sys.platform == "win32":
        return False
    if process == os.getpid() and holder.get("start") == _start_of(process):
        return False  # another training of this process
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    now = _start_of(process)
    return holder.get("start") is not None and now is not None and now != holder["start"]  # its number was given anew


def _start_of(process: int) -> str | None:
    """Return when a process started, in the clock of the machine's kernel; None where this is unknown."""
    try:
        # the name of the program, in brackets, may contain blanks
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return f"{Path('/proc/sys/kernel/random/boot_id').read_text().strip()} {fields[19]}"
    except (OSError, IndexError):
        return None
