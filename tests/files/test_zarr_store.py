from __future__ import annotations

import pytest

from fijibridge.errors import DatasetError
from fijibridge.files import read_image
from tests.files.test_ome_zarr import WHOLE, write_ome_zarr


def test_no_link_leads_out_of_a_zarr(tmp_path):
    secret = write_ome_zarr(tmp_path / "secret.zarr", "0.4") / "0" / "0.0.0.0"
    path = write_ome_zarr(tmp_path / "a.zarr", "0.4")
    chunk = path / "0" / "0.0.0.0"
    chunk.unlink()
    chunk.symlink_to(secret)
    image = read_image(path, lazy=True)
    assert (image[0, 1].values == WHOLE[1]).all()
    with pytest.raises(DatasetError, match=r"0\.0\.0\.0.*points outside this folder"):
        read_image(path)
