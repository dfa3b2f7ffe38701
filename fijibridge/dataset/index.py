"""Images that the description of a folder defines, each with its files, split and properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from fijibridge.dataset.derivation import place_in_origin, with_places
from fijibridge.dataset.description import ROLES, DerivedFrom, Description, FileFacts, NameParts, Role, Split
from fijibridge.dataset.item import Item
from fijibridge.dataset.members import Members
from fijibridge.dataset.patterns import Pattern
from fijibridge.dataset.toml import FILE_NAME, SCHEMA_NAME
from fijibridge.errors import DatasetError
from fijibridge.files.ome_zarr import is_zarr
from fijibridge.messages import hint, some

_MOST_PATTERNS = 1000
_OWN = ("membranes", "provenance", "provenance_note", "dims", "pixel_size", "unit", "time_unit", "channels", "tiles")


def items_of(folder: Path, description: Description) -> list[Item]:
    """Return all images of a folder, sorted by name.

    Raises
    ------
    DatasetError
        If no file fits the description, or the description names images that do not exist.
    """
    roles = {role: _found(folder, text) for role, text in _series(description).items()}
    found = _images(folder, description, roles)
    names = sorted({*found, *_named_apart(description)})
    if not names:
        raise DatasetError(f"no file in {folder} fits {description.image!r}; the folder contains {_some_files(folder)}")
    facts = _facts_by_name(folder, names, description.files)
    splits = _splits(folder, names, description.split)
    items = [_item(folder, name, splits[name], description, facts[name], {"image": found, **roles}) for name in names]
    return with_places(items)


def _named_apart(description: Description) -> list[str]:
    """Return the names of images whose file is given in ``[files.NAME]``."""
    return [name for name, facts in description.files.items() if facts.image is not None and "*" not in name]


def refuse_misfit(folder: Path, description: Description, coming: Iterable[str]) -> None:
    """Check that a folder could be opened with this description, before the files of the folder are written.

    Raises
    ------
    DatasetError
        If opening the folder would fail.
    """
    apart = _named_apart(description)
    names = sorted({*coming, *apart})
    facts = _facts_by_name(folder, names, description.files)
    splits = _splits(folder, names, description.split)
    for name in apart:
        _item(folder, name, splits[name], description, facts[name], {})
    parents: dict[str, DerivedFrom] = {}
    for name in names:
        _name_parts(name, description)
        derived = [entry.derived_from for entry in facts[name] if entry.derived_from is not None]
        parents |= {name: derived[-1]} if derived else {}
    for name in parents:
        place_in_origin(name, parents)


def _images(folder: Path, description: Description, roles: Mapping[Role, Mapping[str, Members]]) -> dict[str, Members]:
    """Return the files of each image, without files that are labels or masks of another image."""
    found = _found(folder, description.image)
    single = [text for role in ROLES[1:] if role not in roles and (text := getattr(description, role)) is not None]
    owners = {folder / Pattern(text).fill({"name": name}): name for text in single for name in found}
    owners |= {
        p: name for role in roles.values() for name, m in role.items() if name in found for p in m.paths.values()
    }
    return {name: m for name, m in found.items() if all(owners.get(p, name) == name for p in m.paths.values())}


def _found(folder: Path, text: str) -> dict[str, Members]:
    """Return the files that fit a pattern, by image name."""
    pattern = Pattern(text)
    groups: dict[str, dict[tuple[str, ...], Path]] = {}
    for values, path in pattern.find(folder):
        if path.name in (FILE_NAME, SCHEMA_NAME) or (path.is_dir() and not is_zarr(path)):
            continue
        place = tuple(values[f] for f in pattern.series)
        groups.setdefault(values.get("name") or folder.resolve().name, {})[place] = path
    return {name: Members(pattern, name, folder, paths) for name, paths in groups.items()}


def _series(description: Description) -> dict[Role, str]:
    texts: dict[Role, str | None] = {role: getattr(description, role) for role in ROLES[1:]}
    return {role: text for role, text in texts.items() if text is not None and Pattern(text).series}


def _some_files(folder: Path) -> str:
    return some(sorted(p.name for p in folder.iterdir()), 6) or "nothing"


def _facts_by_name(folder: Path, names: Sequence[str], files: Mapping[str, FileFacts]) -> dict[str, list[FileFacts]]:
    """Return the entries of ``[files]`` for each image: patterns first, then its own, which overrides them."""
    patterns = {text: facts for text, facts in files.items() if "*" in text}
    _refuse_too_many("files", patterns)
    facts: dict[str, list[FileFacts]] = {name: [] for name in names}
    for text, entry in patterns.items():
        fitting = [name for name in names if fnmatchcase(name, _literal(text))]
        _refuse_none("files", text, fitting, folder, names)
        for name in fitting:
            facts[name].append(entry)
    for name, entry in files.items():
        if name not in patterns:
            _refuse_none("files", name, [name] if name in facts else [], folder, names)
            facts[name].append(entry)
    return facts


def _literal(text: str) -> str:
    """Return a pattern for fnmatch in which only ``*`` is special."""
    return text.replace("[", "[[]").replace("?", "[?]")


def _refuse_too_many(where: str, patterns: Mapping[str, object] | Sequence[str]) -> None:
    if len(patterns) > _MOST_PATTERNS:
        raise DatasetError(
            f"{where} has {len(patterns)} patterns with *; at most {_MOST_PATTERNS} are allowed: list images by name"
        )


def _refuse_none(where: str, text: str, fitting: Sequence[str], folder: Path, names: Sequence[str]) -> None:
    if fitting:
        return
    raise DatasetError(
        f"{where} names {text}, which fits no image in {folder}; its images are {some(names)}{hint(text, names)}"
    )


def _splits(folder: Path, names: Sequence[str], split: Split) -> dict[str, str]:
    chosen: dict[str, str] = {}
    _refuse_too_many("split", [t for t in (*split.validation, *split.test) if "*" in t])
    there = set(names)
    for part in ("validation", "test"):
        for text in getattr(split, part):
            fitting = [n for n in names if fnmatchcase(n, _literal(text))] if "*" in text else [text] * (text in there)
            _refuse_none("split", text, fitting, folder, names)
            for name in fitting:
                if chosen.setdefault(name, part) != part:
                    raise DatasetError(
                        f"split lists {name} under both test and validation; an image can be in only one"
                    )
    return {name: chosen.get(name, "train") for name in names}


def _item(
    folder: Path,
    name: str,
    split: str,
    description: Description,
    facts: Sequence[FileFacts],
    found: Mapping[Role, Mapping[str, Members]],
) -> Item:
    described, own = description, FileFacts()
    for entry in facts:
        described, own = _overridden(described, entry), own.model_copy(update=_given(entry))
    members: dict[str, Members] = {}
    for role in ROLES:
        text = getattr(own, role) or getattr(description, role)
        if text is not None and role not in own.without:
            ready = None if getattr(own, role) else found.get(role, {}).get(name)
            members[role] = ready or _members(folder, text, name)
    _refuse_outside(folder, name, members)
    parts = _name_parts(name, description)
    position = parts.get("position")
    return Item(
        name,
        split,
        {role: m.first for role, m in members.items()},
        described,
        members,
        own.source or parts.get("source") or description.source,
        own.position if own.position is not None else None if position is None else int(position),
        own.derived_from,
        own_size=name in description.files and description.files[name].pixel_size is not None,
    )


def _given(facts: FileFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.model_fields_set}


def _overridden(description: Description, facts: FileFacts) -> Description:
    """Return the description, overridden by the fields of one entry of ``[files]``."""
    given = _given(facts)
    update = {name: given[name] for name in (*_OWN, *ROLES) if given.get(name) is not None}
    if facts.values is not None:
        meanings = {name: getattr(facts.values, name) for name in facts.values.model_fields_set}
        update["values"] = description.values.model_copy(update=meanings)
    return description.model_copy(update=update)


def _members(folder: Path, text: str, name: str) -> Members:
    """Return the files of one image that fit a pattern; if no file fits, the path of the missing file."""
    pattern = Pattern(text)
    if pattern.series:
        found = [(v, p) for v, p in pattern.find(folder) if v.get("name", name) == name]
        if found:
            return Members(pattern, name, folder, {tuple(v[f] for f in pattern.series): p for v, p in found})
    looked_for = pattern.fill({"name": name, **{f: f"{{{f}}}" for f in pattern.series}})
    return Members(pattern, name, folder, {(): folder / looked_for})


def _refuse_outside(folder: Path, name: str, members: Mapping[str, Members]) -> None:
    image = members["image"]
    if () in image.paths and not image.first.exists():
        raise DatasetError(f"{name}: its image file {image.first} does not exist")
    inside = folder.resolve()
    for role, files in members.items():
        for path in files.paths.values():
            if not path.resolve().is_relative_to(inside):
                raise DatasetError(f"{name}: its {role} file {path} is outside the folder {folder}")


def _name_parts(name: str, description: Description) -> dict[str, str]:
    if description.names is None:
        return {}
    parts = Pattern(description.names, NameParts).match(name)
    if parts is None:
        raise DatasetError(
            f"the image {name!r} does not fit names = {description.names!r}: correct the pattern, or give source and "
            "position in [files] instead"
        )
    return parts
