"""A training that goes on, or that is over."""

from __future__ import annotations

import atexit
import copy
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from fijibridge.errors import TrainingError
from fijibridge.files import atomic, make_folder, write_image, write_json
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.planning import Forecast
from fijibridge.nn.training.recorder import Recorder
from fijibridge.nn.training.verdict import Ending
from fijibridge.record import HISTORY, PICTURE, RECORD

_going_on: weakref.WeakSet[Run] = weakref.WeakSet()


class Run:
    """A training: what it left, or where it is.

    Attributes
    ----------
    model : Model
        The network at its best epoch by the watched metric, or at its end without validation; while it goes on, as it
        is just now.
    history : pandas.DataFrame
        One row per epoch: epoch, train_loss, val_loss (NaN without validation data), lr, seconds, and val_f1 where
        cells are counted. Epoch 0 is the network as it was before the first step.
    stopped_because : str or None
        Why it ended, in words; None while it goes on.
    ending : Ending or None
        That, what the curves look like, and what to try.
    seconds : float
        Wall time of the training.
    settings : dict
        What it was started with.
    forecast, measured : dict or None
        What it was said to take, and what it took.
    matches : list of dict or None
        Match table of the validation images by the network that is kept, a row each, if cells were counted.
    path : Path or None
        Its folder, with ``model.safetensors``, ``history.csv``, ``run.json``, ``validation.tif`` and ``last.ckpt``.
    picture : xarray.DataArray or None
        The middle of the first validation image and what the network says of it, (c, y, x), if there is an `out` or
        somebody looked on.
    unsaved : str or None
        What could not be written at the end, and why; ``run.save(folder)`` writes it elsewhere.
    """

    def __init__(self, model: Callable[[], Model], recorder: Recorder, settings: Mapping[str, Any], path: Path | None):
        self._model, self._recorder = model, recorder
        self.settings: dict[str, Any] = dict(settings)
        self.path = path
        self.ending: Ending | None = None
        self.forecast: dict[str, Any] | None = None
        self.measured: dict[str, Any] | None = None
        self.environment: dict[str, Any] = {}
        self.matches: list[dict[str, Any]] | None = None
        self.picture: xr.DataArray | None = None
        self.unsaved: str | None = None
        self._over = threading.Event()
        self._error: BaseException | None = None
        self._seconds: float | None = None

    @property
    def model(self) -> Model:
        """The network, with all that is needed to use it."""
        found = self._model()
        if not self.running:
            return found
        return replace(found, net=copy.deepcopy(found.net).eval())  # to predict with the one that learns would stop it

    @property
    def history(self) -> pd.DataFrame:
        """The metrics of each epoch so far."""
        return self._recorder.history()

    @property
    def stopped_because(self) -> str | None:
        """Why it ended, in words."""
        return self.ending.why if self.ending is not None else None

    @property
    def seconds(self) -> float:
        """Wall time in seconds."""
        return self._recorder.seconds if self._seconds is None else self._seconds

    @property
    def running(self) -> bool:
        """Whether it goes on."""
        return not self._over.is_set()

    def stop(self, reason: str = "stopped by run.stop()") -> None:
        """Let it end after its current step; :meth:`wait` for that."""
        self._recorder.stop_asked = reason

    def wait(self, timeout: float | None = None) -> Run:
        """Wait until it is over.

        Parameters
        ----------
        timeout
            Seconds to wait at most; None for as long as it takes.

        Raises
        ------
        TimeoutError
            If it still goes on then.
        TrainingError
            Or whatever ended it.
        """
        if not self._over.wait(timeout):
            raise TimeoutError(f"the training still goes on after {timeout:g} s: epoch {len(self._recorder.rows)}")
        if self._error is not None:
            raise self._error
        return self

    def took(self) -> pd.DataFrame | None:
        """Return the forecast beside what it really took, and the ratio; None if there was none."""
        if self.forecast is None or self.measured is None:
            return None
        return Forecast.from_dict(self.forecast).compare(self.measured)

    def save(self, folder: str | Path) -> Path:
        """Write the model and the record into a folder, and return it."""
        target = make_folder(folder)
        self._model().save(target / FILE_NAME)
        with atomic(target / HISTORY) as temporary:
            self.history.to_csv(temporary, index=False)
        if self.picture is not None:
            write_image(self.picture, target / PICTURE)
        else:
            (target / PICTURE).unlink(missing_ok=True)  # that of another run
        write_record(target, self.record())
        self.path, self.unsaved = target, None
        return target

    def record(self) -> dict[str, Any]:
        """Return what ``run.json`` holds."""
        history = self.history.astype(object).where(self.history.notna(), None).to_dict("records")
        return {
            "format": 1, "settings": self.settings, "stopped_because": self.stopped_because,
            "ending": self.ending.to_dict() if self.ending is not None else None, "seconds": round(self.seconds, 2),
            "forecast": self.forecast, "measured": self.measured, "environment": self.environment,
            "matches": self.matches, "history": history,
        }  # fmt: skip

    def begin(self, work: Callable[[Run], None]) -> Callable[[], None]:
        """Return the work to be done, which ends the run whatever happens."""
        _going_on.add(self)
        atexit.unregister(_end_with_python)
        atexit.register(_end_with_python)  # anew: before what ends a JVM that was started since

        def whole() -> None:
            try:
                work(self)
            except BaseException as error:
                self._error = error
            finally:
                self._seconds = self._recorder.seconds
                try:
                    self._recorder.end(self.stopped_because or f"ended without a result: {self._error or 'abandoned'}")
                except Exception as error:
                    self._error = self._error or error
                _going_on.discard(self)
                self._over.set()

        return whole

    def abandon(self) -> None:
        """End it after the current step, without a result."""
        self._recorder.abandoned = True

    def _repr_html_(self) -> str:
        from fijibridge import displays

        history = self.history
        state = f"epoch {max(len(history) - 1, 0)}, going on" if self.running else self.stopped_because or "failed"
        told = {"state": state, "seconds": round(self.seconds, 1), "folder": self.path or "not saved"}
        told |= {"not written": self.unsaved} if self.unsaved else {}
        names = [name for name in history.columns if str(name).endswith("loss") or name == "val_f1"]
        lines = displays.curves({str(name): history[name].astype(float).tolist() for name in names})
        return displays.page("Run", displays.facts(told), lines, displays.rows(history))

    def __repr__(self) -> str:
        state = f"epoch {max(len(self._recorder.rows) - 1, 0)}, going on" if self.running else self.stopped_because
        return f"Run({str(self.path) if self.path else 'not saved'!r}: {state}, {self.seconds:.0f} s)"


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write ``run.json``.

    Raises
    ------
    TrainingError
        If it cannot be written.
    """
    try:
        write_json(folder / RECORD, dict(record))
    except OSError as error:
        raise TrainingError(f"cannot write the run's record into {folder}: {error}") from error


def _end_with_python() -> None:
    """Let trainings in the background end and save before Python goes."""
    for run in list(_going_on):
        run.stop("Python ended")
    deadline = time.monotonic() + 60
    for run in list(_going_on):
        run._over.wait(max(deadline - time.monotonic(), 0))
