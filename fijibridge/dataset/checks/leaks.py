"""Search for leaks between splits: parts of one image, or neighbours in one source, in different splits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from fijibridge.dataset.checks.findings import Finding
from fijibridge.dataset.dataset import Dataset
from fijibridge.dataset.item import Item

_MOST_NAMED = 5


def leaks(dataset: Dataset) -> list[Finding]:
    """Find images in different splits that show the same thing: parts of one image, or neighbours in one source.

    Parameters
    ----------
    dataset
        The data set; only its description is read.

    Returns
    -------
    list of Finding
        One problem per leak. A source gets a note instead if its images in different splits are further apart than
        ``neighbours``.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> import numpy as np
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> for z in range(4):
    ...     tifffile.imwrite(folder / f"larva_{z}.tif", np.zeros((8, 9), np.uint8))
    >>> dataset = Dataset.from_patterns(
    ...     folder, image="*.tif", names="{source}_{position}", split={"test": ["larva_3"]}
    ... )
    >>> found = leaks(dataset)[0]
    >>> found.item, found.what
    ('larva_2, larva_3', "neighbours in the source 'larva' are in train and test")
    """
    roots = _grouped((_root(item, dataset), item) for item in dataset)
    found = [f for root, items in roots.items() for f in _of_one_image(root, items)]
    sources = _grouped((source, item) for item in dataset if (source := _source(item, dataset)) is not None)
    reach = dataset.description.split.neighbours
    return found + [f for source, items in sources.items() for f in _of_one_source(source, items, reach)]


def _grouped(pairs: Iterable[tuple[str, Item]]) -> Mapping[str, list[Item]]:
    groups: dict[str, list[Item]] = {}
    for key, item in pairs:
        groups.setdefault(key, []).append(item)
    return groups


def _root(item: Item, dataset: Dataset) -> str:
    """Return the name of an item's original. Opening the data set has ruled out cycles."""
    name, derived = item.name, item.derived_from
    while derived is not None:
        name = derived.item
        derived = dataset[name].derived_from if name in dataset else None
    return name


def _source(item: Item, dataset: Dataset) -> str | None:
    """Return the source of an item; "" if it has only a position, because such images share one unnamed source."""
    root = dataset[name] if (name := _root(item, dataset)) in dataset else item
    placed = item.position is not None or root.position is not None
    return item.source or root.source or ("" if placed else None)


def made_from(item: Item, other: Item, dataset: Dataset) -> bool:
    """Return whether an item was made from another item, perhaps in several steps."""
    derived = item.derived_from
    while derived is not None and derived.item != other.name:
        derived = dataset[derived.item].derived_from if derived.item in dataset else None
    return derived is not None


def _of_one_image(root: str, items: Sequence[Item]) -> Iterator[Finding]:
    splits = sorted({item.split for item in items})
    if len(splits) < 2:
        return
    yield Finding(
        "problem",
        _names(items),
        "",
        f"they come from one image, {root!r}, but are in {' and '.join(splits)}",
        "put all parts of an image into one split",
    )


def _of_one_source(source: str, items: Sequence[Item], reach: int) -> Iterator[Finding]:
    splits = sorted({item.split for item in items})
    if len(splits) < 2:
        return
    where = f"in {' and '.join(splits)}"
    named = f"the source {source!r}" if source else "a source without a name"
    if any(item.position is None for item in items):
        todo = "give the positions of the images, or put all into one split"
        yield Finding("problem", _names(items), "", f"images of {named} are {where}", todo)
        return
    ordered = sorted(items, key=lambda item: item.position or 0)
    close = [
        (a, b)
        for a, b in itertools.pairwise(ordered)
        if a.split != b.split and (b.position or 0) - (a.position or 0) <= reach
    ]
    for a, b in close:
        what = f"neighbours in {named} are in {a.split} and {b.split}"
        yield Finding("problem", f"{a.name}, {b.name}", "", what, "put both into one split, or leave a gap")
    if not close:
        what = f"images of {named} are {where}, more than {reach} position(s) apart"
        yield Finding("note", _names(items), "", what, "a test on another specimen would say more")


def _names(items: Sequence[Item]) -> str:
    more = f" ... ({len(items)} in all)" if len(items) > _MOST_NAMED else ""
    return ", ".join(item.name for item in items[:_MOST_NAMED]) + more
