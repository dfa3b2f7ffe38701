"""Trainings in Fiji: watched while they go on, and shown when they are over, wherever they ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pandas as pd

from fijibridge.fiji.session.annotating import Annotating
from fijibridge.record import Record, Recorded, read_record

if TYPE_CHECKING:
    from fijibridge.fiji.monitor import TrainingMonitor


class Trainings(Annotating):
    """The part of a session that shows trainings."""

    def training_monitor(self, name: str = "Training") -> TrainingMonitor:
        """Return an observer for :func:`fijibridge.train` that shows progress, curves and a validation picture here.

        A training in this process that is given no observers has one: this is for those that are.

        Parameters
        ----------
        name
            Of its windows, ``"<name> curves"`` and ``"<name> picture"``.
        """
        from fijibridge.fiji.monitor import TrainingMonitor

        self._ready()
        return TrainingMonitor(self, name)

    def watch(self) -> TrainingMonitor | None:
        """Return an observer for a training that begins; None once the session is closed."""
        return None if self.closed else self.training_monitor()

    def show_run(self, run: Record | Recorded | str | os.PathLike[str], name: str | None = None) -> Record:
        """Show what a training left, also one that ran elsewhere: curves, validation picture, tables, how it ended.

        Parameters
        ----------
        run
            The folder of a run, or a :class:`fijibridge.Run`.
        name
            Of the windows ``"<name> curves"`` and ``"<name> picture"`` and, where there is a display, of the tables
            ``"<name> history"``, ``"<name> settings"``, ``"<name> matches"`` (of the validation images) and
            ``"<name> forecast"``; those of that name are replaced. The name of the folder if left out.

        Returns
        -------
        fijibridge.Record
            ``record.summary()`` is what is written into Fiji's log.

        Raises
        ------
        TrainingError
            If it is no run's folder, or its record cannot be read.
        """
        from fijibridge.fiji.monitor import with_look

        record = read_record(run)
        self._ready()
        title = name or record.name
        if len(record.curves.columns) and len(record.curves) > 1:
            self.plot_metrics(record.curves, f"{title} curves")
        picture = record.picture
        if picture is not None:
            self.show(with_look(picture), name=self._kept_or(f"{title} picture"))
        if self.mode == "interactive":
            for kind, table in _tables(record).items():
                self.show_table(table, f"{title} {kind}")
            self.log(f"{title}: {record.summary()}")
        return record

    def plot_metrics(self, curves: pd.DataFrame, name: str) -> str:
        """Plot the metrics of a training, one column each, by epoch."""
        from fijibridge.fiji.monitor import metrics_label

        return self.plot(curves, name=name, xlabel="epoch", ylabel=metrics_label(curves))

    @contextmanager
    def keeping_active(self) -> Iterator[None]:
        """Open windows, and leave the image active that was."""
        active = self._java("ij.WindowManager").getCurrentImage()
        yield
        if active is not None and int(active.getID()) in self.ids():
            self.select(int(active.getID()))


def _tables(record: Record) -> dict[str, pd.DataFrame]:
    """Return the tables that there are."""
    settings = pd.DataFrame([(k, str(v)) for k, v in record.settings.items()], columns=["setting", "value"])
    tables = {"settings": settings, "history": record.history}
    took = record.took()
    more = {"matches": record.matches, "forecast": None if took is None else took.reset_index()}
    return {kind: table for kind, table in {**tables, **more}.items() if table is not None and len(table)}
