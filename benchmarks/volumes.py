"""A 3D U-Net on a real stack: trained on one half of ovule3d, tested on the other, three seeds.

    python benchmarks/volumes.py [--data ../shared/data] [--seeds 0 1 2]

The reference, in the same run: the same segmentation of the smoothed membrane stain, scaled to 0..1, in place of a
prediction. Both choose their segmentation on the half that the network was trained on.
"""

from __future__ import annotations

import argparse
import statistics
import time
from itertools import product
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from scipy import ndimage

import fijibridge as fb
from fijibridge.files import read_image

GRID = {"method": ("seeded", "agglomeration"), "threshold": (0.3, 0.4, 0.5), "sigma": (0.5, 1.0)}
SETTINGS = {
    "epochs": 20, "batches": 25, "batch": 2, "patch": (16, 64, 64), "augment": {"anisotropy": 1.57}, "forecast": False,
}  # fmt: skip


def halves(stack: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the half to learn from, and the one to test on, 8 px apart."""
    middle = stack.sizes["x"] // 2
    return stack.isel(x=slice(0, middle - 4)), stack.isel(x=slice(middle + 4, None))


def f1(truth: xr.DataArray, prob: xr.DataArray, recipe: dict[str, object]) -> float:
    return fb.match_labels(truth, fb.label_cells(prob, min_size=50, **recipe)).f1  # type: ignore[arg-type]


def tuned(learnt: xr.DataArray, prob: xr.DataArray) -> dict[str, object]:
    recipes = [dict(zip(GRID, values, strict=True)) for values in product(*GRID.values())]
    return max(recipes, key=lambda recipe: f1(learnt, prob, recipe))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    folder = arguments.data / "ovule3d"
    image = read_image(next(folder.glob("*_raw.tif")))
    labels = image.copy(data=read_image(next(folder.glob("*_labels.tif"))).values)
    (learnt, test), (learnt_cells, test_cells) = halves(image), halves(labels)
    stain = [ndimage.gaussian_filter(part.values.astype(np.float32), 1) for part in (learnt, test)]
    low, high = np.percentile(stain[0], (1, 99.8))
    plain = [
        part.copy(data=np.clip((pixels - low) / (high - low), 0, 1).astype(np.float32))
        for part, pixels in zip((learnt, test), stain, strict=True)
    ]
    recipe = tuned(learnt_cells, plain[0])
    print(f"{image.sizes}, {len(np.unique(test_cells.values)) - 1} cells in the half to test on")
    print(f"stain, {recipe}: F1 {f1(test_cells, plain[1], recipe):.3f}", flush=True)
    scores, minutes = [], []
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        began = time.monotonic()
        pair = (learnt, fb.membrane_target(learnt_cells, membrane_width=2))
        run = fb.train(fb.UNet(depth=2, width=12, dims=3), [pair], seed=seed, **SETTINGS)  # type: ignore[arg-type]
        minutes.append((time.monotonic() - began) / 60)
        prob = [fb.predict(run.model, part, flips=True).sel(c="membrane") for part in (learnt, test)]
        recipe = tuned(learnt_cells, prob[0])
        scores.append(f1(test_cells, prob[1], recipe))
        print(f"U-Net, seed {seed}, {recipe}: F1 {scores[-1]:.3f}, trained for {minutes[-1]:.1f} min", flush=True)
    print(f"F1 {statistics.median(scores):.3f} ({min(scores):.3f} to {max(scores):.3f}), training "
          f"{statistics.median(minutes):.1f} min ({min(minutes):.1f} to {max(minutes):.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
