"""What a look at a folder brought up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

_NAMED = 3
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a folder of images, or worth knowing.

    Attributes
    ----------
    severity : str
        ``"problem"`` or ``"note"``.
    item : str
        Name of the image, or of several; empty for the folder.
    file : str
        The file, seen from the folder; empty where it is none.
    what : str
        What was found.
    todo : str
        What to do.

    Examples
    --------
    >>> print(Finding("problem", "15", "15_labels.tif", "the file is missing", "add it"))
    problem  15, 15_labels.tif: the file is missing: add it
    """

    severity: Literal["problem", "note"]
    item: str
    file: str
    what: str
    todo: str

    def __str__(self) -> str:
        place = ", ".join(p for p in (self.item, self.file) if p)
        return f"{self.severity:<8} {place or 'folder'}: {self.what}: {self.todo}"


def together(findings: Iterable[Finding]) -> list[Finding]:
    """Tell what was found for many images once, with the range of its numbers; a few problems one by one.

    Examples
    --------
    >>> many = [Finding("note", name, f"{name}.tif", f"{n} ids are not used", "-") for n, name in enumerate("abcd")]
    >>> print(*together(many))
    note     a, b, c ... (4 in all): 0 to 3 ids are not used: -
    """
    same: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        same.setdefault((finding.severity, _NUMBER.sub("#", finding.what), finding.todo), []).append(finding)
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
    """Set the least and the greatest in the place of each number that differs."""
    columns = list(zip(*(_NUMBER.findall(f.what) for f in group), strict=True))
    spans = iter([c[0] if len(set(c)) == 1 else f"{min(c, key=float)} to {max(c, key=float)}" for c in columns])
    return _NUMBER.sub(lambda _: next(spans), group[0].what)
