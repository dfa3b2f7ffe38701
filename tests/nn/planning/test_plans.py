from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import fijibridge as fb
from fijibridge.errors import RenamedWarning, TrainingError
from fijibridge.nn.patches import PatchSampler, Sample
from fijibridge.nn.planning import plan
from fijibridge.nn.planning.images import source_of
from fijibridge.nn.unet import UNet
from tests.examples import examples


def untried(net, data, **more):
    return plan(net, data, device="cpu", probe=False, **more)


def pairs(shapes=((48, 64), (40, 40))):
    rng = np.random.default_rng(0)
    return [(rng.random(s, np.float32), (rng.random(s) < 0.3).astype(np.uint8)) for s in shapes]


def test_the_notebook_s_case():
    """160 x 160 at stride 10 on 18 images: 43 x 62 places in each, 16 patches over a pixel on each axis, 256 in all."""
    made = untried(UNet(depth=3, width=2), [(576, 768)] * 18, patch=(160, 160), stride=10)
    assert made.coverage == (16, 16)
    assert made.coverage_area == 256
    assert made.batches == math.ceil(18 * 43 * 62 / 8)
    assert any("256 times per epoch" in note for note in made.notes)
    assert "160 x 160 px" in str(made)
    assert "47,992 (5,999 batches of 8)" in str(made)


def test_patch_and_stride_from_the_receptive_field():
    """Information travels up to 23 px at depth 2: 3 * 23 = 69, so 72; once, rounded to 4: 24."""
    made = untried(UNet(depth=2, width=2), [(576, 768)])
    assert (made.patch, made.stride, made.halo, made.divisor) == ((72, 72), (24, 24), (24, 24), 4)
    assert made.coverage == (3, 3)


def test_within_small_images():
    made = untried(UNet(depth=2, width=2, dims=3), [(18, 128, 70), (33, 100, 128)])
    assert made.patch == (16, 72, 68)
    assert untried(UNet(depth=2, width=2), [(3, 50)]).patch == (4, 48)
    assert "mirrored" in str(untried(UNet(depth=2, width=2), [(3, 50)]))


def test_axes_that_differ():
    net = nn.Sequential(
        nn.Conv3d(1, 2, (1, 3, 3), padding=(0, 1, 1)), nn.MaxPool3d((1, 2, 2)), nn.Conv3d(2, 2, 3, padding=1),
        nn.Upsample(scale_factor=(1, 2, 2)),
    )  # fmt: skip
    made = untried(net, [(32, 64, 64)])
    assert made.halo[0] == 1
    assert made.halo[1] == made.halo[2] > 1
    assert made.patch[0] < made.patch[1]


def test_valid_networks_step_by_what_they_show():
    net = UNet(depth=1, width=2, padding="valid")
    made = untried(net, [(200, 200)])
    assert net.output_size(made.patch[0]) > 0
    assert made.stride[0] <= net.output_size(made.patch[0])


def test_a_random_plan_counts_the_batches_asked_for():
    made = untried(UNet(depth=1, width=2), [(100, 100)], patch=(50, 50), batch=4, batches=10)
    assert (made.patches, made.on_grid) == (40, False)
    assert made.mean_coverage == 10
    assert "at random" in str(made)


sides = st.tuples(st.integers(8, 60), st.integers(8, 60))


@examples(25)
@given(st.lists(sides, min_size=1, max_size=3), sides, st.integers(1, 20))
def test_as_many_patches_as_the_sampler_lays(shapes, patch, stride):
    net = nn.Conv2d(1, 2, 3, padding=1)
    made = untried(net, shapes, patch=patch, stride=stride, batch=1)
    samples = [Sample(np.zeros((1, *s), np.float32), np.zeros(s, np.uint8)) for s in shapes]
    assert made.batches == len(PatchSampler(samples, patch, 1, sampling="grid", stride=stride))


def test_with_a_trial():
    made = plan(UNet(depth=1, width=2), pairs(), patch=(16, 16), batch=2, batches=3, epochs=2, device="cpu",
                validation=pairs(((32, 32),)))  # fmt: skip
    assert made.watched == ((32, 32),)
    assert made.forecast.patches == 6
    assert made.forecast.total_s > made.forecast.epoch_s > made.forecast.step_s > 0
    text = str(made)
    for word in ("set-up", "per epoch", "2 epochs", "host memory", "validation"):
        assert word in text
    assert json.loads(json.dumps(made.to_dict()))["forecast"]["patches"] == 6
    assert made.settings() == {"patch": (16, 16), "batch": 2, "batches": 3, "epochs": 2}


def test_heads_can_be_planned_for():
    made = plan(UNet(depth=1, width=2, heads=("distance", "affinity")), [(32, 32)], batches=2, device="cpu", batch=1)
    assert made.forecast.step_s > 0


def test_a_limit_is_kept():
    net = UNet(depth=1, width=16)
    one = plan(net, [(128, 128)], patch=(128, 128), batch=1, batches=1, epochs=1, device="cpu")
    limit = one.forecast.host_bytes + 200 * 2**20
    made = plan(net, [(128, 128)], patch=(128, 128), batches=1, epochs=1, device="cpu", memory_limit=limit)
    assert 1 < made.batch < 30  # a patch keeps 15 MiB at the least
    assert made.forecast.host_bytes <= limit
    assert made.memory_bytes == limit


def test_a_limit_that_nothing_keeps():
    for more in ({}, {"patch": (32, 32)}, {"batch": 4}, {"patch": (32, 32), "batch": 4}):
        with pytest.raises(TrainingError, match=r"limit is 10 MiB.*lower the width"):
            plan(UNet(depth=1, width=2), [(64, 64)], memory_limit="10 MiB", device="cpu", **more)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "no images to plan with"), ("folder", "cannot plan with a str"), ([3], "list of int"),
        ([(8, 8, 8)], "2 spatial axes"),
        ([(np.zeros((2, 8, 8)), np.zeros((8, 8), np.uint8))], "axes|channel"),
    ],
)  # fmt: skip
def test_nothing_to_plan_with(data, said):
    with pytest.raises(TrainingError, match=said):
        untried(UNet(depth=1, width=1), data)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"patch": (15, 16)}, "multiple of 2"), ({"stride": 0}, "at least 1"), ({"stride": (1, 2, 3)}, "for each axis"),
        ({"batch": 0}, "at least 1"), ({"epochs": -1}, "at least 0"), ({"memory_limit": "much"}, "such as '4GB'"),
    ],
)  # fmt: skip
def test_wrong_wishes(more, said):
    with pytest.raises(TrainingError, match=said):
        untried(
            UNet(depth=1, width=1), [(32, 32)], **{"memory_limit": None} | more
        ) if "memory_limit" not in more else (plan(UNet(depth=1, width=1), [(32, 32)], device="cpu", **more))


def test_of_a_dataset(data):
    folder = fb.Dataset.from_patterns(
        data / "cornea_alizarine", image="*_image.png", labels="{name}_labels.tif", region="{name}_roi.png",
        split={"test": ["15"], "validation": ["18"]},
    )  # fmt: skip
    net = UNet(depth=1, width=2)
    from fijibridge.nn.traits import traits

    source = source_of(folder, (), traits(net))
    assert source.shapes == [(576, 768)] * 16
    assert source.watched == [(576, 768)]
    assert 0.15 < source.known < 0.45  # annotated in 20-41 % of the frame
    made = plan(net, folder, patch=(64, 64), batch=2, batches=3, epochs=1, device="cpu")
    assert made.forecast.host_bytes > source.bytes(traits(net)) > 16 * 576 * 768 * 4


def test_command_line(data, python):
    done = python(
        f"""
        import sys
        from fijibridge.app.cli import main
        sys.argv = ["fijibridge", "plan", {str(data / "cornea_alizarine")!r}, "--image=*_image.png",
                    "--labels=*_labels.tif", "--region=*_roi.png", "--depth=1", "--channels=2", "--patch=64",
                    "--stride=32", "--json", "--no-probe"]
        main()
        """
    )
    told = json.loads(done.stdout)
    assert (told["patch"], told["stride"], told["coverage_area"]) == ([64, 64], [32, 32], 4.0)
    assert told["batches"] == math.ceil(18 * 17 * 23 / 8)


def test_memory_bytes_had_the_name_memory():
    made = untried(UNet(depth=1, width=2), [(32, 32)])
    with pytest.warns(RenamedWarning, match="Plan.memory was renamed to Plan.memory_bytes"):
        assert made.memory == made.memory_bytes
    assert made.to_dict()["memory"] == made.memory_bytes
