"""Serial-section EM with thick membranes: train on 19 slices of isbi2012_em, test on 5, three seeds.

    python benchmarks/em.py [--data ../shared/data] [--seeds 0 1 2] [--epochs 30]

The network learns the pixel labels by hand, not membranes drawn between cells; its settings and the segmentation's were
chosen on four of the 19 slices, by networks that had not seen them. Regions of less than 50 px, true or found, are left
out. The reference, in the same run: gaussian + h-minima watershed of the raw image, tuned on every fourth of the 19.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from cornea import classical

import fijibridge as fb
from fijibridge.reports.tables import table_text

TEST = ("03", "08", "13", "18", "23")
LEAST = 50
SETTINGS = {
    "batches": 50, "batch": 2, "patch": (256, 256), "augment": {"elastic": 5, "smoothness": 32}, "forecast": False,
}  # fmt: skip
CELLS = {"method": "agglomeration", "sigma": 0.5, "h": 1, "beta": 0.76, "threshold": 0.25, "grow": 1, "min_size": 40}


def matched(items: list, cells: list[np.ndarray]) -> pd.DataFrame:  # type: ignore[type-arg]
    return fb.match_table(
        {item.name: fb.match_labels(item.labels(), found, min_size=LEAST)
         for item, found in zip(items, cells, strict=True)}
    )  # fmt: skip


def reference(dataset: fb.Dataset) -> pd.DataFrame:
    def table(items: list, sigma: float, h: float) -> pd.DataFrame:  # type: ignore[type-arg]
        return matched(items, [classical(item.image().values, sigma, h) for item in items])

    grid = [(sigma, h) for sigma in (2.0, 3.0, 4.0) for h in (2.0, 5.0, 10.0, 20.0)]
    best = max(grid, key=lambda p: table(dataset.split("train")[::4], *p)["f1"].iloc[-1])
    print(f"watershed without any network, sigma {best[0]} px, h {best[1]} (tuned on training images)")
    return table(dataset.split("test"), *best)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=30)
    arguments = parser.parse_args()
    dataset = fb.Dataset.from_patterns(
        arguments.data / "isbi2012_em", image="*_image.png", labels="{name}_labels.tif", classes="{name}_membrane.png",
        values={"classes": {"0": "cell", "255": "membrane"}}, split={"test": TEST},
    )  # fmt: skip
    test = dataset.split("test")
    print(table_text(reference(dataset)), "\n", flush=True)
    scores, minutes = [], []
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        began = time.monotonic()
        run = fb.train(fb.UNet(depth=4, width=16), dataset, epochs=arguments.epochs, seed=seed, **SETTINGS)
        minutes.append((time.monotonic() - began) / 60)
        cells = [np.asarray(fb.label_cells(fb.predict(run.model, item.image(), flips=True), **CELLS)) for item in test]
        table = matched(test, cells)
        scores.append(float(table["f1"].iloc[-1]))
        print(f"U-Net, 4 poolings, 16 channels, seed {seed}: trained for {minutes[-1]:.1f} min")
        print(table_text(table), "\n", flush=True)
    print(f"F1 {statistics.median(scores):.4f} ({min(scores):.4f} to {max(scores):.4f}), training "
          f"{statistics.median(minutes):.1f} min ({min(minutes):.1f} to {max(minutes):.1f})")  # fmt: skip


if __name__ == "__main__":
    main()
