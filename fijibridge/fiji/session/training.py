"""Trainings in Fiji, which are shown while they run, or later from their record."""

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

        By default, a training in this process has this observer. If you pass other observers, pass this observer, too.

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
        """Show the record of a training, wherever it ran: its curves, validation picture and tables, and why it ended.

        Parameters
        ----------
        run
            The folder of a run, or a :class:`fijibridge.Run`.
        name
            Prefix of the titles. The windows are ``"<name> curves"`` and ``"<name> picture"`` and, if there is a
            display, the tables ``"<name> history"``, ``"<name> settings"``, ``"<name> matches"`` (for the validation
            images) and ``"<name> forecast"``. Open windows with these titles are replaced. By default, the name of the
            run's folder.

        Returns
        -------
        fijibridge.Record
            The record. Its ``summary()`` is the text that is written to Fiji's log.

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
        """Plot each column of a training's metrics against the epoch, and return the title of the plot."""
        self._ready()
        return str(monitor.show_curves(curves, name).getTitle())

    def keeping_active(self) -> AbstractContextManager[None]:
        """Return a context manager that restores the active image after a block that may open windows."""
        self._ready()
        return windows.keeping_active()

    @property
    def training(self) -> Any:
        """The last training (:class:`fijibridge.Run`) started by Fiji's menu or a macro; it may still be running.

        Raises
        ------
        SessionError
            If no training was started in this way.
        """
        from fijibridge.verbs.training import TRAININGS

        if TRAININGS.latest is None:
            raise SessionError("no training was started in Fiji: choose Plugins > FijiBridge > Train U-Net...")
        return TRAININGS.latest
