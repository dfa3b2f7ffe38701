"""What patches cost: memory, time to the first batch, and their share of a training step.

    python benchmarks/patches.py [--parts memory start share disk] [--rounds 5] [--device cpu]

memory  Peak of a process of its own that draws 20 batches, over that of one that only imports: with 2, 20 and 200
        images on disk (zarr), and with a stride of 100, 10 and 1. Each image is 1024².
start   18 images of 576 x 768, patches of 160 x 160 at stride 10: seconds to the first batch and what it takes; the
        reference cuts all patches into one numpy array, as notebooks do: its size, and its time from two of the images.
share   Cutting, transforming and moving a batch by a Feed alone, against the median training step of
        UNet(depth=3, width=32) on 8 patches of 128²; and on a GPU the step with a Feed against one on a fixed batch.
disk    The same patches from memory and from compressed zarr of chunks of 256².
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

import fijibridge as fb
from fijibridge.nn.losses import Loss
from fijibridge.nn.patches import Feed, PatchSampler, Sample

SIDE = 1024


def on_disk(folder: Path, count: int) -> None:
    """Write images and targets, zarr in chunks of 256²."""
    import zarr

    rng = np.random.default_rng(0)
    smooth = (rng.random((SIDE, SIDE), np.float32) * 255).astype(np.uint8) // 16 * 16
    for number in range(count):
        for name, pixels in (("image", smooth[None]), ("target", (smooth > 128).astype(np.uint8))):
            chunks = (1,) * (pixels.ndim - 2) + (256, 256)
            array = zarr.create_array(folder / f"{name}{number}.zarr", shape=pixels.shape, chunks=chunks, dtype="u1")
            array[:] = pixels


def opened(folder: Path, count: int) -> list[Sample]:
    import zarr

    def one(name: str, number: int) -> object:
        return zarr.open_array(folder / f"{name}{number}.zarr", mode="r")

    return [Sample(one("image", n), one("target", n), scaled=lambda x: x / np.float32(255)) for n in range(count)]


def peak() -> float:
    """Return the highest memory of this process so far, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def draw(folder: Path, count: int, stride: int | None) -> None:
    """Draw 20 batches and print the peak: what a process of its own does."""
    if count:
        began = time.perf_counter()
        more = {} if stride is None else {"sampling": "grid", "stride": stride}
        sampler = PatchSampler(opened(folder, count), (128, 128), batches=20, **more)  # type: ignore[arg-type]
        made = time.perf_counter() - began
        for _ in Feed(sampler, "cpu"):
            pass
        print(json.dumps({"peak": peak(), "set up": made, "coverage": sampler.coverage()}))
    else:
        Feed(PatchSampler([Sample(np.zeros((1, 9, 9)), np.zeros((9, 9)))], (8, 8)), "cpu")
        import zarr  # noqa: F401

        print(json.dumps({"peak": peak()}))


def alone(folder: Path, count: int, stride: int | None) -> dict[str, float]:
    command = [sys.executable, __file__, "--draw", str(folder), str(count), str(stride or 0)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(told.splitlines()[-1])  # type: ignore[no-any-return]


def memory(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        on_disk(folder, 200)
        rows: list[tuple[str, int, int | None]] = [(f"{n} images", n, None) for n in (2, 20, 200)]
        rows += [(f"20 images, stride {stride}", 20, stride) for stride in (100, 10, 1)]
        print(f"{'':<26}{'MiB over importing (spread)':>32}{'set up':>10}{'of all pixels, uncompressed':>30}")
        for name, count, stride in rows:
            told = [(alone(folder, count, stride), alone(folder, 0, None)["peak"]) for _ in range(rounds)]
            over = [found["peak"] - base for found, base in told]
            made = float(np.median([found["set up"] for found, _ in told]))
            spread = f"{np.median(over):.0f} ({min(over):.0f} to {max(over):.0f})"
            print(f"{name:<26}{spread:>32}{made:>8.2f} s{count * SIDE**2 * 2 / 2**20:>26.0f} MiB", flush=True)


def start(rounds: int) -> None:
    rng = np.random.default_rng(0)
    images = [rng.random((1, 576, 768), np.float32) for _ in range(18)]
    samples = [Sample(image, (image[0] > 0.5).astype(np.uint8)) for image in images]

    def first() -> tuple[PatchSampler, float, float]:
        before, began = peak(), time.perf_counter()
        sampler = PatchSampler(samples, (160, 160), 8, sampling="grid", stride=10)
        next(iter(Feed(sampler, "cpu")))
        return sampler, time.perf_counter() - began, peak() - before

    told = [first() for _ in range(max(rounds, 5))]
    sampler, times = told[0][0], [seconds for _, seconds, _ in told]
    assert sampler.grid is not None
    count = len(sampler.grid)
    began = time.perf_counter()
    cut = np.stack([samples[0].cut(sampler.grid.at(n)[1], (160, 160))[0] for n in range(count // 18)])
    whole = (time.perf_counter() - began) * 18
    print(f"160 x 160 at stride 10 on 18 images of 576 x 768: {count} patches, {len(sampler)} batches")
    print(f"    here: first batch after {np.median(times):.2f} s ({min(times):.2f} to {max(times):.2f}), "
          f"{max(grown for *_, grown in told):.0f} MiB")  # fmt: skip
    print(f"    reference, all x, y and weight in numpy: {count * 160 * 160 * (4 + 8 + 4) / 2**30:.1f} GiB; x alone "
          f"{cut.nbytes * 18 / 2**30:.1f} GiB in {whole:.0f} s (18 times one image's)\n", flush=True)  # fmt: skip


def stepping(device: str) -> object:
    net = fb.UNet(depth=3, width=32).to(device)
    loss, optimizer = Loss(outputs=net.traits.outputs), torch.optim.AdamW(net.parameters())

    def step(batch: tuple[torch.Tensor, ...]) -> None:
        optimizer.zero_grad()
        loss(net(batch[0]), batch[1], batch[2]).backward()
        optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()

    return step


def timed(work: object, *given: object) -> float:
    began = time.perf_counter()
    work(*given)  # type: ignore[operator]
    return time.perf_counter() - began


def in_memory(**more: object) -> PatchSampler:
    rng = np.random.default_rng(0)
    images = [rng.random((1, 576, 768), np.float32) for _ in range(18)]
    return PatchSampler([Sample(i, (i[0] > 0.5).astype(np.uint8)) for i in images], (128, 128), 8, **more)  # type: ignore[arg-type]


def each(feed: Feed) -> float:
    """Return seconds for a batch, of an epoch of which nothing else is done."""
    return timed(lambda: [None for _ in feed]) / len(feed)


def share(rounds: int, device: str) -> None:
    name = torch.cuda.get_device_name() if device != "cpu" else f"CPU, {torch.get_num_threads()} threads"
    step, feed = stepping(device), Feed(in_memory(batches=20), device)
    fixed = next(iter(feed))
    timed(step, fixed)
    steps: list[float] = []
    ratios: list[tuple[float, float]] = []
    for _ in range(rounds):
        here = [timed(step, fixed) for _ in range(5 if device == "cpu" else 50)]
        cutting = each(feed)
        steps += here
        ratios.append((cutting / float(np.median(here)), cutting))
    parts, times = np.array(ratios).T
    print(f"a batch by Feed alone, 8 x 128², all of Augmentation() ({name}): {np.median(times) * 1e3:.1f} ms, "
          f"{8 / np.median(times):.0f} patches/s")  # fmt: skip
    print(f"    of the median step, {np.median(steps) * 1e3:.0f} ms: {np.median(parts):.1%} "
          f"({parts.min():.1%} to {parts.max():.1%}), to be at most 5 %")  # fmt: skip
    beside = []
    for _ in range(rounds):
        fixed_steps = timed(lambda: [step(fixed) for _ in range(20 if device != "cpu" else 5)])  # type: ignore[operator]
        source = Feed(in_memory(batches=20 if device != "cpu" else 5), device)
        fed = timed(lambda source=source: [step(batch) for batch in source])  # type: ignore[operator]
        beside.append(fed / fixed_steps)
    print(f"    steps with a Feed / on a fixed batch: {np.median(beside):.3f} "
          f"({min(beside):.3f} to {max(beside):.3f})\n", flush=True)  # fmt: skip


def disk(rounds: int) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        on_disk(folder, 8)
        lazy = opened(folder, 8)
        memory = [Sample(np.asarray(s.image[:]), np.asarray(s.target[:]), scaled=s.scaled) for s in lazy]
        given = ((memory, 0), (lazy, 2**27), (lazy, 0))
        feeds = [Feed(PatchSampler(samples, (128, 128), 8, 20, cache=cache), "cpu") for samples, cache in given]
        times = np.array([[each(feed) for feed in feeds] for _ in range(rounds)])
        for which, name in ((1, "zarr with the cache"), (2, "zarr without it")):
            ratio = times[:, which] / times[:, 0]
            print(f"a batch from {name} {np.median(times[:, which]) * 1e3:.1f} ms, from memory "
                  f"{np.median(times[:, 0]) * 1e3:.1f} ms: {np.median(ratio):.1f}x ({ratio.min():.1f} to "
                  f"{ratio.max():.1f})", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", default=["share", "start", "disk", "memory"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--draw", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.draw:
        folder, count, stride = arguments.draw
        draw(Path(folder), int(count), int(stride) or None)
        return
    parts = {
        "share": lambda: share(arguments.rounds, arguments.device),
        "start": lambda: start(arguments.rounds),
        "disk": lambda: disk(arguments.rounds),
        "memory": lambda: memory(min(arguments.rounds, 3)),
    }
    for part in arguments.parts:
        parts[part]()


if __name__ == "__main__":
    main()
