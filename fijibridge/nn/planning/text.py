"""Plans and forecasts as tables to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from fijibridge.image import DIMS

if TYPE_CHECKING:
    from fijibridge.nn.planning.plans import Plan

_WIDTH = 18


def plan_text(made: Plan) -> str:
    """Set a plan as a table."""
    lines = [made.network, *(f"  {name:<{_WIDTH}}{value}" for name, value in plan_rows(made))]
    return "\n".join([*lines, *(f"  note: {note}" for note in made.notes)])


def plan_rows(made: Plan) -> Iterator[tuple[str, str]]:
    """Yield what a plan says, by name."""
    field = made.receptive_field
    yield "images", _images(made.images)
    if made.watched:
        yield "validation", _images(made.watched)
    yield "receptive field", f"{_by_axis([f.size for f in field.along(len(made.patch))])} px"
    yield "halo", f"{_by_axis(made.halo)} px"
    yield "divisor", f"{made.divisor} px"
    yield "patch", f"{_times(made.patch)} px"
    yield "stride", f"{_times(made.stride)} px" if made.on_grid else "none: patches lie at random"
    yield "patches an epoch", f"{made.patches:,} ({made.batches:,} batches of {made.batch})"
    yield "coverage", _coverage(made)
    told = made.forecast
    if told is None:
        yield "forecast", "none, as no step was tried"
        return
    yield "device", f"{made.device}, precision {made.precision}"
    yield "set-up", seconds_text(told.setup_s)
    yield "a step", seconds_text(told.step_s)
    yield "an epoch", seconds_text(told.epoch_s)
    yield f"{made.epochs} epochs", seconds_text(told.total_s)
    there = "" if made.memory is None else f" of {bytes_text(made.memory)}"
    on_host = told.device_bytes is None
    yield (
        "host memory",
        "not known"
        if told.host_bytes is None
        else (f"at the most {bytes_text(told.host_bytes)}{there if on_host else ''}"),
    )
    yield "GPU memory", "none" if told.device_bytes is None else f"{bytes_text(told.device_bytes)}{there}"


def _images(shapes: Sequence[Sequence[int]]) -> str:
    counts = Counter(map(tuple, shapes)).most_common()
    told = ", ".join(f"{n} of {_times(shape)}" for shape, n in counts[:3])
    return told + (f" and {sum(n for _, n in counts[3:])} of other sizes" if len(counts) > 3 else "") + " px"


def took_text(table: pd.DataFrame) -> str:
    """Set a forecast beside what was measured, in seconds and bytes as one reads them.

    Examples
    --------
    >>> table = pd.DataFrame({"forecast": [80.0, 2.0**30], "measured": [90.0, 2.0**29], "ratio": [1.125, 0.5]},
    ...                      index=["total_s", "host_bytes"])
    >>> print(took_text(table))
                forecast measured ratio
    total           80 s     90 s  1.12
    host memory  1.0 GiB  512 MiB  0.50
    """
    rows = {}
    for name, row in table.iterrows():
        title, shown = _quantity(str(name))
        told = [shown(float(row[column])) if np.isfinite(row[column]) else "-" for column in ("forecast", "measured")]
        if told != ["-", "-"]:
            rows[title] = [*told, f"{row['ratio']:.2f}" if np.isfinite(row["ratio"]) else "-"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["forecast", "measured", "ratio"]).to_string()


def _quantity(name: str) -> tuple[str, Callable[[float], str]]:
    """Return how a quantity is called, and how it is written."""
    if name.endswith("_s"):
        return name.removesuffix("_s").replace("_", " "), seconds_text
    if name.endswith("_bytes"):
        return name.removesuffix("_bytes") + " memory", lambda count: bytes_text(int(count))
    return name.replace("_", " "), lambda count: f"{count:,.0f}"


def _coverage(made: Plan) -> str:
    if not made.on_grid:
        return f"each known pixel in {made.mean_coverage:.3g} patches an epoch on average"
    axes = DIMS[-len(made.patch) :]
    by_axis = ", ".join(f"{axis} {c:.3g}" for axis, c in zip(axes, made.coverage, strict=True))
    return f"{by_axis}; by area {made.coverage_area:.4g} ({made.mean_coverage:.4g} on average with the borders)"


def _by_axis(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else _times(numbers)


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))


def seconds_text(seconds: float) -> str:
    """Set a time as one reads it.

    Examples
    --------
    >>> seconds_text(0.01234), seconds_text(75), seconds_text(5000), seconds_text(200_000)
    ('0.012 s', '75 s', '1 h 23 min', '56 h')
    """
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours < 10 else f"{round(minutes / 60)} h"


def bytes_text(count: int) -> str:
    """Set an amount of memory as one reads it.

    Examples
    --------
    >>> bytes_text(350 * 2**20), bytes_text(3 * 2**30)
    ('350 MiB', '3.0 GiB')
    """
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
