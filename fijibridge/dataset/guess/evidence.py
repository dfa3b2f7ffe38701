"""Evidence collected for a guess."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from fijibridge.dataset.description import Role
from fijibridge.dataset.guess.file_groups import FileGroup


@dataclass
class Evidence:
    """Guessed fields, and the reasons for them.

    Attributes
    ----------
    fields : dict
        Guessed fields of the description.
    reasons : list of str
        The reason for each guess.
    unknown : list of str
        Questions that the files do not answer.
    chosen : dict
        Group of files chosen for each role.
    kinds : dict
        Appearance of the pixels of a group, by the pattern of the group; None if the pixels cannot be read.
    """

    fields: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    chosen: dict[Role, FileGroup] = field(default_factory=dict)
    kinds: dict[str, str | None] = field(default_factory=dict)
