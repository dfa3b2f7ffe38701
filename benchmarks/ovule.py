"""Cells of a real 3D stack (Arabidopsis ovule, anisotropic) by each method, against a plain watershed of scikit-image.

    python benchmarks/ovule.py [--data ../shared/data]

No network: the smoothed membrane stain, scaled to 0..1, stands for a prediction. Each side tries its parameters on this
one stack and shows its best, so that the figures compare methods and promise nothing for other stacks. The truth has no
gaps between cells, our labels have one of 1 px: the second row of figures closes it with skimage's expand_labels.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.morphology import h_minima
from skimage.segmentation import expand_labels, watershed

import fijibridge as fb
from fijibridge.cells.matching.matches import Matching

GRIDS = {
    "watershed": {"threshold": (0.3, 0.4, 0.5), "h": (1.0, 2.0)},
    "minima": {"h": (0.03, 0.06, 0.1), "sigma": (0.5, 1.0)},
    "seeded": {"threshold": (0.3, 0.4, 0.5), "sigma": (0.5, 1.0)},
    "agglomeration": {"beta": (0.4, 0.5, 0.6, 0.7), "sigma": (0.5, 1.0)},
}


def ours(prob: object, method: str) -> Iterator[np.ndarray]:
    grid = GRIDS[method]
    for values in product(*grid.values()):
        yield np.asarray(fb.label_cells(prob, method, **dict(zip(grid, values, strict=True))))


def plain(prob: np.ndarray) -> Iterator[np.ndarray]:
    for h in (0.02, 0.03, 0.04, 0.06, 0.1):
        seeds = ndimage.label(h_minima((prob * 255).astype(np.uint8), round(h * 255)))[0]
        yield watershed(prob, seeds)


def tell(name: str, truth: np.ndarray, found: Iterator[np.ndarray], gap: bool) -> None:
    began = time.process_time()
    best: dict[bool, Matching] = {}
    errors: dict[bool, float] = {}
    runs = 0
    for labels in found:
        runs += 1
        for closed in (False, True) if gap else (False,):
            cells = expand_labels(labels, 1) if closed else labels
            m = fb.match_labels(truth, cells)
            if closed not in best or m.f1 > best[closed].f1:
                best[closed] = m
                errors[closed] = fb.compare_labels(truth, cells).adapted_rand_error
    seconds = (time.process_time() - began) / runs
    for closed, m in best.items():
        title = f"{name}, gap closed" if closed else name
        print(
            f"{title:<30} {m.tp:3d} of {m.n_true}, {m.n_pred:3d} predicted  F1 {m.f1:.3f}"
            f"  pq {m.panoptic_quality:.3f}  adapted Rand error {errors[closed]:.3f}  {seconds:5.1f} s each",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    folder = parser.parse_args().data / "ovule3d"
    from fijibridge.files import read_image

    raw = read_image(folder / "sample_ovule_raw.tif").values.astype(np.float32)
    truth = read_image(folder / "sample_ovule_labels.tif").values
    smooth = ndimage.gaussian_filter(raw, (0.6, 1, 1))
    low, high = np.percentile(smooth, (1, 99.5))
    prob = np.clip((smooth - low) / (high - low), 0, 1)
    image = fb.as_image(prob, pixel_size={"z": 0.235, "y": 0.15, "x": 0.15}, unit="um")
    tell("scikit-image, h-minima", truth, plain(prob), gap=False)
    for method in GRIDS:
        tell(method, truth, ours(image, method), gap=True)


if __name__ == "__main__":
    main()
