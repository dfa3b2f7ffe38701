"""How the benchmarks time: both sides in turn, in one process, and the ratio of each round with its spread."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

_WIDTH = 58  # of the names


def seconds(work: Callable[[], object]) -> float:
    """Return the least of three runs; each result is given back before the next."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
        del result
    return min(times)


def head() -> None:
    """Print the heads of the columns of :func:`compare`."""
    print(f"{'':<{_WIDTH}}{'here':>12}{'reference':>12}   ratio   (10 to 90 %)")


def compare(name: str, work: Callable[[], object], reference: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Print the medians of both, and the ratio of their times, here / reference; return the medians, seconds."""
    work(), reference()
    times = np.array([(seconds(work), seconds(reference)) for _ in range(rounds)])
    ratio = np.quantile(times[:, 0] / times[:, 1], [0.5, 0.1, 0.9])
    mine, its = np.median(times, axis=0) * 1e3
    spread = f"({ratio[1]:.2f} to {ratio[2]:.2f})"
    print(f"{name:<{_WIDTH}}{mine:9.1f} ms{its:9.1f} ms   {ratio[0]:6.2f}x  {spread}", flush=True)
    return mine / 1e3, its / 1e3
