from __future__ import annotations

import numpy as np
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset


def test_leaks_between_splits(tmp_path):
    for n in range(6):
        tifffile.imwrite(tmp_path / f"s_{n}.tif", np.full((8, 9), n, np.uint8) + np.eye(8, 9, dtype=np.uint8))

    def leaks(**fields):
        dataset = Dataset.from_patterns(tmp_path, image="*.tif", **fields)
        return [(f.severity, f.item) for f in fb.dataset.leaks(dataset)]

    names = "{source}_{position}"
    assert leaks(names=names) == []
    assert leaks(names=names, split={"test": ["s_4", "s_5"]}) == [("problem", "s_3, s_4")]
    assert leaks(names=names, split={"test": ["s_2"]}) == [("problem", "s_1, s_2"), ("problem", "s_2, s_3")]
    gap = {"test": ["s_5"], "validation": ["s_2"], "neighbours": 0}
    assert [severity for severity, _ in leaks(names=names, split=gap)] == ["note"]
    assert leaks(source="fly", split={"test": ["s_5"]}) == [("problem", "s_0, s_1, s_2, s_3, s_4 ... (6 in all)")]
    assert leaks(names="s_{position}", split={"test": ["s_4", "s_5"]}) == [("problem", "s_3, s_4")]
    crops = {f"s_{n}": {"derived_from": {"item": "elsewhere"}} for n in (1, 5)}
    assert leaks(files=crops, split={"test": ["s_5"]}) == [("problem", "s_1, s_5")]
    chain = {"s_1": {"derived_from": {"item": "s_0"}}, "s_2": {"derived_from": {"item": "s_1"}}}
    assert leaks(files=chain, split={"test": ["s_2"]}) == [("problem", "s_0, s_1, s_2")]
