"""The worker by itself: what it answers, what it refuses, and how it ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from appose import NDArray
from appose.util import message

PACKAGE = Path(__file__).with_name("package")


class Pipe:
    """A worker at the end of a pipe."""

    def __init__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "fijibridge.worker.process"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(PACKAGE), "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        self.number = 0

    def write(self, line: str) -> None:
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def begin(self, script, **inputs) -> str:
        self.number += 1
        request = {"task": str(self.number), "requestType": "EXECUTE", "script": script, "inputs": inputs}
        self.write(message.encode(request))
        return str(self.number)

    def ended(self, task: str) -> dict:
        """Read until a task has ended; its last message, without its id."""
        while line := self.process.stdout.readline():
            told = json.loads(line.decode("ascii"))
            if told.pop("task") == task and told["responseType"] not in ("LAUNCH", "UPDATE"):
                return told
        raise AssertionError(f"the worker ended with {self.process.wait()}: {self.process.stderr.read().decode()}")

    def __call__(self, script, **inputs) -> dict:
        return self.ended(self.begin(script, **inputs))


@pytest.fixture(scope="module")
def worker():
    pipe = Pipe()
    yield pipe
    pipe.process.stdin.close()
    assert pipe.process.wait(60) == 0


def test_it_says_who_it_is(worker):
    told = worker(":hello")["outputs"]
    assert told["executable"] == sys.executable
    assert told["pid"] == worker.process.pid
    assert set(told) == {"version", "python", "executable", "device", "pid"}


@pytest.mark.parametrize(
    ("script", "inputs", "words"),
    [
        ("print(open('/etc/passwd').read())", {}, "does not exist; expected one of"),
        ("__import__('os').system('id')", {}, "does not exist; expected one of"),
        (None, {}, "expected the name of a verb"),
        ("predict", {"given": {"model": "/etc/passwd", "code": "1"}}, "option 'code' does not exist"),
        ("predict", {"given": {}, "globals": {}}, "expected only given and images"),
        ("predict", {"given": []}, "expected only given and images"),
        ("plan", {"given": {"folder": "/", "depth": "__import__('os')"}}, "depth is \"__import__('os')\""),
        ("plan", {"given": {"folder": {"a": 1}}}, "expected a folder"),
        ("keep_image", {"given": {"path": "/nowhere"}, "images": {"image": {"title": "a"}}}, "invalid description"),
        ("keep_image", {"given": {"path": "/nowhere"}, "images": {"image": 7}}, "Fiji sent no image"),
        ("keep_image", {"given": {"path": "/nowhere"}, "images": {"other": {}}}, "option 'other' does not exist"),
        (
            "keep_image",
            {"images": {"image": {"blocks": [{"appose_type": "ndarray", "dtype": "uint8", "shape": [4],
                                              "shm": {"appose_type": "shm", "name": "psm_gone", "rsize": 4}}]}}},
            "block of pixels cannot be read",
        ),
        *(
            ("keep_image", {"images": {"image": {"blocks": [
                {"appose_type": "ndarray", "dtype": dtype, "shape": shape,
                 "shm": {"appose_type": "shm", "name": name, "rsize": 4}}]}}}, words)
            for name, dtype, shape, words in (
                ("../../etc/passwd", "uint8", [4], "is not the name of a block"),
                ("sem.of_others", "uint8", [4], "is not the name of a block"),
                (7, "uint8", [4], "is not the name of a block"),
                ("psm_a", "O", [4], "of 'O'"),
                ("psm_a", "uint8", [-1], "shape [-1]"),
                ("psm_a", "uint8", [2**40, "4"], "shape [1099511627776"),
                ("psm_a", "uint8", [], "shape []"),
            )
        ),
    ],
)  # fmt: skip
def test_what_it_refuses(worker, script, inputs, words):
    told = worker(script, **inputs)
    assert told["responseType"] == "FAILURE"
    assert words in told["error"]
    assert "\n" not in told["error"]


IMAGE = {
    "title": "a", "id": -1, "type": "8-bit", "counts": [1, 1, 1], "height": 2000, "width": 3000, "interval": 0,
    "pixel_size": [1, 1, 1], "origin": [0, 0, 0], "units": ["pixel"] * 3, "time_unit": "sec",
}  # fmt: skip


def shared(block: NDArray, shape: list[int]) -> dict:
    return {"appose_type": "ndarray", "dtype": block.dtype, "shape": shape, "shm": block.shm}


def forget(block: NDArray) -> None:
    """Close a block, which the worker has freed."""
    block.shm.close()
    with pytest.raises(FileNotFoundError):
        block.shm.unlink()
    resource_tracker.unregister(f"/{block.shm.name}", "shared_memory")


def test_an_image_that_is_larger_than_its_memory_is_refused(worker):
    """And what came before it is freed."""
    good, small = NDArray("uint8", [1, 2000, 3000]), NDArray("uint8", [2, 3])
    told = IMAGE | {"counts": [2, 1, 1], "blocks": [shared(good, good.shape), shared(small, good.shape)]}
    answer = worker("keep_image", given={"path": "/nowhere"}, images={"image": told})
    assert "too small for shape [1, 2000, 3000]" in answer["error"]
    forget(good)
    forget(small)


def test_a_number_that_is_none_is_an_error_and_not_a_message_that_java_cannot_read(worker):
    block = NDArray("uint8", [1, 2, 3])
    told = IMAGE | {"height": 2, "width": 3, "blocks": [shared(block, [1, 2, 3])]}
    try:
        answer = worker("odd_results", given={"kind": "limits"}, images={"image": told})
    finally:
        forget(block)
    assert answer["responseType"] == "FAILURE"
    assert "JSON" in answer["error"]


def test_invalid_lines_are_ignored(worker):
    for line in (
        "",
        "garbage",
        "[1]",
        "7",
        '{"task": "x"}',
        '{"requestType": "EXECUTE"}',
        '{"task": "x", ',
        "[" * 100_000,
        "\u00fc\x00",
    ):
        worker.write(line)
    worker.write('{"task": "nobody", "requestType": "CANCEL"}')
    worker.write('{"task": "odd", "requestType": "EVAL", "script": "1"}')
    assert "unknown request 'EVAL'" in worker.ended("odd")["error"]
    assert worker("about")["responseType"] == "COMPLETION"


def test_messages_are_ascii_and_come_not_too_often(worker, tmp_path):
    task = worker.begin("work", given={"started": str(tmp_path / "\u00fc \u6771"), "seconds": 1})
    updates = []
    while json.loads(line := worker.process.stdout.readline())["responseType"] != "COMPLETION":
        updates.append(json.loads(line))
        assert line.isascii()
    steps = [told["current"] for told in updates if "current" in told]
    assert 3 <= len(steps) <= 25, "200 steps are told"
    assert steps == sorted(steps)
    assert task == str(worker.number)


def test_cancelling(worker, tmp_path):
    task = worker.begin("work", given={"started": str(tmp_path / "x")})
    while not (tmp_path / "x").exists():
        time.sleep(0.02)
    worker.write(json.dumps({"task": task, "requestType": "CANCEL"}))
    assert worker.ended(task) == {"responseType": "CANCELATION"}


@pytest.mark.skipif(not Path("/proc/net").is_dir(), reason="looks at sockets where Linux lists them")
def test_it_opens_no_port(worker):
    worker("about")
    sockets = {
        found[1]
        for place in Path(f"/proc/{worker.process.pid}/fd").iterdir()
        if (found := re.match(r"socket:\[(\d+)\]", os.readlink(place)))
    }
    tables = [Path(f"/proc/{worker.process.pid}/net/{kind}") for kind in ("tcp", "tcp6", "udp", "udp6", "raw")]
    inodes = {line.split()[9] for table in tables if table.exists() for line in table.read_text().splitlines()[1:]}
    assert not sockets & inodes


def test_it_ends_with_its_pipe_and_what_works_is_cancelled(tmp_path):
    pipe = Pipe()
    pipe.begin("work", given={"started": str(tmp_path / "x"), "seconds": 500})
    while not (tmp_path / "x").exists():
        time.sleep(0.05)
    pipe.process.send_signal(signal.SIGINT)  # Ctrl-C in the terminal of Fiji is for Fiji
    pipe.process.stdin.close()
    assert pipe.process.wait(30) == 0


def test_options_are_read_and_written_as_in_python(worker):
    """By the rules of macros, with what the macro's variables hold; all that is wrong is told, and nothing is done."""
    asked = {"verb": "predict", "options": "image=[a b.tif] model=&m flips ", "variables": {"m": str(PACKAGE)}}
    given = {"image": "a b.tif", "model": str(PACKAGE), "flips": "true"}
    assert worker(":read", given=asked)["outputs"] == {"given": given}
    written = worker(":write", given={"verb": "predict", "given": given})["outputs"]["options"]
    assert written == f"image=[a b.tif] model={PACKAGE} flips"
    assert worker(":write", given={"verb": "about", "given": {}})["outputs"] == {"options": ""}
    assert worker(":write", given={"verb": "predict", "given": {"model": str(PACKAGE)}})["responseType"] == "COMPLETION"
    wrong = worker(":read", given={"verb": "predict", "options": "modell=x tile=-3"})["error"]
    assert wrong.startswith("FijiBridge Predict...: option 'modell' does not exist")
    assert "model is missing" in wrong
    assert "tile is -3" in wrong
    assert "no variable 'm'" in worker(":read", given=asked | {"variables": {}})["error"]
    assert "expected values by name" in worker(":read", given={"verb": "predict", "given": [1]})["error"]
    assert "does not exist" in worker(":read", given={"verb": "nobody", "given": {}})["error"]
