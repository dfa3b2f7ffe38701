"""The command line in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def cli(*arguments: object, status: int = 0) -> str:
    """Run a command, and return what it prints."""
    command = [sys.executable, "-m", "fijibridge", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr
