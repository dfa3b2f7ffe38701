from __future__ import annotations

import numpy as np
import pytest
import tifffile

from fijibridge.dataset import Dataset
from fijibridge.image import origin, pixel_size, unit
from tests.dataset.conftest import opened


def test_the_pixels_of_a_derived_image_follow_from_its_parent(folder):
    small = {"derived_from": {"item": "a_1", "downscale": 2}}

    def sizes(**files):
        dataset = opened(folder, pixel_size=0.5, unit="um", files=files)
        return [(pixel_size(i.image())["x"], unit(i.image())) for i in dataset]

    assert sizes(a_2=small) == [(0.5, "um"), (1.0, "um"), (0.5, "um")]
    assert sizes(a_2=small, **{"a_*": {"pixel_size": 0.2}}) == [(0.2, "um"), (0.4, "um"), (0.5, "um")]
    assert sizes(a_2=small, a_1={"pixel_size": 200, "unit": "nm"}) == [(200, "nm"), (400, "nm"), (0.5, "um")]
    assert sizes(a_2={**small, "pixel_size": 3}, a_1={"pixel_size": 0.2}) == [(0.2, "um"), (3, "um"), (0.5, "um")]
    chain = {"derived_from": {"item": "a_2", "downscale": 3}}
    assert sizes(a_2={**small, "pixel_size": 3}, b_1=chain) == [(0.5, "um"), (3, "um"), (9, "um")]
    assert sizes(a_2=small, b_1=chain) == [(0.5, "um"), (1, "um"), (3, "um")]
    elsewhere = {"derived_from": {"item": "elsewhere", "downscale": 4}}
    assert sizes(b_1=elsewhere) == [(0.5, "um"), (0.5, "um"), (2, "um")]


def test_a_crop_and_a_smaller_copy_know_their_place(tmp_path):
    whole = np.arange(60 * 90, dtype=np.float32).reshape(60, 90)
    crop = whole[6:54, 12:84]
    small = crop.reshape(16, 3, 24, 3).mean((1, 3))
    for name, array in (("whole", whole), ("crop", crop), ("small", small)):
        tifffile.imwrite(tmp_path / f"{name}.tif", array)
    dataset = Dataset.from_patterns(
        tmp_path, image="*.tif", pixel_size=0.5, unit="um",
        files={
            "crop": {"derived_from": {"item": "whole", "offset": {"y": 6, "x": 12}}},
            "small": {"derived_from": {"item": "crop", "downscale": 3}},
        },
    )  # fmt: skip
    read = {item.name: item.image() for item in dataset}
    assert (read["crop"].values == read["whole"].sel(y=read["crop"].y, x=read["crop"].x).values).all()
    assert pixel_size(read["small"]) == {"y": 1.5, "x": 1.5}
    expected = read["crop"].coarsen(y=3, x=3).mean()
    assert origin(read["small"]) == pytest.approx(origin(expected))
    assert np.allclose(read["small"].values, expected.values)
