"""The weight map of the U-Net paper, against brute force: one distance transform per cell, stacked and sorted.

    python benchmarks/weights.py [--data ../shared/data] [--rounds 5]

In one run: equality with the golden files; the ratio to brute force on an image of cornea_alizarine (283 cells, 576 x
768) and on a tissue of 3,000 cells, 2048 x 2048. Brute force takes 48 GiB there if it stacks all distances, so it
keeps the smallest two instead (the same transforms, no sort): that is measured whole, with --whole (half an hour),
or else on every tenth cell, and both maps are of these cells then. Memory is the growth of the peak resident size of a
process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage

import fijibridge as fb
from fijibridge.files import read_image

W0, SIGMA = 10.0, 5.0


def stacked(labels: np.ndarray) -> np.ndarray:
    """Return the map as the paper's readers write it."""
    ids = np.unique(labels[labels > 0])
    nearest = np.sort(np.stack([ndimage.distance_transform_edt(labels != i) for i in ids]), axis=0)
    return equation(labels, nearest[0], nearest[1])


def one_by_one(labels: np.ndarray) -> np.ndarray:
    """Return the same without keeping all distances."""
    first, second = np.full(labels.shape, np.inf), np.full(labels.shape, np.inf)
    for i in np.unique(labels[labels > 0]):
        away = ndimage.distance_transform_edt(labels != i)
        second = np.minimum(second, np.maximum(first, away))
        first = np.minimum(first, away)
    return equation(labels, first, second)


def equation(labels: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return np.where(labels == 0, W0 * np.exp(-((first + second) ** 2) / (2 * SIGMA**2)), 0)


def seconds(work: Callable[[], np.ndarray], times: int) -> tuple[float, float, float, np.ndarray]:
    """Return the median, least and most seconds, and the result."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        result = work()
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)), min(taken), max(taken), result


def compare(name: str, labels: np.ndarray, reference: Callable[[np.ndarray], np.ndarray], rounds: int) -> None:
    fb.weight_map(labels, W0, SIGMA)
    slow, _, _, expected = seconds(lambda: reference(labels), 1)
    fast, least, most, weights = seconds(lambda: fb.weight_map(labels, W0, SIGMA), rounds)
    print(f"{name:<46}{fast * 1e3:8.0f} ms ({least * 1e3:.0f} to {most * 1e3:.0f}){slow:9.2f} s   {slow / fast:6.0f} "
          f"times as fast ({slow / most:.0f} to {slow / least:.0f}); largest difference "
          f"{np.abs(weights - expected).max():.1e}", flush=True)  # fmt: skip


def golden(folder: Path) -> None:
    for image in ("two_squares", "cornea_crop"):
        labels = read_image(folder / f"{image}_labels.tif").values
        for name, w0, sigma in (("w010_s5", 10, 5), ("w050_s6", 50, 6)):
            expected = read_image(folder / f"{image}_{name}.tif").values
            difference = np.abs(fb.weight_map(labels, w0, sigma) - expected).max()
            print(f"golden {image} {name}: largest difference {difference:.1e}")


def tissue() -> np.ndarray:
    """Return 3,000 cells or so in 2048 x 2048, 1 px membranes between them."""
    labels = fb.synthetic_epithelium((2048, 2048), cell_size=42.5, seed=0).labels.values.copy()
    labels[fb.membrane_target(labels, membrane_width=1) == 1] = 0
    return labels


def peak_resident() -> int:
    """Return the most memory that this process has had, in kB (Linux; what getrusage says includes the parent's)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def peak(labels: np.ndarray, queue: multiprocessing.Queue[float]) -> None:
    fb.weight_map(labels[:256, :256], W0, SIGMA)  # imports
    before = peak_resident()
    fb.weight_map(labels, W0, SIGMA)
    queue.put((peak_resident() - before) / 2**10)


def memory(labels: np.ndarray) -> float:
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[float] = context.Queue()
    process = context.Process(target=peak, args=(labels, queue))
    process.start()
    used = queue.get()
    process.join()
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="brute force on all 3,000 cells")
    arguments = parser.parse_args()
    golden(arguments.data / "golden" / "weightmap")
    cornea = read_image(arguments.data / "cornea_alizarine" / "01_labels.tif").values
    print(f"\n{'':<46}{'weight_map':>11}{'brute force':>28}")
    compare("cornea 01, 576 x 768, 283 cells, stacked", cornea, stacked, arguments.rounds)
    large = tissue()
    ids = np.unique(large)[1:]
    shown = large if arguments.whole else np.where(np.isin(large, ids[::10]), large, 0)
    count = len(np.unique(shown)) - 1
    compare(f"tissue, 2048 x 2048, {count:,} cells, one by one", shown, one_by_one, arguments.rounds)
    median, least, most, _ = seconds(lambda: fb.weight_map(large, W0, SIGMA), arguments.rounds)
    print(f"tissue, 2048 x 2048, all {len(ids):,} cells: {median:.2f} s ({least:.2f} to {most:.2f}), "
          f"{memory(large):.0f} MiB more than before, of which the map is {large.size * 4 / 2**20:.0f}")  # fmt: skip


if __name__ == "__main__":
    main()
