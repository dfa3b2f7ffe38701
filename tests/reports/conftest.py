"""Images and runs that tests of reports share; nothing changes them."""

from __future__ import annotations

import pytest
import torch

import fijibridge as fb

QUICK = {"batches": 8, "batch": 4, "patch": (32, 32), "forecast": False, "observers": []}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Four tissues: one to learn, one more, one to watch, one to test."""
    folder = tmp_path_factory.mktemp("tissue")
    images = {}
    for seed, name in enumerate(("a", "b", "v", "t")):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, weak_membranes=0, seed=seed)
        images[name] = {"image": tissue.image, "labels": tissue.labels}
    fb.save_dataset(images, folder, provenance="manual", split={"validation": ["v"], "test": ["t"]}, overwrite=True)
    return folder


@pytest.fixture(scope="session")
def runs(folder, tmp_path_factory):
    """An old run, and a new one from it with another learning rate."""
    out = tmp_path_factory.mktemp("runs")
    torch.manual_seed(0)
    data = fb.Dataset.open(folder)
    old = fb.train(fb.UNet(depth=1, width=4), data, out=out / "old", epochs=2, **QUICK)
    new = fb.train(old.model, data, out=out / "new", epochs=4, lr=0.01, metric="val_f1", **QUICK)
    return old, new
