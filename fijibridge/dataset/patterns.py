"""Patterns of file names, with placeholders for the image's name and for planes, channels, frames and tiles.

Users need not write regular expressions. A pattern is translated to a regular expression in which only the name can
backtrack, so no file name takes long to match.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from fijibridge.files import split_key

SERIES = ("t", "c", "z", "tile_y", "tile_x", "tile")
"""Placeholders that number the files of one image."""

_WORDS = ("c", "tile")  # may be words; the others are numbers
_MOST_CHARACTERS = 1000
_MOST_FOLDERS = 8


@dataclass(frozen=True)
class Pattern:
    """A pattern of paths in a folder, such as ``"{name}_z{z}.tif"`` or ``"{name}.h5:/raw"``.

    Attributes
    ----------
    text : str
        Text of the pattern. ``*`` means ``{name}``.
    allowed : tuple of str
        Names of the allowed placeholders.

    Examples
    --------
    >>> pattern = Pattern("{name}_t{t}_c{c}.tif")
    >>> pattern.match("embryo_1_t003_cmembrane.tif")
    {'name': 'embryo_1', 't': '003', 'c': 'membrane'}
    >>> pattern.fill({"name": "a", "t": "1", "c": "2"})
    'a_t1_c2.tif'
    """

    text: str
    allowed: tuple[str, ...] = ("name", *SERIES)

    @cached_property
    def key(self) -> str | None:
        """Path inside the file, after ``:``; None if the pattern has none."""
        return split_key(self.text)[1]

    @cached_property
    def parts(self) -> tuple[str, ...]:
        """Fixed text and placeholders in turn; the first and last part are text, which may be empty."""
        file = self.text if self.key is None else self.text[: -len(self.key) - 1]
        return tuple(re.split(r"(\{[^{}]*\})", file.replace("*", "{name}")))

    @cached_property
    def fields(self) -> tuple[str, ...]:
        """Names of the placeholders, in order and without repetitions."""
        return tuple(dict.fromkeys(part[1:-1] for part in self.parts[1::2]))

    @cached_property
    def series(self) -> tuple[str, ...]:
        """Placeholders that number the files of one image."""
        return tuple(f for f in self.fields if f in SERIES)

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        # a repeated placeholder must have the same value, so it becomes a backreference
        text, seen = "", set()
        for n, part in enumerate(self.parts):
            field = part[1:-1]
            if n % 2 == 0:
                text += re.escape(part)
            elif field in seen:
                text += f"(?P={field})"
            else:
                seen.add(field)
                text += f"(?P<{field}>{_expression(field, self.parts[n + 1])})"
        return re.compile(text)

    def match(self, path: str) -> dict[str, str] | None:
        """Return the values of the placeholders in a path with ``/`` as separator; None if the path does not fit."""
        found = self._regex.fullmatch(path)
        return None if found is None else found.groupdict()

    def fill(self, values: Mapping[str, str]) -> str:
        """Return the path with values in place of the placeholders, without the path inside the file."""
        return "".join(values[p[1:-1]] if n % 2 else p for n, p in enumerate(self.parts))

    def find(self, folder: Path) -> Iterator[tuple[dict[str, str], Path]]:
        """Yield the placeholder values and the path of each file in the folder that fits."""
        wild = "".join("*" if n % 2 else glob.escape(p) for n, p in enumerate(self.parts))
        for path in sorted(_glob(folder, wild)):
            if path.name.startswith(".") and not PurePosixPath(wild).name.startswith("."):
                continue  # hidden files are made by the system, or left by an interrupted writer
            values = self.match(path.relative_to(folder).as_posix())
            if values is not None:
                yield values, path


def _glob(folder: Path, wild: str) -> list[Path]:
    """Return matching paths. Wildcards do not follow links to folders, because links could form a cycle."""
    *outer, last = wild.split("/")
    folders = [folder]
    for part in outer:
        found = [path for above in folders for path in above.glob(part) if path.is_dir()]
        folders = [path for path in found if "*" not in part or not path.is_symlink()]
    return [path for above in folders for path in above.glob(last)] if last else []


def checked(text: str, allowed: tuple[str, ...] = ("name", *SERIES)) -> str:
    """Return the text of a pattern if it is valid.

    Raises
    ------
    ValueError
        If the pattern leaves the folder, contains an unknown placeholder, or has no text between two placeholders.
    """
    if not text or len(text) > _MOST_CHARACTERS or "\0" in text:
        raise ValueError(f"the pattern has {len(text)} characters; expected 1 to {_MOST_CHARACTERS}")
    if text.count("/") > _MOST_FOLDERS and split_key(text)[0].as_posix().count("/") > _MOST_FOLDERS:
        raise ValueError(f"{text[:60]!r} ... goes through more than {_MOST_FOLDERS} folders")
    _refuse_outside(text)
    pattern = Pattern(text, allowed)
    unknown = [f for f in pattern.fields if f not in allowed]
    if unknown:
        raise ValueError(f"{text!r} contains the unknown placeholder {{{unknown[0]}}}; expected {_braced(allowed)}")
    if "{" in (pattern.key or "") or "*" in (pattern.key or ""):
        raise ValueError(f"{text!r} has a placeholder after the ':'; expected placeholders in the file name only")
    _refuse_unclear(pattern)
    return text


def _braced(fields: tuple[str, ...]) -> str:
    return ", ".join(f"{{{f}}}" for f in fields)


def _refuse_outside(text: str) -> None:
    """Refuse a path that leaves the folder on any operating system."""
    drive = re.match(r"^[A-Za-z]:", text)
    if "\\" in text:
        raise ValueError(f"{text!r} has a backslash: write / between folders")
    if drive or text.startswith(("/", "~")) or ".." in re.split(r"[/:]", text):
        raise ValueError(f"{text!r} leaves the folder; expected files inside the folder of the description")


def _refuse_unclear(pattern: Pattern) -> None:
    """Refuse adjacent placeholders without a clear boundary, because they could take long to match."""
    parts = pattern.parts
    for n in range(1, len(parts) - 2, 2):
        between, field, following = parts[n + 1], parts[n][1:-1], parts[n + 2]
        if not between or (field != "name" and between[0].isdigit()):
            raise ValueError(
                f"{pattern.text!r}: nothing separates {parts[n]} and {following}; put a letter or _ between them"
            )
    if set(pattern.fields) >= {"tile", "tile_y"} or set(pattern.fields) >= {"tile", "tile_x"}:
        raise ValueError(f"{pattern.text!r}: expected {{tile_y}} and {{tile_x}}, or {{tile}} with offsets, not both")


def _expression(field: str, following: str) -> str:
    """Return the regular expression of a placeholder.

    ``++`` never backtracks, so only the name can match in more than one way.
    """
    if field in ("name", "source"):
        return r"[^/]+"
    if field in _WORDS and not following[:1].isalnum():
        return r"[A-Za-z0-9]++"
    return r"[0-9]++"
