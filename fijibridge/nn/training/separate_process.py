"""Several devices from a process that runs a JVM: the command line is started as a process of its own."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from fijibridge.dataset import Dataset
from fijibridge.errors import TrainingError
from fijibridge.files import make_folder, read_image, write_json
from fijibridge.nn.model import FILE_NAME, Model
from fijibridge.nn.training.recorder import Recorder
from fijibridge.nn.training.runs import Run
from fijibridge.nn.training.settings import Settings
from fijibridge.observers import Observer, watchers
from fijibridge.record import HISTORY, PICTURE, RECORD

log = logging.getLogger("fijibridge")

JOB = "job.json"
START = "start.safetensors"


def needed(devices: int, nodes: int) -> bool:
    """Tell whether a training on so many devices must leave this process, because a JVM runs in it."""
    jpype = sys.modules.get("jpype")
    return (devices > 1 or nodes > 1) and jpype is not None and bool(jpype.isJVMStarted())


def train_elsewhere(
    net: Any, data: Any, settings: Settings, *, out: str | Path | None, overwrite: bool, resume: bool | str,
    background: bool, device: str | None, devices: int, nodes: int, strategy: str, tensorboard: bool,
    observers: Sequence[Observer] | None, others: Mapping[str, Any],
) -> Run:  # fmt: skip
    """Train in a process of its own and return the run, as :func:`fijibridge.train` does.

    Raises
    ------
    TrainingError
        If data, network or arguments cannot be given to another process.
    """
    from fijibridge.nn.training.loop import aside

    folder = _folder(data, out, others)
    write_job(
        folder, net, data, settings, overwrite=overwrite, resume=resume, device=device, devices=devices, nodes=nodes,
        strategy=strategy, tensorboard=tensorboard,
    )  # fmt: skip
    told = watchers() if observers is None else observers
    recorder = Recorder(settings, settings.epochs * settings.batches, told)
    run = Run(lambda: Model.load(folder), recorder, {"job": str(folder / JOB)}, folder)
    work = run.begin(lambda run: _work(run, recorder, folder))
    thread = aside(work)
    if background:
        return run
    while thread.is_alive():
        try:
            thread.join(0.5)
        except KeyboardInterrupt:
            run.stop("interrupted by Ctrl-C")
    return run.wait()


def _folder(data: Any, out: str | Path | None, others: Mapping[str, Any]) -> Path:
    reason = "several devices in a process that runs a JVM are a process of their own, which"
    given = [name for name, value in others.items() if value is not None]
    if not isinstance(data, Dataset):
        raise TrainingError(
            f"{reason} reads its images from a folder: save them as one (fiji.save_training_set, "
            "fijibridge.save_dataset) and give the Dataset"
        )
    if out is None:
        raise TrainingError(f"{reason} hands its model back in a folder: give out=")
    if given:
        raise TrainingError(f"{reason} cannot be given {', '.join(given)}: train in a Python without Fiji for that")
    return make_folder(out)


def write_job(folder: Path, net: Any, data: Dataset, settings: Settings, **arguments: Any) -> Path:
    """Write what another process is to train: ``job.json`` and the network as it is now."""
    bare = isinstance(net, nn.Module)
    classes = settings.classes
    start = Model(net, tuple(classes)) if bare else _loaded(net)
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


def train_job(path: str | os.PathLike[str], observers: Sequence[Observer] = ()) -> Run:
    """Train what a job says, in its folder.

    Raises
    ------
    TrainingError
        If it is no job.
    """
    from fijibridge.dataset import Description
    from fijibridge.nn.training.trainer import train

    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # inherited from a Python in the background
    if ignored and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)  # it is how a run is stopped
    file = Path(path)
    try:
        job = json.loads(file.read_text(encoding="utf-8"))
        data = Dataset(Path(job["folder"]), Description.model_validate(job["description"]))
        settings, arguments = Settings.stored(job["settings"]), dict(job["arguments"])
        start = Model.load(file.parent / START)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{file} is no job of a training: {error}") from error
    net = start if job["warm"] else start.net
    return train(net, data, out=file.parent, settings=settings, observers=observers, **arguments)


def _work(run: Run, recorder: Recorder, folder: Path) -> None:
    """Watch the process: pass its metrics on, and a wish to stop to it."""
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
        raise TrainingError(f"the process of the training {_end_of(process.returncode)}: {output.text[-2000:].strip()}")
    _take_rows(recorder, folder, began)
    _take_record(run, folder)


def _end_others(process: subprocess.Popen[str]) -> None:
    """End what a process has started for the other devices: without it they wait for each other for ever."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)


def _end_of(status: int) -> str:
    if status >= 0:
        return f"ended with {status}"
    return (
        f"was killed ({signal.Signals(-status).name}), as the system does where memory is short; go on from its last "
        "checkpoint with resume=True. It said"
    )


class _Tail:
    """Reads what a process prints, so that its pipe never fills."""

    def __init__(self, process: subprocess.Popen[str]):
        import threading

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


def _take_record(run: Run, folder: Path) -> None:
    from fijibridge.nn.training.verdict import Ending

    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    ending = record["ending"]
    run.ending = Ending.of(ending)
    run.settings, run.forecast, run.measured = record["settings"], record["forecast"], record["measured"]
    run.environment, run.matches = record["environment"], record["matches"]
    if (folder / PICTURE).is_file():
        run.picture = read_image(folder / PICTURE)
    log.info("training ended: %s; model in %s", run.ending, folder / FILE_NAME)
