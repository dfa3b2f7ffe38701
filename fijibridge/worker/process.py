"""Worker process for a Fiji that Python did not start. It runs verbs, and talks to Fiji through pipes.

``python -m fijibridge.worker.process`` uses Appose's protocol, with one line of JSON per message. Pixels, ROIs and
tables are in shared memory. Appose's own worker runs any code that it receives; this worker runs only verbs. It opens
no port, and ends when the process at the other end of its pipe ends.

A request is ``{"task": id, "requestType": "EXECUTE", "script": name of a verb, "inputs": {"given": options, "images":
by parameter}}``, or has ``"requestType": "CANCEL"``. Four names are not verbs: ``:hello`` returns the versions;
``:read`` and ``:write`` convert the options of a macro into values and back, see :mod:`fijibridge.verbs.macro_options`;
``:release`` frees the results of the task named in ``given``. Until then, results are kept, so that Fiji can read them.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import sys
import threading
import time
import traceback
import warnings
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, BinaryIO

import numpy  # noqa: F401 - before a thread waits for input, because on Windows this import would then wait, too

from fijibridge.errors import Cancelled, FijiBridgeError, FijiBridgeWarning, OptionError
from fijibridge.verbs import Call, perform, verb_named
from fijibridge.verbs.macro_options import read_request, write_request
from fijibridge.worker.host import Crossing
from fijibridge.worker.shared_memory import Blocks, remove_left_blocks

log = logging.getLogger("fijibridge")

VERSION = version("fijibridge")
"""Version of the running code; it stays the same if the package is updated on disk."""
HELLO, READ, WRITE, RELEASE = ":hello", ":read", ":write", ":release"
UPDATE_INTERVAL = 0.1
"""Seconds between two messages about the progress of a call."""
END_TIMEOUT = 300.0
"""Seconds to wait for running calls to end, and for a training to be saved, after Fiji has ended."""


class Worker:
    """Reads requests, and answers each request in its own thread.

    Parameters
    ----------
    requests
        Lines of JSON, one per request.
    answers
        Stream to which answers are written as lines of JSON.
    """

    def __init__(self, requests: Iterable[bytes], answers: BinaryIO):
        self._requests, self._answers = requests, answers
        self._writing = threading.Lock()
        self._tasks: dict[str, Task] = {}
        self._results: dict[str, Blocks] = {}

    def run(self) -> bool:
        """Answer requests until the stream ends, then cancel running calls; return True if all of them ended."""
        for line in self._requests:
            if line.strip():
                self._read(line)
        return self._end()

    def _read(self, line: bytes) -> None:
        """Start the task requested in a line; log and ignore an invalid line."""
        try:
            request = json.loads(line)
            uuid, kind = str(request["task"]), request["requestType"]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            log.error("invalid request, %s: %r", error, line[:200])
            return
        if kind == "CANCEL":
            task = self._tasks.get(uuid)
            if task is not None:
                task.call.stop.set()
        elif kind != "EXECUTE":
            self.send(uuid, "FAILURE", error=f"unknown request {kind!r}; expected EXECUTE or CANCEL")
        elif uuid in self._tasks:
            log.error("task %s was requested twice", uuid)
        else:
            self._tasks[uuid] = Task(self, uuid, request.get("script"), request.get("inputs"))
            self._tasks[uuid].start()

    def send(self, uuid: str, kind: str, **fields: Any) -> None:
        """Write a message."""
        self.write(_line(uuid, kind, **fields))

    def write(self, line: bytes) -> None:
        """Write a line; ignore the error if the reader has ended."""
        with self._writing:
            try:
                self._answers.write(line)
                self._answers.flush()
            except OSError:
                log.debug("the reader has ended: %s", line[:200])

    def ended(self, task: Task, blocks: Blocks | None) -> None:
        """Remove a finished task, and keep its results until they are released."""
        if blocks:
            self._results[task.uuid] = blocks
        del self._tasks[task.uuid]

    def release(self, uuid: str) -> None:
        """Free the results of a task."""
        blocks = self._results.pop(uuid, None)
        if blocks is not None:
            blocks.free()

    def _end(self) -> bool:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.call.stop.set()
        last = time.monotonic() + END_TIMEOUT
        for task in tasks:
            task.thread.join(max(0.0, last - time.monotonic()))
        for uuid in list(self._results):
            self.release(uuid)
        return not any(task.thread.is_alive() for task in tasks)


class Task:
    """A request that is being answered in its own thread."""

    def __init__(self, worker: Worker, uuid: str, name: Any, inputs: Any):
        self.uuid, self._worker, self._name, self._inputs = uuid, worker, name, inputs
        self.call = Call(self._progress, self._say)
        self.thread = threading.Thread(target=self._run, name=f"fijibridge-{name}", daemon=True)
        self._updated = 0.0
        self._notes: list[str] = []

    def start(self) -> None:
        """Start the thread."""
        self.thread.start()

    def note(self, text: str) -> None:
        """Add a message to the results."""
        self._notes.append(text)

    def _run(self) -> None:
        _working.task = self
        self._worker.send(self.uuid, "LAUNCH")
        came, made = Blocks(), Blocks()
        kind, line = self._answer(came, made)
        came.free()  # the verb has read its inputs
        if kind != "COMPLETION":
            made.free()
        self._worker.ended(self, made if kind == "COMPLETION" else None)
        self._worker.write(line)

    def _answer(self, came: Blocks, made: Blocks) -> tuple[str, bytes]:
        try:
            return "COMPLETION", _line(self.uuid, "COMPLETION", outputs=self._outputs(came, made))
        except Cancelled:
            return "CANCELATION", _line(self.uuid, "CANCELATION")
        except FijiBridgeError as error:
            return "FAILURE", _line(self.uuid, "FAILURE", error=str(error))
        except BaseException as error:
            traceback.print_exc()
            sys.stderr.flush()
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{os.path.basename(last.filename)}, line {last.lineno}"
            message = f"{type(error).__name__}: {error} ({place}; the traceback is in the log)"
            return "FAILURE", _line(self.uuid, "FAILURE", error=message)

    def _outputs(self, came: Blocks, made: Blocks) -> dict[str, Any]:
        inputs = self._inputs if self._inputs is not None else {}
        if not isinstance(self._name, str) or not isinstance(inputs, dict):
            raise OptionError(
                f"got {self._name!r} and {type(inputs).__name__}; expected the name of a verb and a JSON object of "
                "its inputs"
            )
        unknown = set(inputs) - {"given", "images"}
        given, images = inputs.get("given", {}), inputs.get("images", {})
        if unknown or not isinstance(given, dict) or not isinstance(images, dict):
            raise OptionError(
                f"the inputs have the fields {sorted(inputs)}; expected only given and images, each a JSON object"
            )
        if self._name == HELLO:
            return _hello()
        if self._name == RELEASE:
            self._worker.release(str(given.get("task")))
            return {}
        if self._name == READ:
            return read_request(given)
        if self._name == WRITE:
            return write_request(given)
        verb = verb_named(self._name)
        images = came.attach(images)
        host = Crossing(images, made)
        perform(verb, {**given, **{name: name for name in images}}, host, self.call)
        notes = [{"kind": "say", "text": text} for text in self._notes]
        return {"results": notes + host.results}

    def _progress(self, done: int, steps: int) -> None:
        now = time.monotonic()
        if done >= steps or now - self._updated >= UPDATE_INTERVAL:
            self._updated = now
            self._worker.send(self.uuid, "UPDATE", current=int(done), maximum=int(steps))

    def _say(self, text: str) -> None:
        self._worker.send(self.uuid, "UPDATE", message=text)


def _line(uuid: str, kind: str, **fields: Any) -> bytes:
    """Return a message as a line of JSON; raise for NaN or infinity, because Java's parser would drop such a line."""
    return json.dumps({"task": uuid, "responseType": kind, **fields}, allow_nan=False).encode("ascii") + b"\n"


def _hello() -> dict[str, Any]:
    """Return version, Python, device and process id."""
    from fijibridge.nn.devices import device_of

    return {"version": VERSION, "python": platform.python_version(), "executable": sys.executable,
            "device": str(device_of(None)), "pid": os.getpid()}  # fmt: skip


# --- the process ------------------------------------------------------------------------------------

_working = threading.local()


def _warn(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: Any = None,
    line: str | None = None,
) -> None:
    """Send fijibridge's own warnings to the caller, and all others to the log."""
    task = getattr(_working, "task", None)
    if task is not None and issubclass(category, FijiBridgeWarning):
        task.note(f"Warning: {message}")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))


def main() -> None:
    """Answer requests from standard input until it ends."""
    # output printed by us or by a library must not mix with the messages
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in Fiji's terminal ends Fiji, and thereby this process
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    warnings.simplefilter("always", FijiBridgeWarning)
    warnings.showwarning = _warn
    import torch  # noqa: F401 - before a thread waits for input, like numpy

    remove_left_blocks()

    ended = Worker(sys.stdin.buffer, answers).run()
    sys.stderr.flush()
    if not ended:
        log.error("running calls did not end within %g s", END_TIMEOUT)
        os._exit(1)


if __name__ == "__main__":
    main()
