"""Files that store one role of an image: a single file, or a series of planes, channels, frames or tiles."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from fijibridge.dataset.description import Tiles
from fijibridge.dataset.patterns import Pattern
from fijibridge.errors import DatasetError
from fijibridge.files import content
from fijibridge.files.lazy_array import Content
from fijibridge.files.series import grid, mosaic, stacked
from fijibridge.image import last_dims
from fijibridge.messages import some

_AXES = ("t", "c", "z")
_MOST_MEMBERS = 1_000_000


@dataclass(frozen=True)
class Members:
    """Files that make up one array.

    Attributes
    ----------
    pattern : Pattern
        Pattern that the files fit.
    name : str
        Name of the image.
    folder : Path
        Folder of the data set.
    paths : dict
        Files by the values of the series placeholders in the file names. The key is ``()`` for a single file, which may
        be missing, and for a series without files.
    """

    pattern: Pattern
    name: str
    folder: Path
    paths: Mapping[tuple[str, ...], Path]

    @property
    def first(self) -> Path:
        """Path of the first file, which may be missing."""
        return next(iter(self.paths.values()))

    def missing(self, tiles: Tiles) -> list[Path]:
        """Return the missing files; in a series, these are the files missing from the grid of its numbers.

        Raises
        ------
        DatasetError
            If the gaps between the numbers in the names are too wide for a series.
        """
        if () in self.paths:
            return [path for path in self.paths.values() if not path.exists()]
        expected = [self._expected(n, tiles) for n in range(len(self.pattern.series))]
        count = math.prod(map(len, expected))
        if count > max(_MOST_MEMBERS, 10 * len(self.paths)):
            raise DatasetError(
                f"{self.name}: {len(self.paths)} files fit {self.pattern.text!r}, but their numbers span a grid of "
                f"{count} files: check the highest number of each placeholder"
            )
        return [self._path(place) for place in itertools.product(*expected) if place not in self.paths]

    def _expected(self, n: int, tiles: Tiles) -> Sequence[str]:
        """Return the values of a placeholder in a complete series, in order."""
        field = self.pattern.series[n]
        found = sorted(
            {place[n] for place in self.paths} | (set(tiles.offsets) if field == "tile" else set()), key=_order
        )
        if field == "tile" or not all(v.isdigit() for v in found):
            return found
        # the step is the greatest common divisor of the distances: in 0, 10, 30 only 20 is missing
        numbers = {int(v): v for v in found}
        low, high = min(numbers), max(numbers)
        step = math.gcd(*(number - low for number in numbers)) or 1
        if (high - low) // step >= _MOST_MEMBERS:
            raise DatasetError(
                f"{self.name}: {{{field}}} in {self.pattern.text!r} runs from {low} to {high}, with only "
                f"{len(numbers)} different numbers; expected a series without wide gaps"
            )
        width = min(map(len, found))  # with leading zeros, all numbers have the same width
        return [numbers.get(i, str(i).zfill(width)) for i in range(low, high + 1, step)]

    def _path(self, place: Sequence[str]) -> Path:
        values = {"name": self.name, **dict(zip(self.pattern.series, place, strict=True))}
        return self.folder / self.pattern.fill(values)

    def content(self, tiles: Tiles, dims: str | None = None, numbers: bool = False) -> Content:
        """Return the whole array without reading its pixels; no file may be missing.

        If `numbers` is True, an image with a palette yields the stored numbers, not the colours.
        """
        load = partial(_load, key=self.pattern.key, dims=dims, numbers=numbers)
        if not self.pattern.series:
            return load(str(self.first))
        axes = [f for f in _AXES if f in self.pattern.series]
        groups = self._groups(axes)
        if set(self.pattern.series) - set(axes):
            load = partial(self._mosaic, groups, tiles, load)
            names = {place: str(n) for n, place in enumerate(groups)}  # a mosaic is loaded by its index
        else:
            names = {place: str(next(iter(group.values()))) for place, group in groups.items()}
        if not axes:
            return load(names[()])
        return self._named(stacked("".join(axes), names, load), axes)

    def _groups(self, axes: Sequence[str]) -> dict[tuple[int, ...], dict[tuple[str, ...], Path]]:
        """Return the tiles at each position along the axes; without tiles, each file counts as one tile."""
        series = self.pattern.series
        orders = {a: sorted({place[series.index(a)] for place in self.paths}, key=_order) for a in axes}
        ranks = {a: {value: n for n, value in enumerate(order)} for a, order in orders.items()}
        groups: dict[tuple[int, ...], dict[tuple[str, ...], Path]] = {}
        for place, path in self.paths.items():
            values = dict(zip(series, place, strict=True))
            tile = (values["tile"],) if "tile" in values else (values.get("tile_y", "0"), values.get("tile_x", "0"))
            groups.setdefault(tuple(ranks[a][values[a]] for a in axes), {})[tile] = path
        return dict(sorted(groups.items()))

    def _mosaic(
        self,
        groups: Mapping[tuple[int, ...], Mapping[tuple[str, ...], Path]],
        tiles: Tiles,
        load: Callable[[str], Content],
        number: str,
    ) -> Content:
        group = list(groups.values())[int(number)]
        on_grid = "tile" not in self.pattern.series
        places = _on_grid(group, tiles, load) if on_grid else _offsets(group, tiles, self.name)
        return mosaic([(str(group[tile]), place) for tile, place in places.items()], load, self.name)

    def _named(self, content: Content, axes: Sequence[str]) -> Content:
        """Return the content with channels named after the words in file names; numbers are not used as names."""
        if "c" not in axes:
            return content
        n = self.pattern.series.index("c")
        found = sorted({place[n] for place in self.paths}, key=_order)
        return content if all(v.isdigit() for v in found) else replace(content, channels=found)


def _order(value: str) -> tuple[bool, int, str]:
    """Return a sort key that puts numbers first, sorted by value."""
    return (True, 0, value) if not value.isdigit() else (False, int(value), value)


def _load(path: str, key: str | None, dims: str | None, numbers: bool) -> Content:
    found = content(path, key)
    found = found.as_numbers() if numbers else found
    if dims is not None and len(dims) != found.pixels.ndim:
        raise DatasetError(
            f"{path} has {found.pixels.ndim} axes (shape {found.pixels.shape}), but dims = {dims!r} names {len(dims)}"
        )
    return found if dims is None else replace(found, dims=dims)


def _offsets(group: Mapping[tuple[str, ...], Path], tiles: Tiles, name: str) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return the positions of tiles, which are the offsets in the description."""
    unknown = sorted(tile[0] for tile in group if tile[0] not in tiles.offsets)
    if unknown:
        raise DatasetError(
            f"{name}: the tile(s) {some(unknown, 10)} have no offset: add lines to [tiles.offsets] such as "
            f'"{unknown[0]}" = [0, 1000], y and x of the first pixel'
        )
    return {tile: tiles.offsets[tile[0]] for tile in group}


def _on_grid(
    group: Mapping[tuple[str, ...], Path], tiles: Tiles, load: Callable[[str], Content]
) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return the positions of tiles in a grid, which has one row without {tile_y}, and one column without {tile_x}."""
    rows, columns = ({v: n for n, v in enumerate(sorted({t[k] for t in group}, key=_order))} for k in (0, 1))
    cells = {(rows[tile[0]], columns[tile[1]]): tile for tile in group}
    overlap = tiles.overlap if isinstance(tiles.overlap, dict) else {"y": tiles.overlap, "x": tiles.overlap}
    shapes = {}
    for cell, tile in sorted(cells.items()):
        pixels, dims = (found := load(str(group[tile]))).pixels, found.dims or last_dims(found.pixels.ndim)
        shapes[cell] = (pixels.shape[dims.index("y")], pixels.shape[dims.index("x")])
    return {cells[cell]: place for cell, place in grid(shapes, (overlap.get("y", 0), overlap.get("x", 0))).items()}
