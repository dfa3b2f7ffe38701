"""Count the starts with windows that hang: a table opens under a pointer that rests, or moves.

Each start is a fresh process under one Xvfb. Needs Xvfb and xdotool; nothing else may run on that display::

    python benchmarks/window_starts.py --runs 50
    python benchmarks/window_starts.py --runs 20 --package OLDER_CHECKOUT --fiji /path/to/Fiji
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

SCREEN = 1400, 1000

CHILD = """
import sys
try:  # a checkout that cannot start Fiji by itself
    import imglyb, scyjava._jvm as scyjava
    hooks = scyjava._startup_callbacks
    hooks[:] = [h for h in hooks if not str(getattr(h, "__module__", "")).startswith("imglyb")]
except ImportError:
    pass
import numpy as np, pandas as pd
import fijibridge as fb
fiji = fb.Fiji.start(sys.argv[1], mode="interactive")
fiji.show(np.zeros((300, 400), np.uint8), name="a")
fiji.show_table(pd.DataFrame({"label": range(40), "area": range(40)}), "Cells", select_in="a")
import jpype
window = jpype.JClass("ij.WindowManager").getWindow("Cells")
print("bounds", window.getX(), window.getY(), window.getWidth(), window.getHeight(), flush=True)
"""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=50, help="starts for each kind of pointer")
    options.add_argument("--fiji", default="embedded", help="Fiji folder; plain ImageJ if left out")
    options.add_argument("--package", type=Path, default=Path(__file__).resolve().parent.parent, help="checkout to run")
    options.add_argument("--within", type=float, default=60, help="seconds after which a start counts as hanging")
    options.add_argument("--pointer", choices=("resting", "moving", "both"), default="both")
    given = options.parse_args()
    read, write = os.pipe()
    size = f"{SCREEN[0]}x{SCREEN[1]}x24"
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", size, "-noreset"], pass_fds=[write])
    os.close(write)
    with os.fdopen(read) as pipe:
        display = f":{pipe.readline().strip()}"
    try:
        _, bounds = start(given, display)
        x, y, width, height = bounds or (0, 0, *SCREEN)
        middle = x + width // 2, y + height // 2
        for pointer in ("resting", "moving") if given.pointer == "both" else (given.pointer,):
            hangs, seconds = count(given, display, pointer, middle)
            taken = f"{sorted(seconds)[len(seconds) // 2]:.1f} s a start (median)" if seconds else "none ended"
            print(f"{pointer:8} pointer at {middle}: {hangs} of {given.runs} starts hang; {taken}", flush=True)
    finally:
        server.terminate()


def count(given: argparse.Namespace, display: str, pointer: str, middle: tuple[int, int]) -> tuple[int, list[float]]:
    """Start many times; return how often it hung, and the seconds of those that ended."""
    hangs, seconds, over = 0, [], threading.Event()
    move(display, *middle)
    if pointer == "moving":
        threading.Thread(target=wander, args=(display, middle, over), daemon=True).start()
    for _ in range(given.runs):
        taken, bounds = start(given, display)
        hangs += bounds is None
        if bounds is not None:
            seconds.append(taken)
    over.set()
    return hangs, seconds


def start(given: argparse.Namespace, display: str) -> tuple[float, tuple[int, ...] | None]:
    """Start once; return the seconds it took, and where the table opened, None if it hung."""
    env = {**os.environ, "DISPLAY": display, "PYTHONPATH": str(given.package)}
    began = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, given.fiji], env=env, cwd=given.package, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        out, err = child.communicate(timeout=given.within)
    except subprocess.TimeoutExpired:
        print("  hangs:", waiting_for(child.pid), flush=True)
        child.kill()
        child.communicate()
        return given.within, None
    line = next((line for line in out.splitlines() if line.startswith("bounds")), None)
    if line is None:
        raise SystemExit(f"the start failed: {err[-2000:]}")
    return time.monotonic() - began, tuple(map(int, line.split()[1:]))


def waiting_for(pid: int) -> str:
    """Return what the threads of a JVM wait for, by jstack: a class being initialised, of a real deadlock."""
    if shutil.which("jstack") is None:
        return "no jstack on the path to tell why"
    told = subprocess.run(["jstack", str(pid)], capture_output=True, text=True, timeout=60).stdout
    monitors = set(re.findall(r"Class initialization monitor for (\S+)", told))
    return f"a thread waits for the initialisation of {', '.join(sorted(monitors))}" if monitors else "no such wait"


def wander(display: str, middle: tuple[int, int], over: threading.Event) -> None:
    """Move the pointer to and fro."""
    step = 0
    while not over.wait(0.02):
        step += 1
        move(display, middle[0] + (step * 37) % 300 - 150, middle[1] + (step * 23) % 200 - 100)


def move(display: str, x: int, y: int) -> None:
    subprocess.run(["xdotool", "mousemove", str(x), str(y)], env={**os.environ, "DISPLAY": display}, check=False)


if __name__ == "__main__":
    main()
