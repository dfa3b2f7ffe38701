"""Table of matches: one row per image, with totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from fijibridge.cells.matching.matches import Matching, average_precision
from fijibridge.errors import ImageError

_MEASURES = ("precision", "recall", "f1", "pq", "seg", "splits", "merges")


def match_table(
    matchings: Mapping[str, Matching | Sequence[Matching]], groups: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Tabulate matchings by image, with the total in the last row.

    Parameters
    ----------
    matchings
        For each image name, one matching, or one matching per threshold. With several thresholds, the row shows the
        first threshold, and the column ``ap`` shows the average precision over all thresholds.
    groups
        Group of each image. If given, rows are sorted by group, with a row ``total <group>`` after each group.

    Returns
    -------
    pandas.DataFrame
        Columns ``matched, GT, predicted, image, precision, recall, f1, pq, seg, splits, merges``, and ``ap`` if there
        are several thresholds. ``GT`` is the number of true cells, ``pq`` the panoptic quality, ``splits`` the number
        of true cells that were split, ``merges`` the number of predicted cells that merge true cells. The ratios in a
        total are computed from summed counts; they are not means over images.

    Raises
    ------
    ImageError
        If `matchings` does not map names to matchings, criteria or thresholds differ, or an image has no group.

    Examples
    --------
    >>> import numpy as np
    >>> from fijibridge.cells.matching.matches import match_labels
    >>> labels = np.array([[1, 1, 0, 2]])
    >>> print(match_table({"a": match_labels(labels, labels)}).iloc[:, :4].to_string(index=False))
     matched  GT  predicted image
           2   2          2     a
           2   2          2 total
    """
    by_name = _by_name(matchings)
    rows = []
    for group, names in _grouped(list(by_name), groups).items():
        members = {name: by_name[name] for name in names}
        rows += [_row(name, found) for name, found in members.items()]
        if groups is not None:
            rows.append(_row(f"total {group}", _total(list(members.values()))))
    if by_name:
        rows.append(_row("total", _total(list(by_name.values()))))
    table = pd.DataFrame(rows, columns=["matched", "GT", "predicted", "image", *_MEASURES, "ap"])
    return table if any(len(m) > 1 for m in by_name.values()) else table.drop(columns="ap")


def _by_name(matchings: Any) -> dict[str, tuple[Matching, ...]]:
    if isinstance(matchings, Mapping):
        found = {name: (m,) if isinstance(m, Matching) else m for name, m in matchings.items()}
        if all(isinstance(m, Sequence) and m and all(isinstance(x, Matching) for x in m) for m in found.values()):
            return {name: tuple(m) for name, m in found.items()}
    raise ImageError(
        f"match_table got {_kind(matchings)}; expected a mapping of image names to matchings: "
        "match_table({'a': match_labels(true, pred)})"
    )


def _kind(thing: object) -> str:
    """Return the name of an object's type and, for a mapping, the types of its values."""
    kinds = sorted({type(value).__name__ for value in thing.values()}) if isinstance(thing, Mapping) else []
    return f"a {type(thing).__name__}" + (f" of {', '.join(kinds)}" if kinds else "")


def _grouped(names: list[str], groups: Mapping[str, str] | None) -> dict[str, list[str]]:
    if groups is None:
        return {"": names}
    without = [name for name in names if name not in groups]
    if without:
        raise ImageError(f"image {without[0]!r} has no group; expected a group for each of {names}")
    return {group: [n for n in names if groups[n] == group] for group in dict.fromkeys(groups[n] for n in names)}


def _row(name: str, found: Sequence[Matching]) -> tuple[Any, ...]:
    m = found[0]
    ratios = (m.precision, m.recall, m.f1, m.panoptic_quality, m.seg)
    return m.tp, m.n_true, m.n_pred, name, *ratios, len(m.splits), len(m.merges), average_precision(found)


def _total(found: list[tuple[Matching, ...]]) -> tuple[Matching, ...]:
    """Sum the matchings of several images, threshold by threshold."""
    kinds = {tuple((m.criterion, m.thresh) for m in matchings) for matchings in found}
    if len(kinds) > 1:
        raise ImageError(f"matchings with different criteria or thresholds cannot be summed: {sorted(kinds)}")
    return tuple(_sum(same) for same in zip(*found, strict=True))


def _sum(matchings: Sequence[Matching]) -> Matching:
    """Sum the counts. Pairs and ids are left out, since ids of different images are unrelated."""
    return Matching(
        criterion=matchings[0].criterion,
        thresh=matchings[0].thresh,
        tp=sum(m.tp for m in matchings),
        fp=sum(m.fp for m in matchings),
        fn=sum(m.fn for m in matchings),
        scores=tuple(s for m in matchings for s in m.scores),
        splits=tuple(s for m in matchings for s in m.splits),
        merges=tuple(s for m in matchings for s in m.merges),
        seg_scores=tuple(s for m in matchings for s in m.seg_scores),
    )
