"""How far one can downscale on real cells, and how fast downscaling is against xarray's coarsen and skimage's blocks.

    python benchmarks/ceiling.py [--data ../shared/data] [--rounds 7]

The ceilings: cornea_alizarine inside its annotated region, and isbi2012_em without regions under 50 px. Times of the
mean by 3 are ratios to ``xarray.DataArray.coarsen(y=3, x=3).mean()`` and to ``skimage.measure.block_reduce``, round by
round in one run.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
from ratios import compare, head
from skimage.measure import block_reduce

import fijibridge as fb
from fijibridge.files import read_image
from fijibridge.reports.tables import table_text


def speed(rounds: int) -> None:
    rng = np.random.default_rng(0)
    head()
    for dtype in (np.float32, np.uint16):
        array = (rng.random((2049, 2049)) * 60000).astype(dtype)  # sizes that divide: coarsen would refuse others
        image = fb.as_image(array)
        mine = fb.downscale(image, 3)
        assert np.allclose(mine.values, image.astype(float).coarsen(y=3, x=3).mean().values, rtol=1e-6)
        size = f"2049 x 2049 {np.dtype(dtype)}"
        compare(f"mean by 3, {size} / coarsen().mean()", lambda image=image: fb.downscale(image, 3),
                lambda image=image: image.coarsen(y=3, x=3).mean(), rounds)  # fmt: skip
        compare(f"mean by 3, {size} / block_reduce", lambda array=array: fb.downscale(array, 3),
                lambda array=array: block_reduce(array, (3, 3), np.mean), rounds)  # fmt: skip
    labels = np.repeat(np.repeat(rng.permutation(110 * 110).reshape(110, 110) + 1, 18, 0), 18, 1)[5:, 7:]
    compare("mode by 3, 12,100 cells / max by 3 (block_reduce)", lambda: fb.downscale(labels, 3, "mode"),
            lambda: block_reduce(labels, (3, 3), np.max), rounds)  # fmt: skip
    small = fb.downscale(labels, 3, "mode")
    compare("labels up by 3, 12,100 cells / numpy.repeat", lambda: fb.upscale(small, 3, "labels"),
            lambda: np.repeat(np.repeat(small, 3, 0), 3, 1), rounds)  # fmt: skip


def without_small(labels: np.ndarray, size: int) -> np.ndarray:
    return np.where(np.bincount(labels.reshape(-1))[labels] < size, 0, labels)


def study(folder: Path, min_size: int = 0) -> pd.DataFrame:
    region = "{name}_roi.png" if list(folder.glob("*_roi.png")) else None
    dataset = fb.Dataset.from_patterns(folder, image="*_image.png", labels="{name}_labels.tif", region=region)
    labels = {item.name: without_small(read_image(item.paths["labels"]).values, min_size) for item in dataset}
    regions = {item.name: item.region().values for item in dataset} if region else None
    began = time.monotonic()
    table = fb.ceiling(labels, region=regions)
    print(f"{folder.name}, {len(dataset)} images, {time.monotonic() - began:.0f} s")
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    speed(arguments.rounds)
    for name, min_size in (("cornea_alizarine", 0), ("isbi2012_em", 50)):
        table = study(arguments.data / name, min_size)
        print(table_text(table.round(4)), table.attrs["answer"], sep="\n", flush=True)


if __name__ == "__main__":
    main()
