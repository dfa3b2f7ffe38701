"""Real input, end to end by the command line: train on 14 images of cornea_alizarine, test on 4, three seeds.

    python benchmarks/cornea.py [--data ../shared/data] [--seeds 0 1 2]

The reference, in the same run: gaussian + h-minima watershed on the raw image, no network. It is tuned on the
training images, so that it is at its best without having seen the test images.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import ndimage
from skimage.morphology import local_minima, reconstruction
from skimage.segmentation import watershed

import fijibridge as fb
from fijibridge.cells.matching.matches import Matching
from fijibridge.dataset import Item
from fijibridge.reports.tables import table_text

TEST = ("15", "18", "21", "29")
PATTERNS = {"image": "*_image.png", "labels": "{name}_labels.tif", "region": "{name}_roi.png"}


def classical(image: np.ndarray, sigma: float, h: float) -> np.ndarray:
    """Find cells with dark membranes as basins of the inverted, smoothed image."""
    smooth = ndimage.gaussian_filter(image.max() - image.astype(float), sigma)
    seeds = ndimage.label(local_minima(reconstruction(smooth + h, smooth, method="erosion")))[0]
    return watershed(smooth, seeds, watershed_line=True)


def classical_table(items: list[Item], sigma: float, h: float) -> pd.DataFrame:
    matchings: dict[str, Matching] = {}
    for item in items:
        cells = classical(item.image().values, sigma, h)
        matchings[item.name] = fb.match_labels(item.labels().values, cells, region=item.region().values)
    return fb.match_table(matchings)


def reference(folder: Path) -> pd.DataFrame:
    dataset = fb.Dataset.from_patterns(folder, **PATTERNS, split={"test": TEST})
    grid = [(sigma, h) for sigma in (2.0, 2.5, 3.0, 3.5) for h in (0.5, 1.0, 2.0, 4.0)]
    best = max(grid, key=lambda p: classical_table(dataset.split("train")[::4], *p)["f1"].iloc[-1])
    print(f"watershed without any network, sigma {best[0]} px, h {best[1]} (tuned on training images)")
    return classical_table(dataset.split("test"), *best)


def by_command_line(folder: Path, seed: int) -> tuple[pd.DataFrame, float]:
    patterns = [f"--{role}={pattern}" for role, pattern in PATTERNS.items()]
    test = [f"--test={name}" for name in TEST]
    with tempfile.TemporaryDirectory() as temporary:
        run, out = Path(temporary) / "run", Path(temporary) / "pred"
        began = time.monotonic()
        fijibridge("train", folder, *patterns, *test, "--out", run, "--depth=2", "--channels=16", "--epochs=20",
                   "--membrane-width=2",
                   f"--seed={seed}")  # fmt: skip
        fijibridge("predict", run, folder, patterns[0], *test, "--split=test", "--flips", "--out", out)
        fijibridge("label", out, "--threshold=0.4", "--min-size=50")  # best on the training images
        fijibridge("match", folder, *patterns, *test, "--split=test", "--pred", out, "--csv", out / "matches.csv")
        return pd.read_csv(out / "matches.csv"), time.monotonic() - began


def fijibridge(*arguments: object) -> None:
    command = [sys.executable, "-m", "fijibridge", *map(str, arguments)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    folder = arguments.data / "cornea_alizarine"
    print(table_text(reference(folder)), "\n", flush=True)
    scores, times = [], []
    for seed in arguments.seeds:
        table, seconds = by_command_line(folder, seed)
        scores.append(float(table["f1"].iloc[-1]))
        times.append(seconds)
        print(f"U-Net, 2 poolings, 16 channels, seed {seed}: {seconds:.0f} s for train, predict, label and match")
        print(table_text(table), "\n", flush=True)
    print(f"F1 {statistics.median(scores):.4f} ({min(scores):.4f} to {max(scores):.4f}), "
          f"{statistics.median(times):.0f} s ({min(times):.0f} to {max(times):.0f})")  # fmt: skip


if __name__ == "__main__":
    main()
