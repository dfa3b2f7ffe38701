"""Training in Fiji: watched while it runs, and shown from its record."""

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
        """Return an observer for :func:`fijibridge.train` that shows progress, curves and a validation picture here.

        A training in this process has one by default; this is for one that is given its observers.

        Parameters
        ----------
        name
            Prefix of its windows, ``"<name> curves"`` and ``"<name> picture"``.
        """
        self._ready()
        return monitor.TrainingMonitor(self, name)

    def watch(self) -> monitor.TrainingMonitor | None:
        """Return an observer for a training that begins; None once the session is closed."""
        return None if self.closed else self.training_monitor()

    def show_run(self, run: Record | Recorded | str | os.PathLike[str], name: str | None = None) -> Record:
        """Show the record of a training, wherever it ran: curves, validation picture, tables and reason of its end.

        Parameters
        ----------
        run
            The folder of a run, or a :class:`fijibridge.Run`.
        name
            Prefix of the windows ``"<name> curves"`` and ``"<name> picture"`` and, where there is a display, of the
            tables ``"<name> history"``, ``"<name> settings"``, ``"<name> matches"`` (of the validation images) and
            ``"<name> forecast"``; they replace those of that name. The name of the folder by default.

        Returns
        -------
        fijibridge.Record
            ``record.summary()`` is the text written into Fiji's log.

        Raises
        ------
        TrainingError
            If it is not the folder of a run, or its record cannot be read.
        """
        record = read_record(run)
        self._ready()
        monitor.show_record(record, name or record.name, self._tables)
        return record

    def plot_metrics(self, curves: pd.DataFrame, name: str) -> str:
        """Plot the metrics of a training, one column each, by epoch, and return the title of the plot."""
        self._ready()
        return str(monitor.show_curves(curves, name).getTitle())

    def keeping_active(self) -> AbstractContextManager[None]:
        """Let windows open, then make the image active again that was active before."""
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
