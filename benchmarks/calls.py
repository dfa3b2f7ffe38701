"""Calls from a Fiji that Python did not start, through its scripts: what crossing costs, and what it adds to a verb.

    python benchmarks/calls.py [--rounds 7]

A JVM of its own with ImageJ, SciJava and Groovy, and the worker that its scripts start, as in the tests. Each round
times both sides, one after the other; medians, in brackets least to most.

- A stack of 500 MB from Fiji to Python, and from Python to Fiji, against numpy.copy of the same data; the way to Fiji
  also against the JVM's own duplicate() of the stack, which finds new memory in Java as it does.
- Label Cells with a model on 1024 x 1024 pixels, by its script, from the call to the labels in their window, against
  the same verb called in Python.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import fijibridge as fb
from fijibridge.verbs import perform, verb_named
from fijibridge.worker.installation import FOLDER

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from tests.worker import conftest as other

SHAPE = (60, 2048, 2048)  # of uint16: 503 MB


class Host:
    """Has the image at hand, and shows nothing."""

    def __init__(self, image: Any):
        self.image = image

    def take(self, parameter: Any, value: Any, taken: Any) -> Any:
        """Return the image."""
        return self.image

    def drawn(self, parameter: Any, value: Any) -> bool:
        """Tell that it is an image."""
        return False

    def give(self, result: Any) -> None:
        """Do nothing."""


def compare(name: str, work: Callable[[], object], reference: Callable[[], object], rounds: int) -> None:
    """Print the medians of both, and of the ratio of each round, with the least and the most."""
    work(), reference()
    times = [(seconds(work), seconds(reference)) for _ in range(rounds)]
    ratios = sorted(mine / its for mine, its in times)
    mine, its = (statistics.median(side) * 1e3 for side in zip(*times, strict=True))
    spread = f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
    print(f"{name:<44}{mine:8.0f} ms{its:8.0f} ms  {statistics.median(ratios):5.2f}x  {spread}", flush=True)


def seconds(work: Callable[[], object]) -> float:
    """Return how long it takes; what it returns is given back."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary, "Fiji.app")
        (home / "jars").mkdir(parents=True)
        for jar in ("ij-1.54p.jar", "appose-0.9.0.jar"):
            (home / "jars" / jar).touch()
        environment = {"PYTHONPATH": str(other.PACKAGE)}
        subprocess.run(
            [sys.executable, "-m", "fijibridge", "install-scripts", home], check=True, capture_output=True,
            env={**os.environ, **environment},
        )  # fmt: skip
        jvm = other.Jvm(other.find_jars(), Path(temporary), **environment)
        print(f"{'':<44}{'here':>11}{'reference':>11}  ratio  (least to most)")
        stacks(jvm, home / FOLDER, rounds)
        labels(jvm, home / FOLDER, Path(temporary), rounds)
        jvm.close()


def stacks(jvm: other.Jvm, scripts: Path, rounds: int) -> None:
    """Time a stack of 500 MB there and back."""
    depth, height, width = SHAPE
    jvm(f"IJ.createImage('stack', '16-bit ramp', {width}, {height}, {depth}).show(); null")
    array = np.broadcast_to(np.arange(width, dtype=np.uint16), SHAPE).copy()

    def script(name: str, values: str) -> None:
        jvm(f"script(path, {values}); null", path=str(scripts / f"FijiBridge_{name}.groovy"))

    there = "[image: WindowManager.getImage('stack')]"
    compare("500 MB to Python / numpy.copy", lambda: script("Look_At...", there), array.copy, rounds)
    script("Hold_Copy...", there)
    compare("500 MB to Fiji / numpy.copy", lambda: script("Bring...", "[:]"), array.copy, rounds)
    duplicate = "WindowManager.getImage('stack').duplicate(); null"
    compare(
        "500 MB to Fiji / duplicate() in the JVM", lambda: script("Bring...", "[:]"), lambda: jvm(duplicate), rounds
    )
    assert jvm("WindowManager.getImage('brought').getStack().getVoxel(1000, 7, 59)") == jvm(
        "WindowManager.getImage('stack').getStack().getVoxel(1000, 7, 59)"
    )
    for title in ("stack", "brought"):
        jvm("def imp = WindowManager.getImage(title); imp.changes = false; imp.close()", title=title)


def labels(jvm: other.Jvm, scripts: Path, folder: Path, rounds: int) -> None:
    """Time Label Cells with a model."""
    import torch

    from fijibridge.cells.synthetic import synthetic_epithelium
    from fijibridge.files.writer import write_image

    torch.manual_seed(0)
    image = synthetic_epithelium((1024, 1024), seed=0).image
    model = fb.Model(fb.UNet(depth=3, width=16), ("other", "membrane")).save(folder / "model.safetensors")
    write_image(image, folder / "image.tif")
    jvm("def imp = IJ.openImage(path); imp.setTitle('image'); imp.show(); null", path=str(folder / "image.tif"))
    prob = fb.predict(str(model), image)
    options = {"model": str(model), "threshold": float(prob[1].quantile(0.8))}
    call = "script(path, given + [image: WindowManager.getImage('image'), model: new File(given.model)]); null"
    path = str(scripts / "FijiBridge_Label_Cells....groovy")
    compare(
        "Label Cells, 1024 x 1024 / the verb in Python", lambda: jvm(call, path=path, given=options),
        lambda: perform(verb_named("label_cells"), options | {"image": "image"}, Host(image)), rounds,
    )  # fmt: skip


if __name__ == "__main__":
    main()
