"""Training in Fiji: shown while it runs, or later from its record."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import pandas as pd

from fijibridge.errors import SessionError
from fijibridge.fiji import monitor, windows
from fijibridge.fiji.session.base import Base
from fijibridge.record import Record, Recorded, read_record


class Training(Base):
    """Methods for trainings."""

    def training_monitor(self, name: str = "Training") -> monitor.TrainingMonitor:
        """Return an observer for :func:`fijibridge.train` that shows progress, curves and a validation picture in Fiji.

        By default, a training in this process has this observer; pass it explicitly if you pass other observers.

        Parameters
        ----------
        name
            Prefix of the window titles, ``"<name> curves"`` and ``"<name> picture"``.
        """
        self._ready()
        return monitor.TrainingMonitor(self, name)

    def watch(self) -> monitor.TrainingMonitor | None:
        """Return an observer for a new training; None if the session is closed."""
        return None if self.closed else self.training_monitor()

    def show_run(self, run: Record | Recorded | str | os.PathLike[str], name: str | None = None) -> Record:
        """Show the record of a training, wherever it ran: curves, validation picture, tables and why it ended.

        Parameters
        ----------
        run
            The folder of a run, or a :class:`fijibridge.Run`.
        name
            Prefix of the windows ``"<name> curves"`` and ``"<name> picture"`` and, if there is a display, of the tables
            ``"<name> history"``, ``"<name> settings"``, ``"<name> matches"`` (for the validation images) and
            ``"<name> forecast"``. They replace open windows with these titles. By default the name of the folder.

        Returns
        -------
        fijibridge.Record
            ``record.summary()`` is the text written to Fiji's log.

        Raises
        ------
        TrainingError
            If `run` is not the folder of a run, or its record cannot be read.
        """
        record = read_record(run)
        self._ready()
        monitor.show_record(record, name or record.name, self._tables)
        return record

    def plot_metrics(self, curves: pd.DataFrame, name: str) -> str:
        """Plot the metrics of a training, one column each, against the epoch, and return the title of the plot."""
        self._ready()
        return str(monitor.show_curves(curves, name).getTitle())

    def keeping_active(self) -> AbstractContextManager[None]:
        """Restore the active image after a block that may open windows."""
        self._ready()
        return windows.keeping_active()

    @property
    def training(self) -> Any:
        """The training (:class:`fijibridge.Run`) that runs or ended last, of those started by Fiji's menu or macros.

        Raises
        ------
        SessionError
            If none was started.
        """
        from fijibridge.verbs.training import TRAININGS

        if TRAININGS.latest is None:
            raise SessionError("no training was started in Fiji: choose Plugins > FijiBridge > Train U-Net...")
        return TRAININGS.latest
