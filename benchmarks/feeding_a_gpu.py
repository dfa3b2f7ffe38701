"""What feeding a GPU costs: training steps on batches of a Feed against steps on one fixed batch, in the same run.

    python benchmarks/feeding_a_gpu.py [--rounds 5]

In fp32 and bf16, for a network that is done before Python has told the GPU what to do next, and one that keeps it busy.
All of Augmentation() is drawn. Nothing waits for the device after a step, as a training does not either. Utilisation is
the mean of what nvidia-smi tells during the fed steps.
"""

from __future__ import annotations

import argparse
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

import fijibridge as fb
from fijibridge.nn.losses import Loss
from fijibridge.nn.patches import Feed, PatchSampler, Sample


@dataclass
class Trial:
    """A network, its batches, and so many steps."""

    depth: int
    width: int
    batch: int
    side: int
    steps: int
    precision: torch.dtype | None

    def __post_init__(self) -> None:
        torch.manual_seed(0)
        self.net = fb.UNet(depth=self.depth, width=self.width).cuda()
        self.loss, self.optimizer = Loss(outputs=self.net.traits.outputs), torch.optim.AdamW(self.net.parameters())

    def __str__(self) -> str:
        precision = "fp32" if self.precision is None else "bf16"
        return f"UNet(depth={self.depth}, width={self.width}), {self.batch} x {self.side}², {precision}"

    def feed(self) -> Feed:
        """Return an epoch of patches of images in memory."""
        rng = np.random.default_rng(0)
        images = [rng.random((1, 576, 768), np.float32) for _ in range(18)]
        samples = [Sample(image, (image[0] > 0.5).astype(np.uint8)) for image in images]
        return Feed(PatchSampler(samples, (self.side, self.side), self.batch, batches=self.steps), "cuda")

    def step(self, given: tuple[torch.Tensor, ...]) -> None:
        """Learn from one batch."""
        with torch.autocast("cuda", self.precision, enabled=self.precision is not None):
            value = self.loss(self.net(given[0]), given[1], given[2])
        self.optimizer.zero_grad()
        value.backward()
        self.optimizer.step()

    def took(self, batches: Iterable[tuple[torch.Tensor, ...]]) -> float:
        """Return seconds a step."""
        torch.cuda.synchronize()
        began, steps = time.perf_counter(), 0
        for given in batches:
            self.step(given)
            steps += 1
        torch.cuda.synchronize()
        return (time.perf_counter() - began) / steps


class Utilisation:
    """Asks nvidia-smi how busy the first GPU is while a block runs."""

    mean = float("nan")

    def __enter__(self) -> Utilisation:
        query = ["nvidia-smi", "-i", "0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
        self.process = subprocess.Popen(query, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        told = [float(line) for line in self.process.communicate()[0].split() if line.strip().isdigit()]
        self.mean = float(np.mean(told[1:])) if len(told) > 1 else float("nan")


def tell(trial: Trial, rounds: int) -> None:
    feed = trial.feed()
    fixed = next(iter(feed))
    trial.took([fixed] * 10)
    fixed_s, ratios, alone_s, used = [], [], [], []
    for _ in range(rounds):
        fixed_s.append(trial.took([fixed] * trial.steps))
        with Utilisation() as busy:
            ratios.append(trial.took(feed) / fixed_s[-1])
        used.append(busy.mean)
        began = time.perf_counter()
        count = sum(1 for _ in feed)
        torch.cuda.synchronize()
        alone_s.append((time.perf_counter() - began) / count)
    step = float(np.median(fixed_s))
    print(f"{trial}\n    a step on a fixed batch {step * 1e3:.1f} ms; fed / fixed {np.median(ratios):.3f} "
          f"({min(ratios):.3f} to {max(ratios):.3f}); {trial.batch / step / np.median(ratios):.0f} patches/s\n"
          f"    a batch by Feed alone {np.median(alone_s) * 1e3:.1f} ms, {trial.batch / np.median(alone_s):.0f} "
          f"patches/s; utilisation {np.median(used):.0f} %", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(torch.cuda.get_device_name())
    for shape in ((3, 32, 8, 128, 200), (4, 64, 16, 256, 30)):
        for precision in (None, torch.bfloat16):
            tell(Trial(*shape, precision), rounds)


if __name__ == "__main__":
    main()
