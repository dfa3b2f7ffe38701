"""Finding cells: time by method against skimage's own steps, and memory of tiles against the size of the image.

    python benchmarks/segmentation.py [--side 2048] [--rounds 3]

The reference is what one writes with scikit-image and SciPy: distance, smoothing, h-maxima by reconstruction, watershed
inside the threshold, and a watershed into the membranes. Both sides run in the same round, and processor time counts,
so that a busy machine disturbs both alike. Memory is what tracemalloc sees (numpy's arrays) over what there was before;
the image lies on disk, the result too; the smallest image has a tile with its whole halo.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import ndimage
from skimage.morphology import local_maxima, reconstruction
from skimage.segmentation import watershed

import fijibridge as fb

METHODS = ("threshold", "watershed", "minima", "seeded", "agglomeration")


def skimage_watershed(prob: np.ndarray, threshold: float, sigma: float = 1.5, h: float = 2.0) -> np.ndarray:
    inside = prob < threshold
    distance = ndimage.gaussian_filter(ndimage.distance_transform_edt(inside), sigma)
    peaks = local_maxima(reconstruction(distance - h, distance), connectivity=1) & inside
    basins = watershed(-distance, ndimage.label(peaks)[0], mask=inside, watershed_line=True)
    return watershed(prob, basins, watershed_line=True)


def tissue(side: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return membranes with noise and gaps, and the true cells, of 43 px (3,000 in 2048 x 2048)."""
    rng = np.random.default_rng(seed)
    truth = fb.synthetic_epithelium((side, side), cell_size=43, seed=seed).labels.values
    prob = ndimage.gaussian_filter((fb.membrane_target(truth, 3) == 1).astype(np.float32), 1)
    weak = ndimage.gaussian_filter(rng.normal(size=prob.shape), 4)
    prob[weak > 1.8 * weak.std()] *= 0.3
    return np.clip(prob + rng.normal(0, 0.08, prob.shape), 0, 1).astype(np.float32), truth


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def times(side: int, rounds: int) -> None:
    prob, truth = tissue(side)
    print(f"{side} x {side}, {truth.max()} cells, threshold 0.45, {rounds} rounds, processor seconds")
    works: dict[str, Callable[[], np.ndarray]] = {"reference (skimage)": lambda: skimage_watershed(prob, 0.45)}
    for method in METHODS:
        works[method] = lambda method=method: fb.label_cells(prob, method, threshold=0.45, min_size=20)
    taken: dict[str, list[float]] = {name: [] for name in works}
    f1 = {}
    for _ in range(rounds):
        for name, work in works.items():
            spent, labels = seconds(work)
            taken[name].append(spent)
            f1[name] = fb.match_labels(truth, labels).f1
    base = np.array(taken["reference (skimage)"])
    for name, spent in taken.items():
        ratio = base / np.array(spent)
        print(f"{name:<22}{np.median(spent):7.2f} s   {np.median(ratio):5.1f} times as fast "
              f"({ratio.min():.1f} to {ratio.max():.1f})   F1 {f1[name]:.4f}", flush=True)  # fmt: skip


def peak(work: Callable[[], object]) -> float:
    """Return the largest memory over what there was before, in MB."""
    tracemalloc.start()
    work()
    size = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return size


def memory(tile: int, halo: int) -> None:
    block, _ = tissue(tile)
    print(f"\npeak memory in MB, tiles of {tile}, halo {halo}; images of 9, 36, 144 tiles")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for method in ("threshold", "watershed", "seeded"):
            line, equal = [], True
            for n in (3, 6, 12):
                stored = np.memmap(folder / f"{n}", np.float32, "w+", shape=(n * tile, n * tile))
                for y in range(n):
                    for x in range(n):
                        stored[y * tile : (y + 1) * tile, x * tile : (x + 1) * tile] = block
                out = folder / f"{method}{n}.zarr"
                how = {"threshold": 0.45, "min_size": 20}
                line.append(peak(lambda s=stored, o=out, m=method, k=how: fb.label_cells_tiled(
                    s, m, out=o, tile=tile, halo=halo, **k)))  # fmt: skip
                if n == 6:
                    import zarr

                    equal = (zarr.open_array(out, mode="r")[:] == fb.label_cells(np.array(stored), method, **how)).all()
                    whole = peak(lambda s=stored, m=method, k=how: fb.label_cells(np.array(s), m, **k))
            print(f"{method:<14}" + "".join(f"{m:9.0f}" for m in line) +
                  f"   16x / 1x {line[2] / line[0]:.2f}; the whole of 36 tiles in memory {whole:.0f}; "
                  f"equal to the whole: {equal}", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tile", type=int, default=256)
    parser.add_argument("--halo", type=int, default=160)
    arguments = parser.parse_args()
    times(arguments.side, arguments.rounds)
    memory(arguments.tile, arguments.halo)


if __name__ == "__main__":
    main()
