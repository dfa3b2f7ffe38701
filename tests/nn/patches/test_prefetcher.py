from __future__ import annotations

import threading

import numpy as np
import pytest
import torch

from fijibridge.nn.patches import Feed, PatchSampler, Sample
from tests.nn.patches.samples import same


def test_a_feed_brings_the_same_batches_and_knows_what_was_taken(full):
    whole = list(full)
    full.load_state_dict({"epoch": 0, "done": 0})
    feed = Feed(full, "cpu", ahead=3)
    for number, (brought, cut) in enumerate(zip(feed, whole, strict=True), start=1):
        assert same(brought, cut)
        if number < len(feed):
            assert feed.state_dict() == {"epoch": 0, "done": number}


def test_a_feed_takes_one_core_and_leaves_the_others_as_they_were():
    class Telling(np.ndarray):
        def __getitem__(self, key):
            cores.append(torch.get_num_threads())
            return super().__getitem__(key)

    def of_a_new_thread():
        cores.append(torch.get_num_threads())

    cores: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        image = np.zeros((1, 20, 20), np.float32).view(Telling)
        next(iter(Feed(PatchSampler([Sample(image, np.zeros((20, 20), np.uint8))], (8, 8), batches=1), "cpu")))
        assert set(cores) == {1}
        assert torch.get_num_threads() == 2
        later = threading.Thread(target=of_a_new_thread)
        later.start()
        later.join()
        assert cores[-1] == 2
    finally:
        torch.set_num_threads(before)


def test_a_feed_that_is_left_early_leaves_no_thread(full):
    iterator = iter(Feed(full, "cpu"))
    next(iterator)
    iterator.close()
    assert not [t for t in threading.enumerate() if t.name == "fijibridge-patches"]


def test_an_error_of_the_thread_reaches_who_waits():
    class Broken(np.ndarray):
        def __getitem__(self, key):
            raise OSError("the disk is gone")

    image = np.zeros((1, 20, 20), np.float32).view(Broken)
    sampler = PatchSampler([Sample(image, np.zeros((20, 20), np.uint8))], (8, 8))
    with pytest.raises(OSError, match="the disk is gone"):
        next(iter(Feed(sampler, "cpu")))
