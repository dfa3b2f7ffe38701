"""Time starts in fresh processes, both sides in turn: the embedded ImageJ, a real Fiji, and joining one that runs.

::

    python benchmarks/starts.py                          # embedded, and joining a plain ImageJ
    python benchmarks/starts.py --fiji /path/to/Fiji     # also against imagej.init, and pull and push against pyimagej

The reference of the embedded start is ``import torch``. CPU seconds are those of the process and its children.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HEAD = """
import json, os, sys, time
began, cpu = time.perf_counter(), time.process_time()
def done(**more):
    t = os.times()
    print(json.dumps({"wall": time.perf_counter() - began, "cpu": t.user + t.system + t.children_user
                      + t.children_system, **more}), flush=True)
"""

EMBEDDED = """
import fijibridge as fb
fiji = fb.Fiji.start("embedded", mode="headless")
done()
"""

TORCH = """
import torch
done()
"""

FIJI = """
import fijibridge as fb
fiji = fb.Fiji.start(sys.argv[1], mode="headless")
done()
"""

INIT = """
import scyjava, scyjava._jvm, scyjava.config, imagej
hooks = scyjava._jvm._startup_callbacks
hooks[:] = [h for h in hooks if not str(getattr(h, "__module__", "")).startswith("imglyb")]
scyjava.config.endpoints.clear()
scyjava.config.set_java_constraints(fetch="auto")
from fijibridge.imagej.installations import find_java
from pathlib import Path
os.environ["JAVA_HOME"] = str(find_java(Path(sys.argv[1])).home)
ij = imagej.init(sys.argv[1], mode="headless")
done()
"""

# as somebody who has pyimagej or napari loaded: numpy, pandas and xarray are there before
ATTACH = """
import numpy, pandas, xarray, jpype
from fijibridge.imagej.installations import find_java, java_libraries
jars = sys.argv[1].split(os.pathsep)
jpype.startJVM("-Djava.awt.headless=true", jvmpath=str(java_libraries(find_java().home)[0]), classpath=jars)
jpype.JClass("ij.IJ").getVersion()
import fijibridge as fb
began = time.perf_counter()
fb.Fiji.attach()
done()
"""

ATTACH_FIJI = INIT.replace(
    "done()",
    """
import fijibridge as fb
began = time.perf_counter()
fb.Fiji.attach(ij)
done()
""",
)

PIXELS = INIT.replace(
    "done()",
    """
import numpy as np, fijibridge as fb, xarray as xr, jpype
fiji = fb.Fiji.attach(ij)
def best(work, rounds=7):
    times = []
    for _ in range(rounds):
        t = time.perf_counter(); work(); times.append(time.perf_counter() - t)
    return sorted(times)[len(times) // 2]
array = np.random.default_rng(0).random((2048, 2048)).astype(np.float32)
fiji.show(array, name="a")
imp = ij.WindowManager.getImage("a")
mine = fiji.image("a")
found = {"pull": best(lambda: fiji.image("a")), "push": best(lambda: fiji.show(array, name="b"))}
try:
    found["from_java"] = best(lambda: ij.py.from_java(imp))
    found["to_imageplus"] = best(lambda: ij.py.to_imageplus(ij.py.to_dataset(array)))
except Exception as error:
    found["pyimagej"] = f"{type(error).__name__}: {error}"[:160]
done(**found)
""",
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--fiji", help="folder of a Fiji")
    given = options.parse_args()
    versus("embedded start", EMBEDDED, "import torch", TORCH, given.runs)
    joined(given.runs)
    if given.fiji:
        versus("Fiji.start of a Fiji", FIJI, "imagej.init", INIT, given.runs, given.fiji)
        times = [child(ATTACH_FIJI, given.fiji)["wall"] for _ in range(given.runs)]
        print(f"attach to imagej.init: {spread(times)}", flush=True)
        print(f"pixels beside pyimagej: {json.dumps(child(PIXELS, given.fiji))}", flush=True)


def versus(name: str, code: str, reference: str, other: str, runs: int, *arguments: str) -> None:
    """Run both in turn; print their times and the ratio."""
    child(code, *arguments), child(other, *arguments)  # caches
    pairs = [(child(code, *arguments), child(other, *arguments)) for _ in range(runs)]
    for which in ("wall", "cpu"):
        mine, its = [a[which] for a, _ in pairs], [b[which] for _, b in pairs]
        ratios = [a / b for a, b in zip(mine, its, strict=True)]
        print(f"{name}, {which}: {spread(mine)}; {reference}: {spread(its)}; ratio {spread(ratios, '')}", flush=True)


def joined(runs: int) -> None:
    """Time attach to a plain ImageJ: the first time on a machine, and with the compiled classes in the cache."""
    from fijibridge.java.jars import EMBEDDED as coordinates
    from fijibridge.java.jars import jars_of

    jars = os.pathsep.join(map(str, jars_of(coordinates)))
    home = Path(tempfile.mkdtemp())
    try:
        first = child(ATTACH, jars, HOME=str(home))["wall"]
        times = [child(ATTACH, jars, HOME=str(home))["wall"] for _ in range(runs)]
    finally:
        shutil.rmtree(home)
    print(f"attach to plain ImageJ: first use on a machine {first:.2f} s, then {spread(times)}", flush=True)


def child(code: str, *arguments: str, **environment: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", HEAD + code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise SystemExit(f"failed: {done.stderr[-3000:]}")
    return dict(json.loads(line))


def spread(values: list[float], unit: str = " s") -> str:
    return f"{statistics.median(values):.2f}{unit} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
