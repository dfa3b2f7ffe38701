from __future__ import annotations

import numpy as np
import pytest

from fijibridge.cells.segmentation import parameters as segmentation_parameters
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import ImageError, RenamedWarning
from fijibridge.image import as_image


def grid(n: int = 4, side: int = 10) -> np.ndarray:
    """n x n square cells between 1 px wide membranes."""
    prob = np.zeros((n * side + 1, n * side + 1))
    prob[::side], prob[:, ::side] = 1, 1
    return prob


@pytest.mark.parametrize("own", ["um", "\u00b5m", "\u03bcm", "micron", "microns"])
@pytest.mark.parametrize("asked", ["um", "\u00b5m", "\u03bcm", "micron"])
def test_micrometres_have_many_names(own, asked):
    image = as_image(grid(), pixel_size=0.5, unit=own)
    plain = as_image(grid(), pixel_size=0.5, unit="um")
    cells = label_cells(image, "threshold", min_size=20, unit=f"{asked}2")
    assert cells.values.max() == label_cells(plain, "threshold", min_size=20, unit="um2").values.max() == 16
    assert label_cells(image, "threshold", min_size=25, unit=f"{asked}2").values.max() == 0
    wide = membrane_target(cells, 2, max_gap=3, unit=asked)
    assert (wide.values == membrane_target(cells, 4, max_gap=6).values).all()


@pytest.mark.parametrize("threshold", [5, -0.1, np.nan])
def test_a_threshold_is_a_probability(threshold):
    with pytest.raises(ImageError, match="threshold is"):
        label_cells(grid(), "threshold", threshold=threshold)


def test_sizes_in_micrometres():
    prob = as_image(grid(4, 10), pixel_size=0.5, unit="um")  # cells of 81 px, 20.25 um2
    assert label_cells(prob, "threshold", min_size=20.2, unit="um2").max() == 16
    assert label_cells(prob, "threshold", min_size=20.3, unit="um2").max() == 0
    assert label_cells(prob, "threshold", max_size=20.2, unit="um2").max() == 0
    volume = as_image(np.zeros((4, 5, 6)), pixel_size={"z": 2, "y": 0.5, "x": 0.5}, unit="um")
    assert label_cells(volume, "threshold", min_size=59.9, unit="um3").max() == 1
    assert label_cells(volume, "threshold", min_size=60.1, unit="um3").max() == 0
    for image, wrong, words in (
        (prob.values, "um2", "need a pixel size"),
        (prob, "um3", "use 'um2'"),
        (volume, "nm3", "use 'um3'"),
    ):
        with pytest.raises(ImageError, match=words):
            label_cells(image, "threshold", unit=wrong)


@pytest.mark.parametrize(
    ("method", "parameters", "words"),
    [
        ("threshold", {"sigma": 1}, "sigma is not a parameter of the method 'threshold', which has threshold"),
        ("watershed", {"beta": 0.5}, "beta is not a parameter"),
        ("agglomeration", {"beta": 1.5}, "beta is 1.5"),
        ("seeded", {"sigma": -1}, "sigma is -1"),
        ("seeded", {"h": np.nan}, "h is nan"),
        ("threshold", {"grow": -1}, "grow is -1"),
        ("threshold", {"min_size": 10, "max_size": 5}, "max_size is 5; expected at least min_size"),
        ("threshold", {"edge_cells": "cut"}, "edge_cells is 'cut'"),
    ],
)
def test_parameters_out_of_range_or_place(method, parameters, words):
    with pytest.raises(ImageError, match=words):
        label_cells(grid(), method, **parameters)


def test_old_names_of_the_parameters():
    with pytest.warns(RenamedWarning, match="make_recipe was renamed to fijibridge.cells.segmentation.parameters.make"):
        recipe = segmentation_parameters.make_recipe(grid(), "watershed")
    assert recipe == segmentation_parameters.make_parameters(grid(), "watershed")
