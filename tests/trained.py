"""Tiny networks and trained runs that tests of several areas share: each is trained once in a process."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import torch

import fijibridge as fb
from fijibridge.nn.training import Run

QUICK = {"epochs": 2, "batches": 4, "batch": 4, "patch": (32, 32), "forecast": False}
"""Settings of a training of a second."""


def small_net(**options):
    """Return a new network of 1,000 weights, the same each time."""
    torch.manual_seed(0)
    return fb.UNet(**({"depth": 1, "width": 4} | options))


@cache
def small_tissue():
    """Return a tissue of 64 x 80 pixels with cells of 16."""
    return fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=1)


@cache
def small_run() -> Run:
    """Return a run of `QUICK` with validation, of a network that has learnt little. Do not train it further."""
    tissue = small_tissue()
    pair = (tissue.image, fb.membrane_target(tissue.labels))
    return fb.train(small_net(), [pair], validation=[pair], observers=[], **QUICK)


@cache
def _written() -> Path:
    import tempfile

    return small_run().save(Path(tempfile.mkdtemp(prefix="fijibridge-tests-")) / "run")


def run_folder(folder: Path) -> Path:
    """Copy the files of `small_run` into a folder, and return it."""
    return Path(shutil.copytree(_written(), folder, dirs_exist_ok=True))
