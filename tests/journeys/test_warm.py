"""The warm Python of the tests: one script has no influence on the next."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest


def test_a_script_that_a_test_leaves_running_is_killed_before_the_next(warm_python):
    left = warm_python.start("""
        import subprocess
        child = subprocess.Popen(["sleep", "600"])
        print(child.pid, flush=True)
        child.wait()
    """)  # fmt: skip
    child = int(next(left.lines()))
    assert warm_python.run("print('next')").stdout == "next\n"
    with pytest.raises(ProcessLookupError):
        os.kill(left.pid, 0)
    assert left.wait().returncode == -9
    end = time.monotonic() + 60  # nobody waits for the child: it ends a moment after the signal
    while Path(f"/proc/{child}/exe").exists():
        assert time.monotonic() < end, "what it started goes on"
        time.sleep(0.01)
    assert warm_python.run("import sys; sys.exit(3)", status=3).returncode == 3


def test_a_script_that_does_not_end_is_killed(warm_python):
    endless = warm_python.start("import time; time.sleep(600)")
    with pytest.raises(TimeoutError, match=r"ran for 0\.2 s, and was killed"):
        endless.wait(0.2)
    assert warm_python.run("print('next')").stdout == "next\n"
