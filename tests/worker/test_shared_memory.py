"""Blocks of shared memory: what they refuse, and that they leave nothing behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from fijibridge.errors import ImageError
from fijibridge.worker import shared_memory as worker_shared_memory
from fijibridge.worker.shared_memory import Blocks, arrays_of, remove_left_blocks
from tests.worker.conftest import shared_memory


def came(told: dict) -> dict:
    """Return what finds a block, as Java's Appose writes it."""
    shm = {"appose_type": "shm", "name": told["block"], "rsize": told["size"]}
    return {"appose_type": "ndarray", "dtype": told["dtype"], "shape": told["shape"], "shm": shm}


def test_planes_come_out_as_they_went_in_and_are_freed(monkeypatch):
    """Several blocks, the last one not full; planes that do not lie one after the other in memory."""
    monkeypatch.setattr(worker_shared_memory, "BLOCK", 5000)
    stack = np.random.default_rng(0).integers(0, 65536, (7, 40, 60)).astype(np.uint16)[:, ::2, ::2]
    before = shared_memory()
    made = Blocks()
    assert not made
    told = made.put_planes(list(stack))
    assert made
    assert [one["shape"][0] for one in told] == [4, 3]
    came_in = Blocks()
    arrays = arrays_of(came_in.attach([came(one) for one in told]))
    np.testing.assert_array_equal(np.concatenate(arrays), stack)
    assert len(shared_memory() - before) == 2
    del arrays
    came_in.free()
    made.free()
    assert shared_memory() == before


def test_a_plane_that_java_cannot_hold_is_refused():
    before = shared_memory()
    with pytest.raises(ImageError, match=r"plane of 2\.4 GB .* limit is 2 GB"):
        Blocks().put_planes([np.broadcast_to(np.float32(0), (20_000, 30_000))])
    assert shared_memory() == before


def test_what_does_not_fit_is_refused_before_any_of_it_is_there():
    before = shared_memory()
    free = shutil.disk_usage("/dev/shm").free
    plane = np.broadcast_to(np.uint8(0), (30_000, 30_000))
    with pytest.raises(ImageError, match=r"--shm-size"):
        Blocks().put_planes([plane] * (free // plane.nbytes + 1))
    assert shared_memory() == before


def test_planes_are_copied_where_blocks_are_no_files(monkeypatch, tmp_path):
    """As on macOS and Windows."""
    monkeypatch.setattr(worker_shared_memory, "_WHERE", str(tmp_path / "nowhere"))
    stack = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    made = Blocks()
    told = made.put_planes(list(stack))
    came_in = Blocks()
    (array,) = arrays_of(came_in.attach([came(one) for one in told]))
    np.testing.assert_array_equal(array, stack)
    del array
    made.free()


def test_what_somebody_still_looks_at_stays_mapped():
    """A verb may keep an image that came to it: the name of its memory is gone then, and its pixels are not."""
    before = shared_memory()
    made, came_in = Blocks(), Blocks()
    (array,) = arrays_of(came_in.attach([came(made.put(np.arange(100_000, dtype=np.float32)))]))
    made.free()
    came_in.free()
    assert shared_memory() == before
    np.testing.assert_array_equal(array, np.arange(100_000))


def test_blocks_are_readable_by_their_user_only():
    made = Blocks()
    told = made.put(np.arange(10, dtype=np.uint8))
    try:
        assert Path("/dev/shm", told["block"]).stat().st_mode & 0o777 == 0o600
    finally:
        made.free()


def test_blocks_of_killed_processes_are_removed_and_no_others():
    ended = subprocess.Popen(["true"])
    ended.wait()
    made = Blocks()
    living = Path("/dev/shm", made.put(np.arange(10, dtype=np.uint8))["block"])
    _, _, space, process, _ = living.name.split("_")
    assert process == str(os.getpid())
    names = {"left": f"psm_fijibridge_{space}_{ended.pid}_ab12", "container": f"psm_fijibridge_1_{ended.pid}_ab12",
             "other": f"psm_{ended.pid}ab12"}  # fmt: skip
    files = {kind: Path("/dev/shm", name) for kind, name in names.items()}
    try:
        for file in files.values():
            file.write_bytes(b"pixels")
        assert remove_left_blocks() == [names["left"]]
        assert [kind for kind, file in files.items() if file.exists()] == ["container", "other"]
        assert living.exists()
    finally:
        made.free()
        for file in files.values():
            file.unlink(missing_ok=True)
