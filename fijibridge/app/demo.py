"""Demo on images whose cells are known: Fiji → arrays → U-Net → cells → match table → Fiji."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import xarray as xr

import fijibridge as fb
from fijibridge.app.console import Clock, bar, console
from fijibridge.cells.matching.matches import Matching
from fijibridge.cells.synthetic import Epithelium
from fijibridge.files import make_folder, write_image, write_json
from fijibridge.reports import pictures, tables
from fijibridge.rois import write_rois

GOAL = 0.95
"""F1 at IoU 0.5 that the demo must reach on unseen images."""


@dataclass(frozen=True)
class Outcome:
    """Result of the demo: F1 at IoU 0.5 over all unseen images.

    Attributes
    ----------
    f1
        F1 of the trained network.
    threshold_f1
        F1 of a plain threshold on the raw images.
    untrained_f1
        F1 of the network before training.
    seconds
        Duration of the demo.
    """

    f1: float
    threshold_f1: float
    untrained_f1: float
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether the trained network reaches the goal, and neither the threshold nor the untrained network does."""
        return self.f1 >= GOAL > max(self.threshold_f1, self.untrained_f1)


def run_demo(
    out: Path,
    mode: Literal["headless", "interactive"] = "headless",
    *,
    epochs: int = 12,
    batches: int = 30,
    training_images: int = 4,
    unseen_images: int = 3,
    seed: int = 0,
) -> Outcome:
    """Run the demo, and write its results to a folder.

    Parameters
    ----------
    out
        Folder for ``comparison.png``, ``matches.csv``, ``measurements.csv``, ``RoiSet.zip``, ``model.safetensors``,
        ``history.csv``, ``run.json``, and the unseen images with their predictions and cells as TIFF.
    mode
        ``"interactive"`` opens ImageJ's windows, ``"headless"`` needs no display.
    epochs, batches
        Number of epochs, and number of batches per epoch; a batch has 8 patches of 128 x 128 pixels.
    training_images, unseen_images
        Number of images to draw for training, and number of images to draw for the score.
    seed
        Seed for images, initial weights and patches.

    Returns
    -------
    Outcome
    """
    import torch

    clock = Clock()
    make_folder(out)
    console.print("fijibridge demo: Fiji > arrays > U-Net > cells > match table > Fiji")
    fiji = fb.Fiji.start("embedded", mode=mode)
    with fiji:
        clock.say(f"started {fiji}")
        pairs = _training_pairs(fiji, training_images, seed)
        clock.say(f"drew {training_images} images of an epithelium in ImageJ, with their cells as ROIs; read both back")

        torch.manual_seed(seed)
        net = fb.UNet(depth=2, width=16)
        unseen = _unseen(unseen_images, seed)
        untrained = _segment(fb.train(net, pairs, epochs=0).model, unseen)
        with bar("training") as progress:
            run = fb.train(
                net, pairs, epochs=epochs, batches=batches, seed=seed, observers=[progress], out=out, overwrite=True
            )
        clock.say(f"trained {run.seconds:.0f} s: {run.stopped_because}")

        found = _segment(run.model, unseen)
        outcome = Outcome(_f1(found), _threshold_f1(unseen), _f1(untrained), clock.seconds)
        clock.say(f"predicted {unseen_images} unseen images, labelled their cells and matched them")
        _back_to_imagej(fiji, found, out)
        shown = "predictions, cells and match table" if mode == "interactive" else "predictions and cells"
        clock.say(f"showed {shown} in ImageJ, and measured the cells there")
        _write(found, out)
        outcome = Outcome(outcome.f1, outcome.threshold_f1, outcome.untrained_f1, clock.seconds)
        _summarise(outcome, found, run.settings, out)
        if mode == "interactive" and sys.stdin.isatty():
            console.input("Look at the windows; press Enter to close them. ")
    return outcome


@dataclass(frozen=True)
class _Found:
    """An unseen image, its true cells, and its prediction, cells and match."""

    image: xr.DataArray
    true: xr.DataArray
    prob: xr.DataArray
    cells: xr.DataArray
    matching: Matching


def _training_pairs(fiji: fb.Fiji, count: int, seed: int) -> list[tuple[xr.DataArray, xr.DataArray]]:
    """Show images in ImageJ, draw their cells as ROIs, read images and ROIs back, and make targets."""
    pairs = []
    for number in range(count):
        tissue = fb.synthetic_epithelium((256, 224 + 32 * (number % 3)), seed=1000 * seed + number)
        title = fiji.show(tissue.image, name=f"training_{number + 1:02d}")
        fiji.add_rois(fb.labels_to_rois(tissue.labels), title)
        image, rois = fiji.image(title), fiji.rois(source="overlay", title=title)
        truth = fb.as_image(fb.rois_to_labels(rois, image.shape), pixel_size=fb.pixel_size(image), unit="um")
        pairs.append((image, fb.membrane_target(truth, membrane_width=3)))
    return pairs


def _unseen(count: int, seed: int) -> dict[str, Epithelium]:
    return {
        f"unseen_{i + 1:02d}": fb.synthetic_epithelium((256, 256), seed=1000 * seed + 500 + i) for i in range(count)
    }


def _segment(model: fb.Model, unseen: Mapping[str, Epithelium]) -> dict[str, _Found]:
    found = {}
    for name, tissue in unseen.items():
        prob = fb.predict(model, tissue.image)
        cells = fb.label_cells(prob, method="watershed", min_size=10)
        found[name] = _Found(tissue.image, tissue.labels, prob, cells, fb.match_labels(tissue.labels, cells))
    return found


def _f1(found: Mapping[str, _Found]) -> float:
    return float(fb.match_table({name: f.matching for name, f in found.items()})["f1"].iloc[-1])


def _threshold_f1(unseen: Mapping[str, fb.Epithelium]) -> float:
    """Return the F1 of a method without training: Otsu's threshold on the image, then the same steps as elsewhere."""
    from skimage.filters import threshold_otsu

    matchings = {}
    for name, tissue in unseen.items():
        raw: npt.NDArray[np.float64] = tissue.image.values.astype(float)
        scaled = (raw - raw.min()) / (raw.max() - raw.min())
        cells = fb.label_cells(scaled, threshold=threshold_otsu(scaled), method="watershed", min_size=10)
        matchings[name] = fb.match_labels(tissue.labels, cells)
    return float(fb.match_table(matchings)["f1"].iloc[-1])


def _back_to_imagej(fiji: fb.Fiji, found: Mapping[str, _Found], out: Path) -> None:
    import pandas as pd

    measurements = []
    for name, f in found.items():
        title = fiji.show(f.image, name=name)
        fiji.show(f.prob.sel(c="membrane", drop=True), name=f"{name} membranes", lut="Fire")
        fiji.show_labels(f.cells, over=title, name=f"{name} cells")
        measured = fiji.measure(f.cells, title)
        measured.insert(0, "image", name)
        measurements.append(measured)
    if fiji.mode == "interactive":
        fiji.show_table(fb.match_table({name: f.matching for name, f in found.items()}), name="Matches")
    tables.save_table(pd.concat(measurements), out / "measurements.csv")
    first = next(iter(found.values()))
    write_rois(fb.labels_to_rois(first.cells), out / "RoiSet.zip")


def _write(found: Mapping[str, _Found], out: Path) -> None:
    tables.save_table(fb.match_table({name: f.matching for name, f in found.items()}), out / "matches.csv")
    panels = [
        pictures.Panel(name, f.image, f.prob.sel(c="membrane"), f.true, f.cells, f.matching)
        for name, f in found.items()
    ]
    pictures.save_comparison(panels, out / "comparison.png")
    for name, f in found.items():
        write_image(image=f.image, path=out / f"{name}.tif")
        write_image(image=f.prob, path=out / f"{name}_prob.tif")
        write_image(image=f.cells, path=out / f"{name}_cells.tif")


def _summarise(outcome: Outcome, found: Mapping[str, _Found], settings: dict[str, object], out: Path) -> None:
    table = fb.match_table({name: f.matching for name, f in found.items()})
    console.print()
    console.print(tables.table_text(table))
    console.print(
        f"\nF1 at IoU 0.5 on unseen images: {outcome.f1:.3f} (goal {GOAL}); without training: "
        f"plain threshold on the raw image {outcome.threshold_f1:.3f}, untrained network {outcome.untrained_f1:.3f}"
    )
    console.print(f"{outcome.seconds:.0f} s. Results in {out}: comparison.png, matches.csv, measurements.csv, ...")
    verdict = "passed" if outcome.passed else "FAILED: training did not reach the goal"
    console.print(f"demo {verdict}")
    record = {
        "f1": outcome.f1, "threshold_f1": outcome.threshold_f1, "untrained_f1": outcome.untrained_f1, "goal": GOAL,
        "seconds": round(outcome.seconds, 1), "passed": outcome.passed, "truth": "exact: the images are drawn",
    }  # fmt: skip
    write_json(out / "demo.json", record | {"settings": settings})
