"""A Python that has imported fijibridge, torch, Lightning and jpype once, and runs each script in a fork of itself.

A script may start a JVM: the server has none.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

SERVER = """
import json, os, sys
import torch
torch.set_num_threads(1)  # and so no thread exists yet, which a fork would lose
import imagej, jpype, lightning.pytorch, pandas, scyjava, skimage.measure, xarray
import fijibridge as fb
fb.train, fb.predict, fb.Dataset, fb.synthetic_epithelium

def main():
    for line in sys.stdin:
        task = json.loads(line)
        child = os.fork()
        if not child:
            for stream, path in ((1, task["out"]), (2, task["err"])):
                file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
                os.dup2(file, stream)
                os.close(file)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.update({name: value for name, value in task["environment"].items() if value is not None})
            for name in [name for name, value in task["environment"].items() if value is None]:
                os.environ.pop(name, None)
            os.chdir(task["cwd"])
            sys.argv = [task["script"], *task["arguments"]]
            return compile(open(task["script"]).read(), task["script"], "exec")
        os.setpgid(child, child)  # it can be killed with all that it starts
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)

code = main()
if code is not None:  # a child; to free all modules at its end takes Python seconds
    import atexit, threading, traceback
    status = 0
    try:
        exec(code, {"__name__": "__main__"})
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
"""


class Script:
    """A script that runs."""

    def __init__(self, server: subprocess.Popen[bytes], out: Path, err: Path):
        self._server, self._out, self._err = server, out, err
        self._status: int | None = None
        self.pid = self._number()

    def _number(self) -> int:
        """Read the next line of the server, which writes the id of the script's process, then its exit status."""
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def lines(self, timeout: float = 240) -> Iterator[str]:
        """Yield what it prints, line by line, until it ends."""
        until, begun = time.monotonic() + timeout, ""
        with self._out.open() as file:
            while time.monotonic() < until:
                alive = os.path.exists(f"/proc/{self.pid}/fd")
                begun += file.read()
                *whole, begun = begun.split("\n")
                yield from whole
                if not alive:
                    return
                time.sleep(0.001)
        raise TimeoutError(f"the script still runs after {timeout} s: {self._err.read_text()}")

    def wait(self, timeout: float = 500) -> subprocess.CompletedProcess[str]:
        """Wait for its end; kill it after a time."""
        if self._status is None and not select.select([self._server.stdout], [], [], timeout)[0]:
            self.kill()
            raise TimeoutError(f"the script ran for {timeout} s, and was killed: {self._err.read_text()}")
        if self._status is None:
            self._status = self._number()
        return subprocess.CompletedProcess([], self._status, self._out.read_text(), self._err.read_text())

    def kill(self) -> None:
        """Kill it, with all that it started, unless its end was awaited."""
        if self._status is None:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            self._status = self._number()


class WarmPython:
    """Runs scripts one after the other, each in a process of its own that need not import torch."""

    def __init__(self) -> None:
        self._folder, self._count = Path(tempfile.mkdtemp(prefix="fijibridge-scripts-")), 0
        self._last: Script | None = None
        self._server = subprocess.Popen(
            [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )  # fmt: skip

    def start(self, code: str, *arguments: object, cwd: Path | None = None, **environment: str | None) -> Script:
        """Start a script; a variable of the environment that is None is removed. A script left running is killed."""
        if self._last is not None:
            self._last.kill()
        self._count += 1
        script, out, err = (self._folder / f"{self._count}.{end}" for end in ("py", "out", "err"))
        script.write_text(textwrap.dedent(code))
        out.touch()
        err.touch()
        task = {
            "script": str(script), "out": str(out), "err": str(err), "arguments": [str(a) for a in arguments],
            "environment": environment, "cwd": str(cwd or Path.cwd()),
        }  # fmt: skip
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps(task).encode() + b"\n")
        self._last = Script(self._server, out, err)
        return self._last

    def run(
        self, code: str, *arguments: object, status: int = 0, cwd: Path | None = None, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        """Run a script to its end; its exit status must be the one expected."""
        done = self.start(code, *arguments, cwd=cwd, **environment).wait()
        assert done.returncode == status, f"exit status {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def command(self, *arguments: object, status: int = 0, cwd: Path | None = None) -> str:
        """Run a command of fijibridge's command line, and return what it prints."""
        done = self.run("from fijibridge.app.cli import main\nmain()", *arguments, status=status, cwd=cwd)
        return done.stdout + done.stderr

    def close(self) -> None:
        """End the server; it has nothing to save, and would take seconds to free its modules."""
        if self._last is not None:
            self._last.kill()
        self._server.kill()
        self._server.communicate()
        shutil.rmtree(self._folder, ignore_errors=True)


@cache
def warm_python() -> WarmPython:
    """Return the server that all tests of a process share."""
    server = WarmPython()
    atexit.register(server.close)
    return server
