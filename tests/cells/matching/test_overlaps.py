from __future__ import annotations

import numpy as np
import pytest
import zarr

from fijibridge.cells.matching import overlaps
from fijibridge.cells.matching.matches import match_labels
from fijibridge.errors import ImageError
from fijibridge.image import as_image


def test_volume_on_disk_is_counted_slab_by_slab(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    true, pred = rng.integers(0, 9, (2, 17, 20, 21)).astype(np.uint16)
    region = rng.random(true.shape) < 0.7
    arrays = {"true": true, "pred": pred, "region": region}
    stored = {}
    for name, array in arrays.items():
        stored[name] = zarr.create_array(tmp_path / name, shape=array.shape, dtype=array.dtype, chunks=(4, 8, 8))
        stored[name][:] = array
    monkeypatch.setattr(overlaps, "_SLAB", 3 * 20 * 21)
    lazy = {name: as_image(array) for name, array in stored.items()}
    assert match_labels(lazy["true"], lazy["pred"], thresh=0.05, region=lazy["region"]) == match_labels(
        true, pred, thresh=0.05, region=region
    )


def test_ids_of_any_size():
    true = np.array([[2**63 - 1, 2**63 - 1, 0, 5]], np.uint64)
    assert match_labels(true, true).pairs == ((5, 5), (2**63 - 1, 2**63 - 1))
    with pytest.raises(ImageError, match="above 2"):
        match_labels(true + np.uint64(1), true)
