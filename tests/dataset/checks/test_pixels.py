from __future__ import annotations

import tifffile

from tests.dataset.checks.conftest import labels_of, looked_at, the


def test_shapes_that_do_not_fit(folder):
    tifffile.imwrite(folder / "a_labels.tif", labels_of(folder)[:-1])
    finding = the(looked_at(folder), "the labels file has")
    assert (finding.severity, finding.item, finding.file) == ("problem", "a", "a_labels.tif")
    assert finding.what == "the labels file has 63 (y) x 80 (x) pixels, but the image has 64 (y) x 80 (x)"
