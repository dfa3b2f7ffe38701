"""Memory of this machine, container and process, as reported by the operating system."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

_CGROUPS = Path("/sys/fs/cgroup")
_UNLIMITED = 2**60  # cgroup v1 writes a number near 2**63 for "no limit"


def total_memory() -> int | None:
    """Return the memory of the machine, or the limit of its container, in bytes; None if unknown."""
    built_in = None
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        built_in = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    known = [n for n in (built_in, *(limit for limit, _ in _groups())) if n is not None]
    return min(known, default=None)


def available_memory() -> int | None:
    """Return the memory in bytes that can be allocated without swapping, within a container's limit; None if unknown.

    Notes
    -----
    On Linux, this is the smallest of ``MemAvailable`` and the free memory of each control group of this process,
    including parent groups. A group's free memory is limit - usage + file cache, because the kernel frees the cache
    when needed. On other systems, the result is :func:`total_memory`.
    """
    known = [limit - used for limit, used in _groups()]
    machine = _of_file(Path("/proc/meminfo"), "MemAvailable", 1024)
    if machine is None:
        machine = total_memory()
    if machine is not None:
        known.append(machine)
    return max(0, min(known)) if known else None


def resident_memory() -> int | None:
    """Return the resident memory of this process in bytes; None if unknown (macOS, Windows)."""
    return _of_file(Path("/proc/self/status"), "VmRSS", 1024)


def release_memory() -> None:
    """Return freed memory to the system if the allocator supports it (glibc)."""
    gc.collect()
    if sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


class PeakMemory:
    """Context manager that measures the peak resident memory of this process with a thread.

    Attributes
    ----------
    before : int or None
        Resident memory at the start of the block, in bytes; None if unknown.
    peak : int or None
        Largest resident memory since the start of the block, in bytes; None if unknown.

    Notes
    -----
    The thread reads the memory every 10 ms, so it may miss a short peak. The kernel's high-water mark (``VmHWM``)
    misses none: if it rises during the block, it is the peak.

    Examples
    --------
    >>> with PeakMemory() as watch:
    ...     block = bytearray(50_000_000)
    >>> watch.peak is None or watch.peak - watch.before > 40_000_000
    True
    """

    def __init__(self, interval: float = 0.01):
        self.before: int | None = None
        self.peak: int | None = None
        self._interval = interval
        self._mark: int | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> PeakMemory:
        self.before = self.peak = resident_memory()
        self._mark = _of_file(Path("/proc/self/status"), "VmHWM", 1024)
        if self.before is not None:
            self._thread = threading.Thread(target=self._watch, name="fijibridge-memory", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._look()
        mark = _of_file(Path("/proc/self/status"), "VmHWM", 1024)
        if mark is not None and self._mark is not None and mark > self._mark:
            self.peak = max(mark, self.peak or 0)

    @property
    def growth(self) -> int | None:
        """Growth from the start of the block to the peak, in bytes; None if unknown."""
        return None if self.peak is None or self.before is None else self.peak - self.before

    def _watch(self) -> None:
        while not self._ended.wait(self._interval):
            self._look()

    def _look(self) -> None:
        now = resident_memory()
        if now is not None:
            self.peak = max(now, self.peak or 0)


def _of_file(path: Path, key: str, factor: int = 1) -> int | None:
    """Return the number after a key in a file with lines such as ``VmRSS:  123 kB`` or ``inactive_file 123``."""
    try:
        for line in path.read_text().splitlines():
            words = line.replace(":", " ").split()
            if words and words[0] == key:
                return factor * int(words[1])
    except (OSError, ValueError, IndexError):
        return None
    return None


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() and int(text) < _UNLIMITED else None


def _groups() -> Iterator[tuple[int, int]]:
    """Yield (limit, usage without file cache) for each control group (v1 or v2) that limits this process, in bytes."""
    for folder, limit_name, use_name, cache in _group_folders():
        limit, use = _number(folder / limit_name), _number(folder / use_name)
        if limit is not None:
            spare = _of_file(folder / "memory.stat", cache) or 0
            yield limit, max(0, (use or 0) - spare)


def _group_folders() -> Iterator[tuple[Path, str, str, str]]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            names = ("memory.max", "memory.current", "inactive_file")
            root = _CGROUPS
        elif "memory" in kinds.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            root = _CGROUPS / "memory"
        else:
            continue
        folder = root / path.lstrip("/")
        # A limit applies to all groups below it, so the parents count too.
        for place in dict.fromkeys([folder, *(p for p in folder.parents if p == root or root in p.parents), root]):
            yield place, *names
