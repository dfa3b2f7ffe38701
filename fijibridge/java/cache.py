"""The cache folder for files that later processes reuse: jars, compiled classes, patched classes."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path


def cache_folder() -> Path:
    """Return the folder of all caches: ``fijibridge`` in scyjava's cache folder, which is ``~/.jgo`` by default."""
    config = sys.modules.get("scyjava.config")  # not imported, because its hooks run at once if a JVM is running
    base = Path.home() / ".jgo" if config is None else Path(config.get_cache_dir())
    return base / "fijibridge"


def key_of(parts: Iterable[object]) -> str:
    """Return a short hash of some values. It names a file after the values that determine the file's contents.

    Examples
    --------
    >>> key_of(["a", 1]) == key_of(["a", "1"]), len(key_of(["a", 1]))
    (True, 16)
    """
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]
