"""Plans and forecasts as text: tables, durations, amounts of memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from fijibridge.image import DIMS

_WIDTH = 18  # width of the row names, characters


def plan_text(plan: Mapping[str, Any]) -> str:
    """Format a plan, given as the dict from :meth:`fijibridge.Plan.to_dict`, as a table."""
    lines = [plan["network"], *(f"  {name:<{_WIDTH}}{value}" for name, value in plan_rows(plan))]
    return "\n".join([*lines, *(f"  note: {note}" for note in plan["notes"])])


def plan_rows(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the rows of a plan as (name, value)."""
    dims = len(plan["patch"])
    fields = plan["receptive_field"]["axes"] or [plan["receptive_field"]] * dims
    yield "images", _images(plan["images"])
    if plan["watched"]:
        yield "validation", _images(plan["watched"])
    yield "receptive field", f"{_by_axis([field['size'] for field in fields])} px"
    yield "halo", f"{_by_axis(plan['halo'])} px"
    yield "divisor", f"{plan['divisor']} px"
    yield "patch", f"{_times(plan['patch'])} px"
    yield "stride", f"{_times(plan['stride'])} px" if plan["on_grid"] else "none: patches are drawn at random"
    yield "patches per epoch", f"{plan['patches']:,} ({plan['batches']:,} batches of {plan['batch']})"
    yield "coverage", _coverage(plan)
    if plan["forecast"] is None:
        yield "forecast", "none, because no trial steps were run"
    else:
        yield from _forecast_rows(plan, plan["forecast"])


def _forecast_rows(plan: Mapping[str, Any], forecast: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "device", f"{plan['device']}, precision {plan['precision']}"
    yield "set-up", seconds_text(forecast["setup_s"])
    yield "time per step", seconds_text(forecast["step_s"])
    yield "time per epoch", seconds_text(forecast["epoch_s"])
    yield f"all {plan['epochs']} epochs", seconds_text(forecast["total_s"])
    host, device = forecast["host_bytes"], forecast["device_bytes"]
    available = "" if plan["memory_bytes"] is None else f" of {bytes_text(plan['memory_bytes'])}"
    bound = "unknown" if host is None else f"at most {bytes_text(host)}{available if device is None else ''}"
    yield "host memory", bound
    yield "GPU memory", "none" if device is None else f"{bytes_text(device)}{available}"


def _images(shapes: Sequence[Sequence[int]]) -> str:
    counts = Counter(map(tuple, shapes)).most_common()
    largest = ", ".join(f"{n} of {_times(shape)} px" for shape, n in counts[:3])
    return largest + (f" and {sum(n for _, n in counts[3:])} of other sizes" if len(counts) > 3 else "")


def took_text(table: pd.DataFrame) -> str:
    """Format a table that compares a forecast with a measurement.

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
        both = [shown(float(row[column])) if np.isfinite(row[column]) else "-" for column in ("forecast", "measured")]
        if both != ["-", "-"]:
            rows[title] = [*both, f"{row['ratio']:.2f}" if np.isfinite(row["ratio"]) else "-"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=["forecast", "measured", "ratio"]).to_string()


def _quantity(name: str) -> tuple[str, Callable[[float], str]]:
    """Return the title and formatter of a quantity, chosen by the suffix of its name."""
    if name.endswith("_s"):
        return name.removesuffix("_s").replace("_", " "), seconds_text
    if name.endswith("_bytes"):
        return name.removesuffix("_bytes") + " memory", lambda count: bytes_text(int(count))
    return name.replace("_", " "), lambda count: f"{count:,.0f}"


def _coverage(plan: Mapping[str, Any]) -> str:
    if not plan["on_grid"]:
        return f"each known pixel is in {plan['mean_coverage']:.3g} patches per epoch on average"
    axes = DIMS[-len(plan["patch"]) :]
    by_axis = ", ".join(f"{axis} {c:.3g}" for axis, c in zip(axes, plan["coverage"], strict=True))
    inner = f"a pixel far from the borders is in {plan['coverage_area']:.4g} patches per epoch ({by_axis})"
    return f"{inner}; the average over all pixels is {plan['mean_coverage']:.4g}"


def _by_axis(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(set(numbers)) == 1 else _times(numbers)


def _times(numbers: Sequence[int]) -> str:
    return " x ".join(map(str, numbers))


def seconds_text(seconds: float) -> str:
    """Format a duration.

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
    """Format an amount of memory.

    Examples
    --------
    >>> bytes_text(350 * 2**20), bytes_text(3 * 2**30)
    ('350 MiB', '3.0 GiB')
    """
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"
