"""What tiles cost: time and memory of prediction against torch's own forward pass, and flips.

    python benchmarks/prediction.py [--parts time memory flips] [--rounds 5] [--device cpu] [--side 1024] [--width 16]

time    fb.predict in tiles of several sides, and with tile=None, against the bare network on the whole image in one
        piece (normalised before, softmax after): the ratio of each round, median (least to most).
memory  Peak of a process of its own that predicts from zarr to zarr, over that before it began: an image of 2048² and
        one of ten times the pixels, uint16.
flips   flips=True against flips=False, whole: to be 4 times.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

import fijibridge as fb
from fijibridge.machine import PeakMemory

_TILES = (256, 512, 1024, None)


def a_model(width: int) -> fb.Model:
    torch.manual_seed(0)
    return fb.Model(fb.UNet(depth=3, width=width).eval(), ("other", "membrane"))


def timed(work: Callable[[], object], device: str) -> float:
    began = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - began


def spread(numbers: list[float]) -> str:
    return f"{np.median(numbers):.2f} ({min(numbers):.2f} to {max(numbers):.2f})"


def report(name: str, here: list[float], reference: list[float]) -> None:
    ratios = [a / b for a, b in zip(here, reference, strict=True)]
    print(f"{name:<44}{spread(here):>26} s{spread(reference):>26} s{spread(ratios):>26}x", flush=True)


def head(name: str) -> None:
    print(f"{name:<44}{'here, median (least to most)':>28}{'reference':>28}{'ratio':>27}")


def against_whole(rounds: int, device: str, side: int, width: int) -> None:
    model = a_model(width)
    image = np.random.default_rng(0).integers(0, 1000, (side, side)).astype(np.uint16)
    net = model.net.to(device)

    def bare() -> np.ndarray:
        x = torch.from_numpy(model.normalisation(image[None]))[None].to(device)
        with torch.inference_mode():
            return net(x).softmax(1)[0].cpu().numpy()  # type: ignore[no-any-return]

    name = torch.get_num_threads() if device == "cpu" else torch.cuda.get_device_name()
    head(f"{side} x {side}, UNet(depth=3, width={width}), {name}")
    times: dict[object, list[float]] = {key: [] for key in ("bare", *_TILES)}
    off: dict[object, float] = {}
    for number in range(rounds + 1):  # the first one is not counted
        for key in times:
            found: list[np.ndarray] = []
            work = bare if key == "bare" else lambda key=key: fb.predict(model, image, tile=key, device=device).values
            seconds = timed(lambda work=work, found=found: found.append(work()), device)
            if number:
                times[key].append(seconds)
            elif key == "bare":
                whole = found[0]
            else:
                off[key] = float(abs(found[0] - whole).max())
    for tile in _TILES:
        report(f"tile={tile}, off by {off[tile]:.0e}", times[tile], times["bare"])
    print()


def flips(rounds: int, device: str, side: int, width: int) -> None:
    model = a_model(width)
    image = np.random.default_rng(0).integers(0, 1000, (side // 2, side // 2)).astype(np.uint16)
    head(f"flips=True against False, {side // 2} x {side // 2}")
    for flip in (False, True):
        fb.predict(model, image, device=device, flips=flip)
    pairs = [
        [timed(lambda flip=flip: fb.predict(model, image, device=device, flips=flip), device) for flip in (True, False)]
        for _ in range(rounds)
    ]
    report("", *map(list, zip(*pairs, strict=True)))
    print()


def predict_large(folder: Path, rows: int, device: str) -> None:
    """Predict an image of 2048 columns from disk to disk and print the peak: what a process of its own does."""
    import zarr

    model = a_model(8)
    source = zarr.create_array(folder / "a.zarr", shape=(rows, 2048), chunks=(512, 512), dtype="uint16")
    block = np.random.default_rng(0).integers(0, 1000, (512, 512)).astype(np.uint16)
    for y in range(0, rows, 512):
        source[y : y + 512] = np.tile(block, 4)
    fb.predict(model, source[:600, :600], tile=512, device=device)
    with PeakMemory() as watch:
        began = time.perf_counter()
        fb.predict(model, source, out=folder / "p.ome.zarr", tile=512, device=device)
    print(json.dumps({"growth": watch.growth, "seconds": time.perf_counter() - began}))


def memory(rounds: int, device: str) -> None:
    print(
        f"{'zarr to zarr, tile=512, width=8':<44}{'MiB over before (spread)':>30}{'image and result, MiB':>26}{'s':>8}"
    )
    for rows in (2048, 20480):
        told = []
        for _ in range(rounds):
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, __file__, "--predict", folder, str(rows), "--device", device]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                told.append(json.loads(done.stdout))
        grown = [t["growth"] / 2**20 for t in told]
        size = rows * 2048 * 10 / 2**20
        growth = f"{np.median(grown):.0f} ({min(grown):.0f} to {max(grown):.0f})"
        seconds = np.median([t["seconds"] for t in told])
        print(f"{rows} x 2048{'':<34}{growth:>30}{size:>26.0f}"
              f"{seconds:>8.0f}", flush=True)  # fmt: skip
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["time", "flips", "memory"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--predict", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.predict:
        predict_large(Path(given.predict[0]), int(given.predict[1]), given.device)
        return
    parts = {
        "time": lambda: against_whole(given.rounds, given.device, given.side, given.width),
        "flips": lambda: flips(given.rounds, given.device, given.side, given.width),
        "memory": lambda: memory(min(given.rounds, 3), given.device),
    }
    for part in given.parts:
        parts[part]()


if __name__ == "__main__":
    main()
