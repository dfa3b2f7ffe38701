"""Images that pyimagej returns, wherever fijibridge takes an image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.cells.corrections import drawn_cells
from fijibridge.files import read_image, write_image
from fijibridge.image import in_order
from tests.image.test_axes import of_pyimagej, same


@pytest.fixture(scope="module")
def tissue():
    """Not square, so that exchanged axes are seen."""
    return fb.synthetic_epithelium((70, 90), cell_size=20, seed=3)


@pytest.fixture(scope="module")
def prob(tissue):
    membrane = fb.membrane_target(tissue.labels, membrane_width=3).astype(np.float32) * 0.9
    both = xr.concat([1 - membrane, membrane], "c").assign_coords(c=["other", "membrane"])
    return fb.as_image(both)


CALLS = {
    "label_cells": lambda t: fb.label_cells(t["prob"], "threshold", membrane=1),
    "label_cells_tiled": lambda t: fb.label_cells_tiled(t["prob"], "threshold", membrane=1, tile=64),
    "grow_labels": lambda t: fb.grow_labels(t["labels"]),
    "split_parts": lambda t: fb.split_parts(t["labels"]),
    "labels_from_membranes": lambda t: fb.labels_from_membranes(t["mask"]),
    "membrane_target": lambda t: fb.membrane_target(t["labels"], membrane_width=3),
    "class_target": lambda t: fb.class_target(t["labels"]),
    "distance_target": lambda t: fb.distance_target(t["labels"]),
    "affinity_target": lambda t: fb.affinity_target(t["labels"], [(0, -1)]),
    "weight_map": lambda t: fb.weight_map(t["labels"], target=t["mask"]),
    "class_weights": lambda t: fb.class_weights(t["mask"]),
    "downscale": lambda t: fb.downscale(t["image"], 2),
    "upscale": lambda t: fb.upscale(t["image"], 2),
    "labels_to_rois": lambda t: [r.to_bytes() for r in fb.labels_to_rois(t["labels"])],
    "drawn_cells": lambda t: drawn_cells(fb.labels_to_rois(t["labels"]), t["image"]),
    "match_labels": lambda t: fb.match_labels(t["labels"], t["cells"]).pairs,
    "match_labels with region": lambda t: fb.match_labels(t["plain labels"], t["cells"], region=t["mask"]).pairs,
    "compare_labels": lambda t: str(fb.compare_labels(t["labels"], t["cells"])),
    "changed_cells": lambda t: fb.changed_cells(t["labels"], t["cells"]).to_string(),
    "error_map": lambda t: fb.error_map(t["labels"], t["mask"], membrane_width=3),
    "diagnose": lambda t: fb.diagnose(t["labels"], t["cells"], prob=t["prob"], membrane=1).matching.pairs,
    "ceiling": lambda t: fb.ceiling([t["labels"]], factors=(2,), methods=("mean",)).to_string(),
    "rois": lambda t: fb.rois_to_labels(fb.labels_to_rois(t["labels"]), in_order(t["labels"]).shape),
}


@pytest.mark.parametrize("name", CALLS)
def test_whatever_takes_an_image_takes_one_of_pyimagej(tissue, prob, name):
    cells = fb.label_cells(prob, "threshold", membrane="membrane").rename("cells")
    mask = fb.membrane_target(tissue.labels, membrane_width=3)
    ours = {"image": tissue.image, "labels": tissue.labels, "prob": prob, "cells": cells, "mask": mask}
    ours |= {"plain labels": tissue.labels.values}
    theirs = {k: of_pyimagej(v) if isinstance(v, xr.DataArray) else v for k, v in ours.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, got = CALLS[name](ours), CALLS[name](theirs)
    if isinstance(expected, xr.DataArray | np.ndarray):
        same(got, expected)
    else:
        assert got == expected


def test_a_network_learns_from_and_predicts_what_pyimagej_gives(tissue, tmp_path):
    target = fb.membrane_target(tissue.labels, membrane_width=3)
    net = fb.UNet(depth=1, width=2)
    pairs = [(of_pyimagej(tissue.image), of_pyimagej(target))]
    run = fb.train(net, pairs, epochs=1, batches=1, batch=1, patch=(32, 48), seed=0)
    ours, theirs = (fb.predict(run.model, image) for image in (tissue.image, of_pyimagej(tissue.image)))
    same(theirs, ours)
    assert fb.plan(net, pairs, patch=(32, 48), probe=False).images == ((70, 90),)
    stack = fb.as_image(np.stack([tissue.image.values] * 2), "tyx", pixel_size={"y": 0.5, "x": 0.25})
    same(fb.predict(run.model, of_pyimagej(stack)), fb.predict(run.model, stack))


def test_files_and_training_sets_are_written_of_what_pyimagej_gives(tissue, tmp_path):
    write_image(of_pyimagej(tissue.image), tmp_path / "a.tif")
    same(read_image(tmp_path / "a.tif"), tissue.image)
    arrays = {"image": of_pyimagej(tissue.image), "labels": of_pyimagej(tissue.labels)}
    fb.save_dataset({"a": arrays}, tmp_path / "set", provenance="manual")
    item = fb.Dataset.open(tmp_path / "set")["a"]
    same(item.image(), tissue.image)
    np.testing.assert_array_equal(item.labels().values, tissue.labels.values)
