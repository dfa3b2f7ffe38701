"""Matching the cells of two label images, against stardist and cellpose: seconds, memory, and equal numbers.

    python benchmarks/matching.py [--cells 12000] [--side 4096] [--rounds 5]

Each contender runs in a process of its own, in turn; memory is the peak of the process above what it held with the
images loaded. It needs `pip install stardist cellpose` (the group `benchmarks`). The last lines show time a pixel at
three sizes, and a volume on disk that is counted slab by slab.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from scipy import ndimage

MATCHERS = {
    "fijibridge": (
        "from fijibridge import match_labels as matching\ndef match(t, p): m = matching(t, p); return m.tp, m.fp, m.fn"
    ),
    "stardist": "from stardist.matching import matching\ndef match(t, p): m = matching(t, p); return m.tp, m.fp, m.fn",
    "cellpose": (
        "from cellpose.metrics import average_precision\n"
        "def match(t, p): return [int(x.item()) for x in average_precision(t, p, [0.5])[1:]]"
    ),
}
RUN = """
import resource, sys, threading, time
import numpy as np
{matcher}
images = np.load(sys.argv[1])
t, p = images["t"], images["p"]
match(t[:64, :64], p[:64, :64])  # loads and compiles what it needs
held = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
peak, done = [0], threading.Event()
def watch():
    while not done.wait(0.002):
        peak[0] = max(peak[0], int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize())
watcher = threading.Thread(target=watch); watcher.start()
began = time.perf_counter()
counts = match(t, p)
seconds = time.perf_counter() - began
done.set(); watcher.join()
print(seconds, (peak[0] - held) / 1e6, *counts)
"""


def tissue(cells: int, side: int, jitter: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Draw a Voronoi tessellation, and one whose seeds lie a little elsewhere; with membranes of one pixel."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, side, (cells, 2))
    moved = places + rng.normal(0, jitter, places.shape)
    return _voronoi(places, side), _voronoi(moved.clip(0, side - 1), side)


def _voronoi(places: np.ndarray, side: int) -> np.ndarray:
    seeds = np.zeros((side, side), np.int32)
    seeds[tuple(places.astype(int).T)] = np.arange(1, len(places) + 1)
    y, x = ndimage.distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    labels = seeds[y, x]
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return np.where(edge, 0, labels).astype(np.uint16 if len(places) < 2**16 else np.int32)


def run(matcher: str, file: Path) -> list[float]:
    code = RUN.format(matcher=MATCHERS[matcher])
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{matcher} did not run:\n{done.stderr[-2000:]}")
    return [float(word) for word in done.stdout.split()[-5:]]


def race(file: Path, rounds: int) -> None:
    found = {matcher: np.array([run(matcher, file) for _ in range(rounds)]) for matcher in MATCHERS}
    ours = found["fijibridge"]
    for matcher, runs in found.items():
        (seconds, low, high), memory = np.quantile(runs[:, 0], [0.5, 0, 1]), np.median(runs[:, 1])
        ratio, less = seconds / np.median(ours[:, 0]), memory / np.median(ours[:, 1])
        counts = " ".join(f"{c:.0f}" for c in runs[0, 2:])
        print(
            f"{matcher:<11} {seconds:6.3f} s ({low:.3f} to {high:.3f})  {memory:7.0f} MB   tp fp fn {counts:<18}"
            f" here it takes 1/{ratio:.1f} of the time, 1/{less:.1f} of the memory",
            flush=True,
        )


def linear(cells: int, side: int, rounds: int) -> None:
    """Time images of a quarter, a half and all of the side, with as many cells for an area."""
    with tempfile.TemporaryDirectory() as folder:
        for part in (4, 2, 1):
            t, p = tissue(cells // part**2, side // part, 4)
            np.savez(Path(folder) / "images.npz", t=t, p=p)
            runs = np.array([run("fijibridge", Path(folder) / "images.npz") for _ in range(rounds)])
            print(f"{side // part}^2: {np.median(runs[:, 0]) / t.size * 1e9:5.1f} ns a pixel", flush=True)


def on_disk(depth: int, side: int) -> None:
    """Match volumes that lie on disk as zarr; told is the peak above what was held."""
    import time
    import tracemalloc

    import zarr

    import fijibridge as fb

    with tempfile.TemporaryDirectory() as folder:
        volumes = {}
        plane = tissue(400, side, 3)
        for name, labels in zip("tp", plane, strict=True):
            volumes[name] = zarr.create_array(
                f"{folder}/{name}", shape=(depth, side, side), chunks=(16, side, side), dtype="u2"
            )
            for z in range(0, depth, 16):
                volumes[name][z : z + 16] = np.broadcast_to(labels, (16, side, side))
        tracemalloc.start()
        began = time.perf_counter()
        m = fb.match_labels(fb.as_image(volumes["t"]), fb.as_image(volumes["p"]))
        seconds = time.perf_counter() - began
        more = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        size = 2 * depth * side * side * 2 / 1e6
        print(f"two volumes on disk, {depth} x {side}^2, {size:.0f} MB: {seconds:.1f} s, {more:.0f} MB, {m.tp} matched")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, default=12000)
    parser.add_argument("--side", type=int, default=4096)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.npz"
        t, p = tissue(arguments.cells, arguments.side, 4)
        np.savez(file, t=t, p=p)
        print(f"{arguments.side}^2, {len(np.unique(t)) - 1} true cells, {len(np.unique(p)) - 1} predicted")
        race(file, arguments.rounds)
    linear(arguments.cells, arguments.side, arguments.rounds)
    on_disk(512, 1024)


if __name__ == "__main__":
    main()
