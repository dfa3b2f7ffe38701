"""A folder of images, and the images that its description finds in it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fijibridge.dataset.description import (
    ROLES,
    SPLITS,
    DerivedFrom,
    Description,
    FileFacts,
    NameParts,
    Role,
    Split,
    said_plainly,
)
from fijibridge.dataset.item import WANTED, Item, Place, Truth
from fijibridge.dataset.members import Members
from fijibridge.dataset.patterns import Pattern
from fijibridge.dataset.toml import FILE_NAME, SCHEMA_NAME, read_description
from fijibridge.errors import DatasetError
from fijibridge.files.ome_zarr import is_zarr
from fijibridge.messages import hint, some

_MOST_PATTERNS = 1000
_OWN = ("membranes", "provenance", "provenance_note", "dims", "pixel_size", "unit", "time_unit", "channels", "tiles")


class Dataset:
    """A folder of images, read through its description.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> tifffile.imwrite(folder / "a_image.tif", np.zeros((8, 9), np.uint8))
    >>> dataset = Dataset.from_patterns(folder, image="*_image.tif")
    >>> dataset.names(), dataset["a"].image().shape
    (['a'], (8, 9))
    """

    def __init__(self, folder: Path, description: Description):
        self.folder, self.description = folder, description
        self.items = _items(folder, description)
        self._by_name = {item.name: item for item in self.items}

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Dataset:
        """Open a folder with a ``dataset.toml``, or that file.

        Raises
        ------
        DatasetError
            If there is no description, it is wrong, or there are no images that fit it.
        """
        given = Path(path)
        if given.is_file() and given.suffix.lower() != ".toml":
            raise DatasetError(f"{given} is a file; expected the folder of the images, or the {FILE_NAME} in it")
        file = given / FILE_NAME if given.is_dir() else given
        if not file.is_file():
            raise DatasetError(
                f"no description {file}. Write one (fijibridge describe {given} --write guesses one), or say the "
                "patterns: --image '*_image.png' --labels '{name}_labels.tif'"
            )
        return cls(file.parent, read_description(file))

    @classmethod
    def from_patterns(cls, folder: str | os.PathLike[str], **fields: Any) -> Dataset:
        """Open a folder without a description file; `fields` are those of :class:`Description`."""
        if not Path(folder).is_dir():
            raise DatasetError(f"no folder {folder}" + (": it is a file" if Path(folder).is_file() else ""))
        try:
            return cls(Path(folder), Description.model_validate(fields))
        except ValidationError as error:
            raise DatasetError(said_plainly(error)) from error

    def names(self, split: str | None = None) -> list[str]:
        """Return the names of all images, or of one split."""
        return [item.name for item in self.split(split)]

    def split(self, split: str | None = None) -> list[Item]:
        """Return the items of ``"train"``, ``"validation"`` or ``"test"``, or all of them."""
        if split not in (None, *SPLITS):
            raise DatasetError(f"no split {split!r}; there are {SPLITS}")
        return [item for item in self.items if split in (None, item.split)]

    def with_truth(self, split: str | None = None, source: Truth = "labels") -> list[Item]:
        """Return the items of a split, after a look that their image, label and region files are there.

        Left out are those of which the description says that they are ``without`` labels. With `source`
        ``"classes"`` it is pixel labels instead that they must have, with ``"auto"`` either.

        Raises
        ------
        DatasetError
            Names the files that are missing.
        """
        items = self.split(split)
        roles: list[Role] = ["labels"] if source == "labels" else ["classes"]
        if source == "auto":
            roles.append("labels")
        labelled = [item for item in items if not item.paths.keys().isdisjoint(roles)]
        if items and not labelled:
            raise DatasetError(f"{self.folder}: {WANTED['classes' if source == 'classes' else 'labels']}")
        lost = [path.name for item in labelled for path in item.missing("image", *roles, "region")]
        if lost:
            raise DatasetError(f"{len(lost)} label or region file(s) are missing in {self.folder}: {some(lost)}")
        return labelled

    def __getitem__(self, name: str) -> Item:
        """Return the item of that name."""
        if name not in self._by_name:
            raise DatasetError(f"no image {name!r} in {self.folder}; there are {some(self.names())}")
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is an image of that name."""
        return name in self._by_name or (isinstance(name, Item) and name in self.items)

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @property
    def provenance(self) -> str:
        """Who made the truth, of all images: ``"manual"``, or ``"algorithm and manual"``."""
        return " and ".join(sorted({item.provenance for item in self.items}))

    def _repr_html_(self) -> str:
        from fijibridge import displays

        shown = self.items[:20]
        more = len(self.items) - len(shown)
        parts = [displays.facts(map(_row, shown))]
        parts += [displays.paragraph(f"and {more} more")] if more else []
        return displays.page(repr(self), *parts)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(self.split(s))} {s}" for s in SPLITS if self.split(s))
        return f"Dataset({str(self.folder)!r}: {counts}, truth: {self.provenance})"


def _row(item: Item) -> tuple[str, str]:
    made = f", of {item.source}" if item.source else ""
    return item.name, f"{item.split}: {', '.join(item.paths)}{made}"


def _items(folder: Path, description: Description) -> list[Item]:
    roles = {role: _found(folder, text) for role, text in _series(description).items()}
    found = _images(folder, description, roles)
    names = sorted({*found, *_named_apart(description)})
    if not names:
        raise DatasetError(f"no file in {folder} fits {description.image!r}; it holds {_some_files(folder)}")
    facts = _facts_by_name(folder, names, description.files)
    splits = _splits(folder, names, description.split)
    items = [_item(folder, name, splits[name], description, facts[name], {"image": found, **roles}) for name in names]
    return _placed(items)


def _named_apart(description: Description) -> list[str]:
    """Return the names of images that say their own file."""
    return [name for name, facts in description.files.items() if facts.image is not None and "*" not in name]


def refuse_misfit(folder: Path, description: Description, coming: Iterable[str]) -> None:
    """Refuse a description that a folder could not be opened with, before the files of its images are there.

    Raises
    ------
    DatasetError
        Says what is wrong, as opening would.
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
        derived = [said.derived_from for said in facts[name] if said.derived_from is not None]
        parents |= {name: derived[-1]} if derived else {}
    for name in parents:
        _place(name, parents)


def _images(folder: Path, description: Description, roles: Mapping[Role, Mapping[str, Members]]) -> dict[str, Members]:
    """Return the files of the images, without those that are another role's of another image."""
    found = _found(folder, description.image)
    single = [text for role in ROLES[1:] if role not in roles and (text := getattr(description, role)) is not None]
    owners = {folder / Pattern(text).fill({"name": name}): name for text in single for name in found}
    owners |= {
        p: name for role in roles.values() for name, m in role.items() if name in found for p in m.paths.values()
    }
    return {name: m for name, m in found.items() if all(owners.get(p, name) == name for p in m.paths.values())}


def _found(folder: Path, text: str) -> dict[str, Members]:
    """Return the files that fit a pattern, by the name of the image."""
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
    """Return what is different for each image: patterns first, its own name has the last word."""
    patterns = {text: facts for text, facts in files.items() if "*" in text}
    _refuse_too_many("files", patterns)
    facts: dict[str, list[FileFacts]] = {name: [] for name in names}
    for text, said in patterns.items():
        fitting = [name for name in names if fnmatchcase(name, _literal(text))]
        _refuse_none("files", text, fitting, folder, names)
        for name in fitting:
            facts[name].append(said)
    for name, said in files.items():
        if name not in patterns:
            _refuse_none("files", name, [name] if name in facts else [], folder, names)
            facts[name].append(said)
    return facts


def _literal(text: str) -> str:
    """Leave only ``*`` its meaning."""
    return text.replace("[", "[[]").replace("?", "[?]")


def _refuse_too_many(where: str, patterns: Mapping[str, object] | Sequence[str]) -> None:
    if len(patterns) > _MOST_PATTERNS:
        raise DatasetError(
            f"{where} has {len(patterns)} patterns with *; {_MOST_PATTERNS} are the most: name the images"
        )


def _refuse_none(where: str, text: str, fitting: Sequence[str], folder: Path, names: Sequence[str]) -> None:
    if fitting:
        return
    raise DatasetError(f"{where} names {text}: no such image in {folder}; there are {some(names)}{hint(text, names)}")


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
                    raise DatasetError(f"split names {name} in test and validation; an image is in one of them")
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
    for said in facts:
        described, own = _overridden(described, said), own.model_copy(update=_told(said))
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


def _told(facts: FileFacts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in facts.model_fields_set}


def _overridden(description: Description, facts: FileFacts) -> Description:
    """Return a description with what is different for an image in its place."""
    told = _told(facts)
    update = {name: told[name] for name in (*_OWN, *ROLES) if told.get(name) is not None}
    if facts.values is not None:
        meanings = {name: getattr(facts.values, name) for name in facts.values.model_fields_set}
        update["values"] = description.values.model_copy(update=meanings)
    return description.model_copy(update=update)


def _members(folder: Path, text: str, name: str) -> Members:
    """Return the files of one image that fit a pattern; where none does, the one that was looked for."""
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
        raise DatasetError(f"{name}: its image {image.first} is no file")
    inside = folder.resolve()
    for role, files in members.items():
        for path in files.paths.values():
            if not path.resolve().is_relative_to(inside):
                raise DatasetError(f"{name}: its {role} file {path} lies outside the folder {folder}")


def _name_parts(name: str, description: Description) -> dict[str, str]:
    if description.names is None:
        return {}
    parts = Pattern(description.names, NameParts).match(name)
    if parts is None:
        raise DatasetError(
            f"the image {name!r} does not fit names = {description.names!r}: correct it, or say source and position in "
            "[files] instead"
        )
    return parts


def _placed(items: Sequence[Item]) -> list[Item]:
    """Give each image its place in the one that it was made from at first, and pixels of the size that follows."""
    parents = {item.name: item.derived_from for item in items if item.derived_from is not None}
    places = {name: _place(name, parents) for name in parents}  # refuses circles
    by_name = {item.name: item for item in items}
    placed = dict(by_name)
    for name in sorted(places, key=lambda name: len(_chain(name, parents))):  # parents first
        item = by_name[name]
        parent = placed.get(parents[name].item)
        placed[name] = replace(item, place=places[name], description=_resized(item, by_name), parent=parent)
    return list(placed.values())


def _chain(name: str, parents: Mapping[str, DerivedFrom]) -> list[str]:
    """Return the names of an image, of the one that it was made from, and so on."""
    chain = [name]
    while chain[-1] in parents:
        chain.append(parents[chain[-1]].item)
        if len(chain) > len(parents) + 1:
            raise DatasetError(f"{name}: derived_from goes round in a circle: {' from '.join(chain[:6])} ...")
    return chain


def _place(name: str, parents: Mapping[str, DerivedFrom]) -> Place:
    chain = _chain(name, parents)
    offset, factor = dict.fromkeys("zyx", 0), dict.fromkeys("zyx", 1)
    for step in reversed([parents[n] for n in chain[:-1]]):
        for axis in offset:
            offset[axis] += step.start(axis) * factor[axis]
            factor[axis] *= step.factor(axis)
    return Place(offset, factor)


def _resized(item: Item, by_name: Mapping[str, Item]) -> Description:
    """Return the description with the pixel size that follows from the image that the item was made from.

    The nearest image up the chain whose size is its own has the word; the first of the chain otherwise. For one made
    from an image elsewhere, the folder's size is that of the image elsewhere.
    """
    factor = dict.fromkeys("zyx", 1)
    origin = item
    while origin.derived_from is not None and not origin.own_size:
        factor = {d: n * origin.derived_from.factor(d) for d, n in factor.items()}
        if origin.derived_from.item not in by_name:
            break
        origin = by_name[origin.derived_from.item]
    size = origin.description.pixel_size
    if size is None:
        return item.description
    sizes = {str(d): s for d, s in size.items()} if isinstance(size, dict) else {"y": size, "x": size}
    resized = {d: s * factor.get(d, 1) for d, s in sizes.items()}
    return item.description.model_copy(update={"pixel_size": resized, "unit": origin.description.unit})
