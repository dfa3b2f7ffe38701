"""Search for missing and unused files, unknown provenance, and missing splits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fijibridge.dataset.checks.findings import Finding, relative
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.item import Item
from fijibridge.dataset.toml import FILE_NAME, SCHEMA_NAME
from fijibridge.errors import DatasetError
from fijibridge.files import SUFFIXES
from fijibridge.messages import some


def missing_files(item: Item, folder: Path) -> Iterator[Finding]:
    """Find files that the description names, but that do not exist."""
    for role in item.members:
        try:
            lost = item.missing(role)  # type: ignore[arg-type]
        except DatasetError as error:
            yield Finding("problem", item.name, relative(item.paths[role], folder), str(error), "rename the files")
            continue
        if lost:
            names = some([relative(path, folder) for path in lost], 5)
            todo = f"add it, or set without = [{role!r}] in [files.{item.name!r}]".replace("'", '"')
            series = f" of the series {item.members[role].pattern.text!r}" if len(lost) > 1 or role == "image" else ""
            yield Finding("problem", item.name, names, f"the {role} file is missing{series}", todo)


def unused_files(dataset: Dataset) -> Iterator[Finding]:
    """Find image files in the folder that no pattern fits."""
    used = {path for item in dataset for members in item.members.values() for path in members.paths.values()}
    left = [
        p.name
        for p in sorted(dataset.folder.iterdir())
        if p.suffix.lower() in SUFFIXES and p not in used and not p.name.startswith(".") and p.name != SCHEMA_NAME
    ]
    if left:
        what = "no pattern of the description fits these files"
        yield Finding("note", "", some(left, 5), what, "add a pattern, or ignore this note")


def provenance_findings(dataset: Dataset) -> Iterator[Finding]:
    """Find images whose truth has an unknown origin or was made by an algorithm, and data sets without a split."""
    for item in dataset:
        if not {"labels", "classes"} & set(item.paths):
            continue
        if item.provenance == "unknown":
            todo = 'set provenance = "manual", "corrected" or "algorithm"'
            yield Finding("note", item.name, "", "the origin of its truth is unknown", todo)
        if item.provenance == "algorithm":
            todo = "a score against this truth shows how similar two algorithms are, not how good one is"
            yield Finding("note", item.name, "", "its truth was made by an algorithm", todo)
    if len(dataset) > 1 and not any(item.split != "train" for item in dataset):
        todo = "list some images under validation and test in [split]"
        yield Finding("note", "", FILE_NAME, "all images are for training", todo)
