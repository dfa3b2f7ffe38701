"""A package that brings verbs along, for tests: what they take is kept, and they behave badly."""

from __future__ import annotations

import os
import pickle
import subprocess
import time
import warnings
from typing import Annotated

import numpy as np
import pandas as pd

from fijibridge.errors import FijiBridgeWarning
from fijibridge.rois import Roi
from fijibridge.verbs import Call, Cells, Image, Param, verb
from fijibridge.verbs.results import Measure, Outlines, Result, Say, ShowCurves, ShowImage, ShowLabels, ShowTable

held = []


@verb("Give Back...")
def give_back(image: Image, name: str = "back") -> ShowImage:
    """Return an image."""
    return ShowImage(image, name)


@verb("Keep Image...")
def keep_image(image: Image, path: str) -> None:
    """Write down what came."""
    with open(path, "wb") as file:
        pickle.dump(image.copy(), file)


@verb("Peek...")
def peek(image: Image, path: str) -> Image:
    """Write down who may read the shared memory: its mode, and what another user gets (root may become one)."""
    blocks = [name for name in os.listdir("/dev/shm") if name.startswith("psm_")]
    other = {"user": 65534, "group": 65534, "extra_groups": []} if os.getuid() == 0 else {}
    found = []
    for name in blocks:
        read = subprocess.run(["head", "-c1", f"/dev/shm/{name}"], capture_output=True, check=False, **other)
        found.append((name, oct(os.stat(f"/dev/shm/{name}").st_mode & 0o777), read.returncode if other else None))
    with open(path, "wb") as file:
        pickle.dump(found, file)
    return image


@verb("Keep Renamed...")
def keep_renamed(picture: Annotated[Image, Param(was=("image",))], path: str) -> None:
    """Write down what came by a name that has changed."""
    keep_image(picture, path)


@verb("Keep Cells...")
def keep_cells(cells: Cells, path: str, image: Image | None = None) -> None:
    """Write down what came as cells."""
    with open(path, "wb") as file:
        pickle.dump(cells.copy(), file)


@verb("Work...")
def work(call: Call, started: str, seconds: Annotated[float, Param("in all", low=0)] = 60) -> str:
    """Do nothing for a while, and tell how far it is."""
    with open(started, "w") as file:
        file.write(str(os.getpid()))
    steps = int(seconds * 200)
    for step in range(steps):
        call.check()
        call.progress(step, steps)
        time.sleep(0.005)
    return f"worked {seconds:g} s"


@verb("Shout")
def shout() -> str:
    """Write where only messages should be."""
    print("print", flush=True)
    os.write(1, b"a native library\n")
    subprocess.run(["echo", "a program"], check=True)
    warnings.warn("the image is odd", FijiBridgeWarning, stacklevel=2)
    return "shouted"


@verb("Break...")
def break_down(image: Image | None = None) -> float:
    """Have a bug."""
    return 1 / 0


@verb("Hold...")
def hold(image: Image) -> str:
    """Look at an image for ever."""
    held.append(image)
    return f"{len(held)} held, {float(sum(h.sum() for h in held)):g}"


@verb("Results...")
def results(image: Image) -> list[Result]:
    """Return one of each."""
    table = pd.DataFrame(
        {"label": [3, 5], "true": [4, np.nan], "size": [1.5, np.nan], "outcome": ["matched", "missed \u00e4"]}
    )
    curves = pd.DataFrame(
        {"loss": [3.0, 2.0, np.nan], "val_loss": [4.0, 3.0, 2.5]}, index=pd.Index([0, 1, 2], name="epoch")
    )
    rois = [Roi.rectangle(1, 2, 3, 4, name="3"), Roi.rectangle(5, 6, 2, 2, name="5")]
    return [
        ShowTable(table, "Both", add=True, select_in="image"),
        ShowTable(table[["label"]], "Results"),
        ShowCurves(curves, "Curves"),
        Outlines(rois, "image", {"3": "#102030"}),
        Outlines([], "image") if image.shape[0] == 1 else Say("gr\u00fc\u00dfe \u6771"),
    ]


@verb("Odd Results...")
def odd_results(image: Image, kind: str) -> list[Result]:
    """Return what is at the edge of what there is."""
    nothing = image.isel({d: 0 for d in image.dims if d not in "yx"}).astype(np.uint16) * 0
    table = pd.DataFrame(
        {"label": [1, 2, 3], "size": [np.nan, np.inf, -np.inf], "\u6771 \U0001f642": ["", "\u00e4\t1", "x"]}
    )
    many = nothing.astype(np.int32)
    many[0, 0], many[1, 1] = 65536, 70001
    made: dict[str, list[Result]] = {
        "nothing": [ShowLabels(nothing, "none"), Outlines([], "image"), ShowTable(table[:0], "None")],
        "series": [Outlines([Roi.rectangle(1, 1, 3, 3, name="7").at(n) for n in (1, 3)], "image")],
        "unmeasured": [Measure([], "image", ("area",))],
        "table": [ShowTable(table, "Odd")],
        "labels": [ShowLabels(many, "many")],
        "limits": [ShowImage(image, "odd", (float("nan"), 1.0))],
        "curves": [ShowCurves(pd.DataFrame({"loss": [np.nan, np.nan]}), "None")],
        "texts": [ShowCurves(pd.DataFrame({"loss": [1.0, 2.0]}, index=["a", "b"]), "None")],
    }
    return made[kind]


@verb("Die...")
def die(image: Image) -> ShowImage:
    """Be killed, with an image in the hands and another one made."""
    from fijibridge.worker.shared_memory import Blocks

    Blocks().put(np.zeros(1_000_000))
    os.kill(os.getpid(), 9)
    return ShowImage(image, "never")


@verb("Look At...")
def look_at(image: Image) -> None:
    """Take an image, and do nothing."""


@verb("Bring...")
def bring(number: Annotated[int, Param("of the image that is held", low=0)] = 0) -> ShowImage:
    """Show an image that is held."""
    return ShowImage(held[number], "brought")


@verb("Hold Copy...")
def hold_copy(image: Image) -> None:
    """Hold an image in Python's own memory."""
    held.append(image.copy())
