"""Images made from other images (crops and smaller copies), and the position of these images in the original."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from fijibridge.dataset.description import DerivedFrom, Description
from fijibridge.dataset.item import Item, Place
from fijibridge.errors import DatasetError


def with_places(items: Sequence[Item]) -> list[Item]:
    """Return items with their place in the original image, and with the pixel size that follows from the original.

    Raises
    ------
    DatasetError
        If images are made from each other in a cycle.
    """
    parents = {item.name: item.derived_from for item in items if item.derived_from is not None}
    places = {name: place_in_origin(name, parents) for name in parents}  # raises on cycles
    by_name = {item.name: item for item in items}
    placed = dict(by_name)
    for name in sorted(places, key=lambda name: len(_chain(name, parents))):  # parents first
        item = by_name[name]
        parent = placed.get(parents[name].item)
        placed[name] = replace(item, place=places[name], description=_resized(item, by_name), parent=parent)
    return list(placed.values())


def _chain(name: str, parents: Mapping[str, DerivedFrom]) -> list[str]:
    """Return the names of an image, its parent, the parent's parent, and so on up to the original."""
    chain = [name]
    while chain[-1] in parents:
        chain.append(parents[chain[-1]].item)
        if len(chain) > len(parents) + 1:
            raise DatasetError(f"{name}: derived_from forms a cycle: {' from '.join(chain[:6])} ...")
    return chain


def place_in_origin(name: str, parents: Mapping[str, DerivedFrom]) -> Place:
    """Return the offset and factor of an image relative to the original at the end of its chain of parents."""
    chain = _chain(name, parents)
    offset, factor = dict.fromkeys("zyx", 0), dict.fromkeys("zyx", 1)
    # start at the original: an offset counts pixels of the parent, so the parent's `factor` must be known
    for step in reversed([parents[n] for n in chain[:-1]]):
        for axis in offset:
            offset[axis] += step.start(axis) * factor[axis]
            factor[axis] *= step.factor(axis)
    return Place(offset, factor)


def _resized(item: Item, by_name: Mapping[str, Item]) -> Description:
    """Return the description with the pixel size that follows from the item's chain of parents.

    The size is computed from the nearest image in the chain whose own entry in ``[files]`` gives a pixel size, or else
    from the original. If the original is in another folder, this folder's pixel size is used as the original's.
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
