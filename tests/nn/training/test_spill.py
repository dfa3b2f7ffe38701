"""Images that do not fit into memory are learnt from disk."""

from __future__ import annotations

import gc

import dask.array as da
import numpy as np
import pytest
import torch

import fijibridge as fb
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.errors import TrainingError
from fijibridge.files import write_image
from fijibridge.nn.training import spill
from fijibridge.nn.training.spill import Scratch

QUICK = {"epochs": 2, "batches": 3, "batch": 2, "patch": (32, 32), "forecast": False}


def net():
    torch.manual_seed(0)
    return fb.UNet(depth=1, width=4)


def weights(run):
    return torch.cat([p.detach().reshape(-1) for p in run.model.net.parameters()])


def test_what_fits_stays_in_memory_and_the_rest_is_mapped(tmp_path):
    kept = Scratch(tmp_path, limit=1000)
    small, large = np.arange(100, dtype=np.uint8), np.arange(2000, dtype=np.uint16).reshape(40, 50)
    assert kept.keep(small) is small
    mapped = kept.keep(large)
    assert isinstance(mapped, np.memmap)
    assert (mapped == large).all()
    lazily = da.from_array(large, chunks=(7, 50)) + 1
    assert (kept.keep(lazily) == large + 1).all()
    assert kept.keep(mapped) is mapped
    assert len(list(tmp_path.iterdir())) == 1
    del kept, mapped
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_disk_without_room_is_told_before_anything_is_learnt(tmp_path):
    big = da.zeros((2**20, 2**20, 2**8), dtype=np.float64, chunks=(1, 2**20, 2**8))  # 2 PiB
    with pytest.raises(TrainingError, match=r"could not be written.*Free some space there"):
        Scratch(tmp_path, limit=1000).keep(big)


@pytest.mark.parametrize("border", [None, {"w0": 5}])
def test_a_run_is_the_same_from_memory_and_from_disk(tmp_path, monkeypatch, border):
    images = {}
    for seed, name in enumerate("abc"):
        drawn = synthetic_epithelium((64, 80), cell_size=16, seed=seed)
        images[name] = {"image": drawn.image, "labels": drawn.labels}
    data = fb.save_dataset(images, tmp_path / "data", provenance="manual", split={"validation": ["c"]})
    settings = QUICK | {"border_weight": border, "metric": "val_f1"}
    whole = fb.train(net(), data, **settings)
    monkeypatch.setattr(spill, "available_memory", lambda: 4000)
    opened = []
    monkeypatch.setattr(
        np.lib.format, "open_memmap", lambda *a, _f=np.lib.format.open_memmap, **k: opened.append(a) or _f(*a, **k)
    )
    mapped = fb.train(net(), data, out=tmp_path / "run", **settings)
    assert len(opened) >= 6
    assert torch.equal(weights(whole), weights(mapped))
    assert whole.history["val_f1"].equals(mapped.history["val_f1"])
    del mapped
    gc.collect()
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".")]


def test_dask_and_mapped_images_are_learnt_as_those_in_memory(tmp_path):
    drawn = synthetic_epithelium((64, 80), cell_size=16, seed=1)
    image, target = np.asarray(drawn.image), np.asarray(fb.membrane_target(drawn.labels, 2))
    np.save(tmp_path / "image.npy", image)
    np.save(tmp_path / "target.npy", target)
    mapped = [np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("image", "target")]
    lazily = [da.from_array(array, chunks=(30, 30)) for array in (image, target)]
    runs = [fb.train(net(), [tuple(pair)], **QUICK) for pair in ((image, target), mapped, lazily)]
    assert torch.equal(weights(runs[0]), weights(runs[1]))
    assert torch.equal(weights(runs[0]), weights(runs[2]))


def test_what_a_killed_run_left_is_removed(tmp_path):
    left = tmp_path / "run" / ".fijibridge-images-old"
    left.mkdir(parents=True)
    (left / "0.npy").write_bytes(b"0" * 100)
    drawn = synthetic_epithelium((64, 80), cell_size=16, seed=1)
    fb.train(net(), [(drawn.image, fb.membrane_target(drawn.labels, 2))], out=tmp_path / "run", **QUICK)
    assert not left.exists()


def test_memory_does_not_grow_with_the_number_of_images(warm_python, tmp_path):
    """24 images of 1 Mpx with targets are 48 MB; what is mapped is no memory of the process's own (RssAnon)."""
    code = """
        import sys
        import torch
        import fijibridge as fb
        from fijibridge.nn.training import spill as scratch

        class Watch:
            def progress(self, step, steps):
                status = open("/proc/self/status").read().splitlines()
                print(*(line.split()[1] for line in status if line.startswith("RssAnon")))

            def metrics(self, epoch, values):
                pass

        scratch.available_memory = lambda: 8_000_000
        torch.set_num_threads(1)
        data = fb.Dataset.open(sys.argv[1])
        settings = {"epochs": 1, "batches": 3, "batch": 2, "patch": (32, 32), "forecast": False}
        fb.train(fb.UNet(depth=1, width=4), data, observers=[Watch()], **settings)
    """
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (1000, 1000), dtype=np.uint8)
    taken = []
    for count in (2, 24):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            write_image(fb.as_image(image), folder / f"{number}_image.tif")
            write_image(fb.as_image((image > 128).astype(np.uint8)), folder / f"{number}_classes.tif")
        (folder / "dataset.toml").write_text(
            'image = "*_image.tif"\nclasses = "{name}_classes.tif"\nvalues.classes = {0 = "cell", 1 = "membrane"}\n'
        )
        done = warm_python.run(code, folder)
        taken.append(max(int(line) for line in done.stdout.split() if line.isdigit()) / 1024)
    assert taken[1] - taken[0] < 20, taken
