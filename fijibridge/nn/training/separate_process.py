"""Training on several devices while this process has a JVM: the command line is run in a separate process."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from fijibridge.dataset import Dataset, Description
from fijibridge.errors import TrainingError
from fijibridge.files import make_folder, read_image, write_json
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.training.recorder import Recorder
from fijibridge.nn.training.runs import Run
from fijibridge.nn.training.settings_schema import Settings
from fijibridge.nn.training.verdict import Ending
from fijibridge.observers import Observer
from fijibridge.record import HISTORY, PICTURE, RECORD

log = logging.getLogger("fijibridge")

JOB = "job.json"
START = "start.safetensors"


def needed(devices: int, nodes: int) -> bool:
    """Return whether a training on this many devices needs a separate process because this one has a JVM."""
    jpype = sys.modules.get("jpype")
    return (devices > 1 or nodes > 1) and jpype is not None and bool(jpype.isJVMStarted())


@dataclass(frozen=True)
class RemoteJob:
    """A training in a separate process, described by files in its folder.

    Attributes
    ----------
    folder : Path
        Folder of the run, with the job's files.
    """

    folder: Path

    def model(self, epochs: int) -> Model:
        """Return the model written by the process."""
        return Model.load(self.folder)


def train_elsewhere(
    net: Any, data: Any, settings: Settings, *, out: str | Path | None, background: bool,
    observers: Sequence[Observer], others: Mapping[str, Any], **arguments: Any,
) -> Run:  # fmt: skip
    """Train in a separate process and return the run, as :func:`fijibridge.train` does.

    Parameters
    ----------
    net, data, settings, out, background, observers
        As for :func:`fijibridge.train`.
    others
        Arguments that cannot be passed to another process; all must be None.
    **arguments
        Further arguments of :func:`fijibridge.train`, passed to the process as JSON.

    Raises
    ------
    TrainingError
        If data, network or arguments cannot be passed to another process.
    """
    folder = _folder(data, out, others)
    write_job(folder, net, data, settings, **arguments)
    recorder = Recorder(
        settings, settings.epochs * settings.batches, observers, described={"job": str(folder / JOB)}
    )  # fmt: skip
    run = Run(RemoteJob(folder), recorder)
    return run.start(lambda: _follow(recorder, folder), background)


def _folder(data: Any, out: str | Path | None, others: Mapping[str, Any]) -> Path:
    reason = "while a JVM is running, training on several devices uses a separate process, which"
    given = [name for name, value in others.items() if value is not None]
    if not isinstance(data, Dataset):
        raise TrainingError(
            f"{reason} reads its images from a folder: save them there (fiji.save_training_set, "
            "fijibridge.save_dataset) and pass the Dataset"
        )
    if out is None:
        raise TrainingError(f"{reason} returns its model in a folder: pass out=")
    if given:
        raise TrainingError(
            f"{reason} cannot receive {', '.join(given)}: train in a Python process without Fiji instead"
        )
    return make_folder(out)


def write_job(folder: Path, net: Any, data: Dataset, settings: Settings, **arguments: Any) -> Path:
    """Write a training for another process: ``job.json`` and the network in its current state."""
    bare = isinstance(net, nn.Module)
    start = Model(net, tuple(settings.classes)) if bare else _loaded(net)
    start.save(folder / START)
    description = data.description.model_dump(mode="json", exclude_defaults=True)
    write_json(
        folder / JOB,
        {
            "folder": str(data.folder.resolve()), "description": description, "warm": not bare,
            "settings": json.loads(settings.model_dump_json(exclude_unset=True)), "arguments": arguments,
        },
    )  # fmt: skip
    return folder / JOB


def _loaded(net: Any) -> Model:
    found = getattr(net, "model", net)
    return found if isinstance(found, Model) else Model.load(found)


def train_job(path: str | os.PathLike[str], train: Callable[..., Run], observers: Sequence[Observer] = ()) -> Run:
    """Run the training that a file of :func:`write_job` describes, in the folder of this file.

    Parameters
    ----------
    path
        Path of ``job.json``.
    train
        The function :func:`fijibridge.train`.
    observers
        Observers of the training.

    Raises
    ------
    TrainingError
        If the file does not describe a job.
    """
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # inherited from a background process
    if ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # so that it stops the training
    file = Path(path)
    try:
        job = json.loads(file.read_text(encoding="utf-8"))
        data = Dataset(Path(job["folder"]), Description.model_validate(job["description"]))
        settings, arguments = Settings.stored(job["settings"]), dict(job["arguments"])
        start = Model.load(file.parent / START)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{file} does not describe a training: {error}") from error
    net = start if job["warm"] else start.net
    return train(net, data, out=file.parent, settings=settings, observers=observers, **arguments)


def _follow(recorder: Recorder, folder: Path) -> None:
    """Run the process, forward its metrics to the recorder, and forward a stop request to the process."""
    command = [sys.executable, "-m", "fijibridge", "train", "--job", str(folder / JOB)]
    began = time.time()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    ) as process:  # fmt: skip
        output = _Tail(process)
        asked = False
        while process.poll() is None:
            time.sleep(0.2)
            _take_rows(recorder, folder, began)
            if recorder.stop_asked and not asked:
                asked = True
                process.send_signal(signal.SIGINT)
        _end_others(process)
        output.join()
    if process.returncode:
        raise TrainingError(f"the training process {_end_of(process.returncode)}: {output.text[-2000:].strip()}")
    _take_rows(recorder, folder, began)
    _take_record(recorder, folder)


def _end_others(process: subprocess.Popen[str]) -> None:
    """Kill the processes of the other devices, which would wait forever once the first one has ended."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end_of(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    return (
        f"was killed ({signal.Signals(-status).name}), as the system does when memory is short; continue from its last "
        "checkpoint with resume=True. Its last output"
    )


class _Tail:
    """Reads the output of a process, so that its pipe never fills."""

    def __init__(self, process: subprocess.Popen[str]):
        self.text = ""
        self._stream = process.stdout
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        for line in self._stream or ():
            self.text = (self.text + line)[-20_000:]

    def join(self) -> None:
        self._thread.join()


def _take_rows(recorder: Recorder, folder: Path, began: float) -> None:
    file = folder / HISTORY
    if not file.is_file() or file.stat().st_mtime < began - 1:
        return
    for row in pd.read_csv(file).to_dict("records")[len(recorder.rows) :]:
        recorder.rows.append({str(k): v for k, v in row.items()})
        for observer in recorder.observers:
            observer.metrics(int(row["epoch"]), {str(k): v for k, v in row.items() if k != "epoch"})


def _take_record(recorder: Recorder, folder: Path) -> None:
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    recorder.ending = Ending.of(record["ending"])
    recorder.described, recorder.environment = record["settings"], record["environment"]
    recorder.forecast, recorder.measured, recorder.matches = record["forecast"], record["measured"], record["matches"]
    if (folder / PICTURE).is_file():
        recorder.picture = read_image(folder / PICTURE)
    log.info("training ended: %s; model in %s", recorder.ending, folder / FILE_NAME)
