from __future__ import annotations

import threading
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.cells.targets.from_labels import IGNORE
from fijibridge.errors import TrainingError
from fijibridge.nn.augmentation import Augmentation
from fijibridge.nn.patches import Feed, PatchSampler, Sample
from fijibridge.nn.patches.chunk_cache import Cached, Chunks
from fijibridge.nn.patches.density import weight_errors
from fijibridge.nn.patches.places import Grid


def coordinates(shape: tuple[int, int], number: int = 0, known: np.ndarray | None = None) -> Sample:
    """An image whose pixels say where they are; target and weight say the same."""
    where = np.arange(np.prod(shape)).reshape(shape) % 200
    target = where.astype(np.uint8)
    if known is not None:
        target = np.where(known, target, IGNORE).astype(np.uint8)
    image = np.stack([where, np.full(shape, number)]).astype(np.float32)
    return Sample(image, target, where.astype(np.float32))


def sampler_of(samples, patch, **more):
    return PatchSampler(samples, patch, **({"augment": Augmentation.symmetries(), "batches": 4} | more))


def test_image_target_and_weight_are_cut_and_turned_alike():
    for x, y, weight in sampler_of([coordinates((40, 50)), coordinates((33, 64), 1)], (16, 16), batches=20):
        assert (x[:, 0] == y).all()
        assert (x[:, 0] == weight).all()


def test_oblong_patches_and_volumes():
    x, y, _ = next(iter(sampler_of([coordinates((40, 50))], (8, 24))))
    assert x.shape == (8, 2, 8, 24)
    assert (x[:, 0] == y).all()
    volume = np.arange(5 * 9 * 9).reshape(5, 9, 9)
    sample = Sample(volume[None].astype(np.float32), (volume % 200).astype(np.uint8))
    x, y, weight = next(iter(sampler_of([sample], (3, 8, 8))))
    assert (x[:, 0] % 200 == y).all()
    assert (weight == 1).all()


def test_same_seed_same_patches_and_each_epoch_others():
    def epochs(seed):
        sampler = sampler_of([coordinates((40, 50))], (16, 16), batches=2, seed=seed)
        return [torch.cat([x for x, _, _ in sampler]) for _ in range(2)]

    first, again, other = epochs(1), epochs(1), epochs(2)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], other[0])


def test_fixed_patches_are_the_same_in_each_epoch():
    sampler = PatchSampler([coordinates((40, 50))], (16, 16), batches=2, fixed=True)
    a, b = (torch.cat([x for x, _, _ in sampler]) for _ in range(2))
    assert torch.equal(a, b)


def test_an_epoch_of_which_somebody_took_all_batches_is_over():
    """As islice takes them, which never comes back to hear that there is no further one."""
    sampler = sampler_of([coordinates((40, 50))], (16, 16))
    first, second = (list(islice(sampler, len(sampler))) for _ in range(2))
    assert len(first) == len(second) == len(sampler)
    assert not torch.equal(first[0][0], second[0][0])
    assert (sampler.epoch, sampler.done) == (1, 4)


def test_every_known_pixel_is_as_likely_as_any_other():
    """A small and a large image: the number of patches follows the number of known pixels."""
    known = np.zeros((60, 60), bool)
    known[20:40, 20:40] = True
    samples = [coordinates((60, 60), 0, known), coordinates((40, 60), 1)]
    sampler = sampler_of(samples, (8, 8), batch=50, batches=40)
    share = np.mean([float(x[:, 1].mean()) for x, _, _ in sampler])
    assert share == pytest.approx(2400 / 2800, abs=0.03)


def test_patches_lie_on_known_truth():
    known = np.zeros((60, 60), bool)
    known[:12, 50:] = True
    for _, y, _ in sampler_of([coordinates((60, 60), 0, known)], (8, 8), batches=5):
        assert (y != IGNORE).flatten(1).any(dim=1).all()


def test_images_smaller_than_a_patch():
    x, y, _ = next(iter(PatchSampler([coordinates((5, 30))], (16, 16), augment=False)))
    assert x.shape[2:] == (16, 16)
    assert (y[:, 5:] == IGNORE).all()
    assert (x[:, 0, :5] == y[:, :5]).all()
    assert (x[:, 0, 5:10] == x[:, 0, :5].flip(1)).all()


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 9), np.uint8)), "do not fit"),
        (Sample(np.zeros((1, 8, 8), np.float32), np.full((8, 8), IGNORE, np.uint8)), "known truth"),
        (Sample(np.zeros((1, 8, 8), np.float32), np.zeros((8, 8), np.uint8), np.zeros((3, 3), np.float32)), "weight"),
    ],
)
def test_bad_input(sample, words):
    with pytest.raises(TrainingError, match=words):
        PatchSampler([sample], (4, 4))
    with pytest.raises(TrainingError, match="at least 1"):
        PatchSampler([sample], (0, 4))


# --- where patches lie --------------------------------------------------------------------------------


def places(sampler, epoch=0):
    return [sampler._place(epoch, i) for i in range(len(sampler) * sampler.batch)]


def test_images_are_drawn_evenly_or_in_turn():
    samples = [coordinates((60, 60), 0), coordinates((10, 12), 1)]
    evenly = [which for which, _ in places(sampler_of(samples, (8, 8), batches=100, sampling="images"))]
    assert np.mean(evenly) == pytest.approx(0.5, abs=0.06)
    in_turn = [which for which, _ in places(sampler_of(samples, (8, 8), sampling="locations"))]
    assert in_turn == [0, 1] * 16


def test_a_weight_image_says_where():
    weight = np.zeros((50, 40), np.float32)
    weight[30, 20], weight[10, 12] = 3, 1
    sample = Sample(np.zeros((1, 50, 40), np.float32), np.zeros((50, 40), np.uint8), weight)
    found = [corner for _, corner in places(sampler_of([sample], (4, 4), batches=100, sampling="weighted"))]
    assert set(found) == {(28, 18), (8, 10)}
    assert np.mean([corner == (28, 18) for corner in found]) == pytest.approx(0.75, abs=0.05)


def test_membranes_draw_ten_times_as_often():
    target = np.zeros((200, 30), np.uint8)
    target[150] = 1  # a line; the seven rows around it are liked
    sample = Sample(np.zeros((1, 200, 30), np.float32), target)
    rows = np.array(
        [corner[0] for _, corner in places(sampler_of([sample], (1, 1), batches=400, sampling="membranes"))]
    )
    near = np.mean(abs(rows - 150) <= 3)
    assert near == pytest.approx(70 / (193 + 70), abs=0.03)


def test_no_patch_without_a_membrane():
    target = np.zeros((64, 64), np.uint8)
    target[:, 50] = 1
    sample = Sample(np.zeros((1, 64, 64), np.float32), target)
    for _, y, _ in sampler_of([sample], (8, 8), require=1):
        assert (y == 1).flatten(1).any(1).all()
    none = Sample(sample.image, np.zeros((64, 64), np.uint8))
    with pytest.raises(TrainingError, match="no patch with a pixel of class 1"):
        next(iter(sampler_of([none], (8, 8), require=1)))


def test_centres_only_in_a_region():
    region = np.zeros((64, 64), bool)
    region[40:44, 8:12] = True
    sample = Sample(np.zeros((1, 64, 64), np.float32), np.zeros((64, 64), np.uint8), centres=region)
    corners = {corner for _, corner in places(sampler_of([sample], (4, 4)))}
    assert corners <= {(y - 2, x - 2) for y in range(40, 44) for x in range(8, 12)}
    assert len(corners) > 8


def test_errors_are_looked_at_again():
    errors = np.zeros((100, 100), bool)
    errors[20, 20] = True
    sample = Sample(
        np.zeros((1, 100, 100), np.float32), np.zeros((100, 100), np.uint8), centres=weight_errors(errors, 4)
    )
    rows, columns = np.array([corner for _, corner in places(sampler_of([sample], (1, 1), batches=200))]).T
    share = np.mean(np.hypot(rows - 20, columns - 20) < 16)
    assert 0.2 < share < 0.6  # by chance 0.08
    assert np.mean(np.hypot(rows - 80, columns - 80) < 16) > 0


@given(
    shapes=st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=3),
    stride=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    seed=st.integers(0, 99),
)
def test_a_grid_visits_each_place_once_and_covers_every_pixel(shapes, stride, seed):
    samples = [Sample(np.zeros((1, *s), np.float32), np.zeros(s, np.uint8)) for s in shapes]
    patch = (9, 9)
    grid = Grid(samples, patch, stride)
    regular = [grid.at(n) for n in range(len(grid))]
    assert sorted(grid.shuffled(n, (seed, 0)) for n in range(len(grid))) == sorted(regular)
    covered = [np.zeros(s, bool) for s in shapes]
    for which, corner in regular:
        assert all(c >= 0 and (c + p <= n or c == 0) for c, p, n in zip(corner, patch, shapes[which], strict=True))
        covered[which][tuple(slice(c, c + p) for c, p in zip(corner, patch, strict=True))] = True
    assert all(c.all() for c in covered)


def test_the_grid_of_an_epoch():
    sampler = PatchSampler([coordinates((40, 50))], (16, 16), batch=4, fixed=True, sampling="grid", stride=8)
    assert len(sampler) == 6  # 4 x 6 places
    first = places(sampler)
    assert len(set(first)) == 24
    assert first == places(sampler, 1)  # nothing is drawn
    turning = sampler_of([coordinates((40, 50))], (16, 16), batch=4, batches=None, sampling="grid", stride=8)
    assert places(turning) != places(turning, 1)
    assert sorted(places(turning)) == sorted(places(turning, 1))


@pytest.mark.parametrize(
    ("sampling", "first"),
    [
        ("positions", [(1, (17, 30)), (1, (7, 48)), (0, (1, 13))]),
        ("images", [(1, (17, 30)), (1, (7, 48)), (0, (1, 13))]),
        ("locations", [(0, (17, 0)), (1, (17, 23)), (0, (0, 2))]),
        ("weighted", [(1, (17, 36)), (1, (7, 31)), (0, (2, 12))]),
        ("membranes", [(1, (17, 0)), (1, (7, 28)), (0, (1, 0))]),
        ("grid", [(1, (0, 40)), (1, (17, 32)), (1, (0, 48))]),
    ],
)
def test_places_are_those_of_version_0_1(sampling, first):
    """A run is resumed on the patches that it began with."""
    samples = [coordinates((40, 50)), coordinates((33, 64), 1)]
    sampler = PatchSampler(samples, (16, 16), seed=7, sampling=sampling, batch=3, batches=1)
    assert places(sampler) == first


# --- the same patches -----------------------------------------------------------------------------------


def same(a, b):
    return all(torch.equal(s, t) for s, t in zip(a, b, strict=True))


@pytest.fixture
def full():
    """A sampler with all that is drawn."""
    return PatchSampler([coordinates((40, 50)), coordinates((60, 20), 1)], (16, 16), batch=4, batches=5, seed=3)


def test_a_batch_depends_on_epoch_and_number_only(full):
    epochs = [list(full) for _ in range(2)]
    assert same(epochs[1][3], full.batch_at(1, 3))
    assert not same(epochs[0][3], epochs[1][3])


def test_devices_share_each_batch(full):
    whole = full.batch_at(0, 1)
    parts = [full.share(rank, 2).batch_at(0, 1) for rank in range(2)]
    assert same(whole, [torch.cat(part) for part in zip(*parts, strict=True)])
    with pytest.raises(TrainingError, match="cannot be shared equally by 3 devices"):
        full.share(0, 3)


def test_going_on_within_an_epoch(full):
    whole = list(full)
    state = {"epoch": 0, "done": 2}
    for source in (full, Feed(full, "cpu")):
        source.load_state_dict(state)
        rest = list(source)
        assert len(rest) == 3
        assert all(same(a, b) for a, b in zip(rest, whole[2:], strict=True))
        assert source.state_dict() == {"epoch": 1, "done": 0}


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


def test_only_what_is_cut_is_read(tmp_path):
    """A zarr array: the chunks of the patch, not the image."""
    import zarr

    rng = np.random.default_rng(0)
    pixels = rng.random((1, 256, 256), dtype=np.float32)
    store = zarr.create_array(tmp_path / "a.zarr", shape=pixels.shape, chunks=(1, 32, 32), dtype="f4")
    store[:] = pixels
    target = np.zeros((256, 256), np.uint8)
    lazy = PatchSampler([Sample(store, target)], (16, 16), augment=False, batches=2)
    memory = PatchSampler([Sample(pixels, target)], (16, 16), augment=False, batches=2)
    assert all(same(a, b) for a, b in zip(lazy, memory, strict=True))
    mapped = np.lib.format.open_memmap(tmp_path / "a.npy", "w+", "f4", pixels.shape)
    mapped[:] = pixels
    from_disk = PatchSampler([Sample(np.load(tmp_path / "a.npy", mmap_mode="r"), target)], (16, 16), augment=False)
    assert same(from_disk.batch_at(0, 0), memory.batch_at(0, 0))


class Counted:
    """An array in chunks that counts how often it is read."""

    def __init__(self, pixels, chunks):
        self.pixels, self.chunks, self.reads = pixels, chunks, 0
        self.shape, self.dtype, self.ndim = pixels.shape, pixels.dtype, pixels.ndim

    def __getitem__(self, key):
        self.reads += 1
        return self.pixels[key]


@given(data=st.data())
def test_parts_of_a_cached_array_are_its_own(data):
    shape = data.draw(st.tuples(*[st.integers(1, 12)] * 3))
    chunks = data.draw(st.tuples(*[st.integers(1, 7)] * 3))
    pixels = np.arange(np.prod(shape)).reshape(shape)
    room = Chunks(data.draw(st.sampled_from([0, 100, 1000, 10**6])))
    array = Cached(Counted(pixels, chunks), room)
    for _ in range(4):
        key = tuple(
            data.draw(st.one_of(st.integers(0, n - 1), st.slices(n).filter(lambda s: s.step != 0))) for n in shape
        )
        assert np.array_equal(array[key], pixels[key])
        assert room.held <= room.limit
    assert np.array_equal(array[...], pixels)


def test_a_chunk_is_read_once_while_there_is_room():
    pixels = np.random.default_rng(0).random((1, 64, 64), np.float32)
    target = np.zeros((64, 64), np.uint8)
    plain = PatchSampler([Sample(pixels, target)], (16, 16), batches=20)
    for cache, most in ((2**20, 16), (0, 10**9)):
        image = Counted(pixels, (1, 16, 16))
        sampler = PatchSampler([Sample(image, target)], (16, 16), batches=20, cache=cache)
        assert all(same(a, b) for a, b in zip(sampler, plain, strict=True))
        plain.load_state_dict({"epoch": 0, "done": 0})
        assert image.reads <= most
    assert image.reads == 160  # no cache


def test_what_was_not_asked_for_longest_goes_first():
    room = Chunks(3 * 8)
    source = Counted(np.arange(5), (1,))
    array = Cached(source, room)
    for number in (0, 1, 2, 0, 3, 0, 2):
        assert array[number] == number
    assert source.reads == 4
    assert array[1] == 1  # went for 3
    assert source.reads == 5


def test_further_target_channels_travel_along():
    where = coordinates((20, 20))
    distance, cells = np.full((20, 20), 2.5), np.arange(400.0).reshape(20, 20) + 70_000
    sample = Sample(where.image, np.stack([where.target, distance, cells]).astype(np.float32))
    sampler = PatchSampler([sample], (24, 24), augment=False)
    x, y, weight = sampler.batch_at(0, 0)
    assert y.shape == (8, 3, 24, 24)
    assert y.dtype == torch.float32
    assert (y[:, 0, :20, :20] == x[:, 0, :20, :20]).all()
    assert (y[:, 0, 20:] == IGNORE).all()
    assert (y[:, 1, :20, :20] == 2.5).all()
    assert int(y[0, 2, 19, 19]) == 70_399
    assert (weight[:, 20:] == 0).all()


def test_names_that_are_not_known():
    with pytest.raises(TrainingError, match="sampling is 'everywhere'; expected one of positions"):
        PatchSampler([coordinates((20, 20))], (8, 8), sampling="everywhere")
    with pytest.raises(TrainingError, match="stride is 0"):
        PatchSampler([coordinates((20, 20))], (8, 8), sampling="grid", stride=0)
    plain = Sample(np.zeros((1, 20, 20), np.float32), np.zeros((20, 20), np.uint8))
    with pytest.raises(TrainingError, match="has no weight image"):
        PatchSampler([plain], (8, 8), sampling="weighted")
