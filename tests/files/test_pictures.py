from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imsave

from fijibridge.files import read_image


@pytest.mark.parametrize("channels", [0, 3, 4])
def test_pictures_are_known_by_their_header(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, channels) if channels else (20, 30)).astype(np.uint8)
    imsave(tmp_path / "a.png", pixels, check_contrast=False)
    image = read_image(tmp_path / "a.png", lazy=True)
    assert image.shape == ((3, 20, 30) if channels else (20, 30))
    assert (image.values == read_image(tmp_path / "a.png").values).all()
