"""Output on the console: steps with their times, progress bars."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

console = Console(highlight=False, markup=False)
"""Console that prints text unchanged; names of files and images may look like markup."""


class Clock:
    """Clock that prints lines with the number of seconds since the clock was made."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Seconds since the clock was made."""
        return time.monotonic() - self.began

    def say(self, text: str) -> None:
        """Print a line with the time in front."""
        console.print(f"{self.seconds:6.1f} s  {text}")


class Bar:
    """Progress bar, and observer of a training."""

    def __init__(self, progress: Progress, title: str):
        self._progress = progress
        self._task = progress.add_task(title, total=None)

    def progress(self, step: int, steps: int) -> None:
        """Show the number of steps done and the total number of steps."""
        self._progress.update(self._task, completed=step, total=steps)

    def metrics(self, epoch: int, values: dict[str, float]) -> None:
        """Show the known metrics of an epoch."""
        known = "  ".join(f"{k} {v:.4f}" for k, v in values.items() if k not in ("lr", "seconds") and v == v)
        self._progress.update(self._task, description=f"epoch {epoch}  {known}")

    def now(self, text: str) -> None:
        """Show the current activity."""
        self._progress.update(self._task, description=text)

    def say(self, text: str) -> None:
        """Print text above the bar."""
        console.print(text, highlight=False)


@contextmanager
def bar(title: str) -> Iterator[Bar]:
    """Show a progress bar in a with block."""
    columns = (
        TextColumn("          {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, refresh_per_second=4) as progress:
        yield Bar(progress, title)
