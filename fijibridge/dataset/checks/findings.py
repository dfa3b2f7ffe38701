"""Findings of a check, each with severity, file, problem and advice."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.item import Item

Severity: TypeAlias = Literal["problem", "note"]
_NAMED = 3
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Finding:
    """A problem in a data set, or a note about it.

    Attributes
    ----------
    severity : str
        ``"problem"`` or ``"note"``.
    item : str
        Name of the image, or names of several images; empty for the whole folder.
    file : str
        Path of the file, relative to the folder; empty if there is none.
    what : str
        What was found.
    todo : str
        What to do.

    Examples
    --------
    >>> print(Finding("problem", "15", "15_labels.tif", "the file is missing", "add it"))
    problem  15, 15_labels.tif: the file is missing: add it
    """

    severity: Severity
    item: str
    file: str
    what: str
    todo: str

    def __str__(self) -> str:
        place = ", ".join(p for p in (self.item, self.file) if p)
        return f"{self.severity:<8} {place or 'folder'}: {self.what}: {self.todo}"


def finding(severity: Severity, item: Item, dataset: Dataset, role: str, what: str, todo: str) -> Finding:
    """Return a finding about a role's file."""
    return Finding(severity, item.name, relative(item.paths[role], dataset.folder), what, todo)


def relative(path: Path, folder: Path) -> str:
    """Return a path relative to a folder, with ``/`` as separator; unchanged if the path is outside the folder."""
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Join findings that differ only in their numbers into one finding with the range of each number.

    Problems are not joined if there are at most three of a kind.

    Examples
    --------
    >>> many = [Finding("note", name, f"{name}.tif", f"{n} ids are not used", "-") for n, name in enumerate("abcd")]
    >>> print(*together(many))
    note     a, b, c ... (4 in all): 0 to 3 ids are not used: -
    """
    same: dict[tuple[str, str, str], list[Finding]] = {}
    for found in findings:
        same.setdefault((found.severity, _NUMBER.sub("#", found.what), found.todo), []).append(found)
    return list(_joined(same.values()))


def _joined(groups: Iterable[list[Finding]]) -> Iterator[Finding]:
    for group in groups:
        few = len(group) <= _NAMED
        if len(group) == 1 or (few and group[0].severity == "problem"):
            yield from group
            continue
        names = ", ".join(dict.fromkeys(f.item for f in group[:_NAMED])) + (
            "" if few else f" ... ({len(group)} in all)"
        )
        yield replace(group[0], item=names, file="", what=_ranges(group))


def _ranges(group: list[Finding]) -> str:
    """Return the text of a group, with "smallest to largest" in place of each number that differs."""
    columns = list(zip(*(_NUMBER.findall(f.what) for f in group), strict=True))
    spans = iter([c[0] if len(set(c)) == 1 else f"{min(c, key=float)} to {max(c, key=float)}" for c in columns])
    return _NUMBER.sub(lambda _: next(spans), group[0].what)
