"""Runs: trainings on a separate thread, with their state and result."""

from __future__ import annotations

import atexit
import copy
import logging
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import xarray as xr

from fijibridge.errors import TrainingError
from fijibridge.files import atomic, make_folder, write_image
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.planning import Forecast
from fijibridge.nn.planning.text import took_text
from fijibridge.nn.training.checkpoints import LAST
from fijibridge.nn.training.job import Job
from fijibridge.nn.training.loop import Abandoned, fit, is_first_process
from fijibridge.nn.training.recorder import Diverged, Recorder, warn_unsaved, write_record
from fijibridge.nn.training.validation import CellCounter, predict_middle
from fijibridge.nn.training.verdict import Ending
from fijibridge.record import HISTORY, PICTURE, RECORD, picture_of, with_current_names

log = logging.getLogger("fijibridge")

_AT_EXIT = 60.0  # seconds that Python waits at exit for trainings to save


class Trainings:
    """Trainings running in this process; they are stopped and saved before Python exits."""

    def __init__(self) -> None:
        self._running: weakref.WeakSet[Run] = weakref.WeakSet()

    def add(self, run: Run) -> None:
        """Add a training that is starting."""
        self._running.add(run)
        atexit.unregister(self.end_all)
        atexit.register(self.end_all)  # register again, to run before the exit handler of a JVM started since

    def remove(self, run: Run) -> None:
        """Remove a training that has ended."""
        self._running.discard(run)

    def end_all(self) -> None:
        """Stop all trainings, and wait until they are saved."""
        for run in list(self._running):
            run.stop("Python ended")
        deadline = time.monotonic() + _AT_EXIT
        for run in list(self._running):
            run._over.wait(max(deadline - time.monotonic(), 0))


TRAININGS = Trainings()


class Trainable(Protocol):
    """The part of a job that a run needs."""

    @property
    def folder(self) -> Path | None:
        """Folder of the run."""

    def model(self, epochs: int) -> Model:
        """Return the network in its current state as a model."""


class Run:
    """A training: its state while it is running, and its result afterwards.

    Attributes
    ----------
    model : Model
        Network at the best epoch by the watched metric, or at the end if there is no validation. While the training is
        running, a copy of the current network.
    history : pandas.DataFrame
        One row per epoch: epoch, train_loss, val_loss (NaN without validation data), lr, seconds, and val_f1 if cells
        are counted. Epoch 0 is the network before its first step.
    stopped_because : str or None
        Reason why the training ended, in words; None while it is running.
    ending : Ending or None
        Reason for the end, shape of the curves, and advice; None while it is running.
    seconds : float
        Wall time of the training.
    settings : dict
        Settings with which the training started.
    forecast, measured : dict or None
        Forecast and measurement of time and memory.
    matches : list of dict or None
        Rows of the kept network's match table for the validation images; None if cells were not counted.
    path : Path or None
        Folder of the run, with ``model.safetensors``, ``history.csv``, ``run.json``, ``validation.tif`` and
        ``last.ckpt``.
    picture : xarray.DataArray or None
        Middle of the first validation image and its predicted membranes, (c, y, x); only with `out`, or if an observer
        shows pictures.
    unsaved : str or None
        File that could not be written at the end, and the reason; ``run.save(folder)`` writes all files elsewhere.
    """

    def __init__(self, job: Trainable, recorder: Recorder):
        self._job, self._recorder = job, recorder
        self.path = job.folder
        self.unsaved: str | None = None
        self._over = threading.Event()
        self._error: BaseException | None = None

    @property
    def model(self) -> Model:
        """Network with everything needed to use it."""
        found = self._job.model(self._recorder.epochs)
        if not self.running:
            return found
        return replace(found, net=copy.deepcopy(found.net).eval())  # evaluation mode on a copy, not in the training

    @property
    def history(self) -> pd.DataFrame:
        """Metrics of each epoch so far."""
        return self._recorder.history()

    @property
    def ending(self) -> Ending | None:
        """Reason for the end, shape of the curves, and advice."""
        return self._recorder.ending

    @property
    def stopped_because(self) -> str | None:
        """Reason why the training ended, in words."""
        return self.ending.why if self.ending is not None else None

    @property
    def seconds(self) -> float:
        """Wall time in seconds."""
        return self._recorder.seconds

    @property
    def settings(self) -> dict[str, Any]:
        """Settings with which the training started."""
        return with_current_names(self._recorder.described)

    @property
    def environment(self) -> dict[str, Any]:
        """Versions, device and its name."""
        return self._recorder.environment

    @property
    def forecast(self) -> dict[str, Any] | None:
        """Forecast of time and memory."""
        return self._recorder.forecast

    @property
    def measured(self) -> dict[str, Any] | None:
        """Measured time and memory."""
        return self._recorder.measured

    @property
    def matches(self) -> list[dict[str, Any]] | None:
        """Match table of the validation images."""
        return self._recorder.matches

    @property
    def picture(self) -> xr.DataArray | None:
        """Middle of the first validation image, with its predicted membranes."""
        return self._recorder.picture

    @property
    def running(self) -> bool:
        """Whether the training is running."""
        return not self._over.is_set()

    # --- start and end ----------------------------------------------------------------------------------

    def start(self, work: Callable[[], None], background: bool = False) -> Run:
        """Start the work on a new thread, and wait for its end unless `background` is True.

        Ctrl-C stops the training after its current step, and returns the run; a second Ctrl-C raises KeyboardInterrupt.

        Notes
        -----
        On the main thread, Lightning would replace the signal handlers. It would end the process on Ctrl-C, and would
        finally reset SIGSEGV to its default. A JVM in this process needs its own handler for SIGSEGV, and would soon
        crash without it.
        """
        TRAININGS.add(self)
        if not background and threading.current_thread() is not threading.main_thread():
            self._work(work)
            return self.wait()
        threading.Thread(target=self._work, args=(work,), name="fijibridge-training", daemon=True).start()
        if background:
            return self
        pressed = 0
        while self.running:
            try:
                self._over.wait(0.5)
            except KeyboardInterrupt:
                pressed += 1
                self.stop("interrupted by Ctrl-C")
                if pressed > 1:
                    self._recorder.abandoned = True
        if pressed > 1:
            raise KeyboardInterrupt
        return self.wait()

    def _work(self, work: Callable[[], None]) -> None:
        """Do the work; whatever happens, the run is over afterwards."""
        try:
            work()
        except BaseException as error:
            self._error = error
        finally:
            try:
                self._recorder.end(self.stopped_because or f"ended without a result: {self._error or 'abandoned'}")
            except Exception as error:
                self._error = self._error or error
            self._recorder.release()
            TRAININGS.remove(self)
            self._over.set()

    def stop(self, reason: str = "stopped by run.stop()") -> None:
        """Request a stop after the current step; use :meth:`wait` to wait for the end."""
        self._recorder.stop_asked = reason

    def wait(self, timeout: float | None = None) -> Run:
        """Wait for the end of the training.

        Parameters
        ----------
        timeout
            Maximum wait in seconds; None for no limit.

        Raises
        ------
        TimeoutError
            If the training is still running after `timeout` seconds.
        TrainingError
            If the training ended with this error. Any other error with which it ended is raised as well.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"the training is still running after {timeout:g} s: epoch {len(self._recorder.rows)}")
        if self._error is not None:
            raise self._error
        return self

    # --- results ----------------------------------------------------------------------------------------

    def took(self) -> pd.DataFrame | None:
        """Return forecast, measurement and their ratio; None if there was no forecast."""
        if self.forecast is None or self.measured is None:
            return None
        return Forecast.from_dict(self.forecast).compare(self.measured)

    def save(self, folder: str | Path) -> Path:
        """Write the model and the record to a folder, and return its path."""
        target = make_folder(folder)
        self._job.model(self._recorder.epochs).save(target / FILE_NAME)
        with atomic(target / HISTORY) as temporary:
            self.history.to_csv(temporary, index=False)
        if self.picture is not None:
            write_image(self.picture, target / PICTURE)
        else:
            (target / PICTURE).unlink(missing_ok=True)  # left by another run
        write_record(target, self.record())
        self.path, self.unsaved = target, None
        return target

    def record(self) -> dict[str, Any]:
        """Return the content of ``run.json``."""
        return self._recorder.record()

    def _repr_html_(self) -> str:
        from fijibridge import displays

        history = self.history
        facts = {"state": self._state(), "seconds": round(self.seconds, 1), "folder": self.path or "not saved"}
        facts |= {"not written": self.unsaved} if self.unsaved else {}
        names = [name for name in history.columns if str(name).endswith("loss") or name == "val_f1"]
        lines = displays.curves({str(name): history[name].astype(float).tolist() for name in names})
        return displays.page("Run", displays.facts(facts), lines, displays.rows(history))

    def _state(self) -> str:
        return f"epoch {self._recorder.epochs}, running" if self.running else self.stopped_because or "failed"

    def __repr__(self) -> str:
        return f"Run({str(self.path) if self.path else 'not saved'!r}: {self._state()}, {self.seconds:.0f} s)"


def train_and_keep(run: Run, job: Job, recorder: Recorder) -> None:
    """Train a job, and write its result to the folder of the run.

    Raises
    ------
    TrainingError
        If an error ended the training; the model of the best epoch before the error is kept.
    """
    try:
        recorder.ending = fit(job, recorder)
        log.info("training ended: %s", recorder.ending)
        try:
            if recorder.failure is None:
                _look_back(run, job, recorder)
        finally:  # the model must be saved even if the evaluation fails
            if run.path is not None and is_first_process():
                _keep(run, run.path, recorder)
    except Abandoned:
        return
    if recorder.failure is not None:
        raise recorder.failure


def _look_back(run: Run, job: Job, recorder: Recorder) -> None:
    """Show the first validation image, count the validation cells, and compare the forecast with the measurement."""
    if is_first_process():
        _show_first(job, recorder)
        _count_cells(job, recorder)
    took = run.took()
    if took is not None:
        recorder.say(f"Forecast and measurement:\n{took_text(took)}")


def _show_first(job: Job, recorder: Recorder) -> None:
    shown_to = [observer for observer in recorder.observers if hasattr(observer, "picture")]
    if job.pairs is None or not job.pairs.watched or (job.folder is None and not shown_to):
        return
    found = predict_middle(job.as_model(job.net), job.pairs, str(job.device))
    if found is None:
        return
    recorder.picture = picture_of(*found)
    for observer in shown_to:
        observer.picture(recorder.best_epoch, *found)


def _count_cells(job: Job, recorder: Recorder) -> None:
    counter = recorder.judge
    if isinstance(counter, CellCounter) and counter.every is not None:
        epoch = recorder.best_epoch if recorder.best is not None else recorder.epochs
        table = counter.table(job.net, epoch)
        recorder.matches = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _keep(run: Run, folder: Path, recorder: Recorder) -> None:
    """Write the model and the record.

    After a failure, the model of the best epoch before it is written, but only if an epoch is complete and the weights
    are finite.
    """
    failed = recorder.failure
    usable = recorder.epochs > 0 and (recorder.best_state is not None or not isinstance(failed, Diverged))
    if failed is None or usable:
        _save(run, folder, finished=failed is None and recorder.finished)
        return
    try:
        write_record(folder, run.record())
    except TrainingError as error:  # must not hide the failure
        warn_unsaved(folder / RECORD, error)


def _save(run: Run, folder: Path, finished: bool) -> None:
    """Write all files; if a file cannot be written, warn, and keep the run in memory."""
    try:
        run.save(folder)
        if finished:
            (folder / LAST).unlink(missing_ok=True)  # nothing to resume
    except (OSError, TrainingError, RuntimeError) as error:
        run.unsaved = f"{folder}: {error}"
        warn_unsaved(folder / FILE_NAME, error)
