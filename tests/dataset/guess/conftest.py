from __future__ import annotations

import pytest

import fijibridge as fb
from fijibridge.files import write_image


@pytest.fixture(scope="module")
def tissues():
    return [fb.synthetic_epithelium((96, 112), cell_size=20, photons=400, seed=seed) for seed in range(2)]


def write(folder, tissues, image="{}_image.tif", labels="{}_labels.tif"):
    for name, tissue in zip("ab", tissues, strict=True):
        for text, array in ((image, tissue.image), (labels, tissue.labels)):
            path = folder / text.format(name)
            path.parent.mkdir(exist_ok=True)
            write_image(array, path)
    return folder
