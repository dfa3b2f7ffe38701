from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from fijibridge.errors import DatasetError
from fijibridge.files import read_image
from fijibridge.image import pixel_size, unit

WHOLE = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


def write_hdf5(path):
    with h5py.File(path, "w") as file:
        raw = file.create_dataset("volumes/raw", data=WHOLE, chunks=(1, 16, 16))
        raw.attrs["element_size_um"] = (0.235, 0.15, 0.1)
        file["label"] = WHOLE
        file["yxc"] = np.zeros((8, 9, 3), np.uint8)
        file["yxc"].attrs["axistags"] = '{"axes": [{"key": "y"}, {"key": "x"}, {"key": "c"}]}'
        file["words"] = "no image"
    return path


def test_hdf5(tmp_path):
    path = write_hdf5(tmp_path / "a.h5")
    image = read_image(f"{path}:/volumes/raw", lazy=True)
    assert image.dims == ("z", "y", "x")
    assert pixel_size(image) == {"z": 0.235, "y": 0.15, "x": 0.1}
    assert unit(image) == "um"
    assert (image[2, ::3, 5:].values == WHOLE[2, ::3, 5:]).all()
    assert (read_image(path, key="label").values == WHOLE).all()
    assert read_image(path, key="yxc").dims == ("c", "y", "x")
    with pytest.raises(
        DatasetError, match=r"contains 3 arrays .*/label \(3, 40, 50\), /volumes/raw .*name one, such as 'a\.h5:/raw'"
    ):
        read_image(path)
    for key in ("no", "words", "volumes"):
        with pytest.raises(DatasetError, match=f"has no numeric array '/{key}'"):
            read_image(path, key=key)


def test_no_link_leads_out_of_an_hdf5(tmp_path):
    outside = write_hdf5(tmp_path / "outside.h5")
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["external"] = h5py.ExternalLink(str(outside), "/label")
        file["soft"] = h5py.SoftLink("/external")
        file["group"] = h5py.ExternalLink(str(outside), "/volumes")
        file["loop"] = h5py.SoftLink("/loop")
        file["inside"] = h5py.SoftLink("/real")
        file["real"] = WHOLE
        layout = h5py.VirtualLayout(WHOLE.shape, WHOLE.dtype)
        layout[:] = h5py.VirtualSource(str(outside), "label", WHOLE.shape)
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("bytes", (8, 9), "u1", external=[(str(outside), 0, 72)])
    for key in ("external", "soft", "group/raw", "loop", "virtual", "bytes"):
        with pytest.raises(DatasetError, match=r"link|are in other files|belong to other arrays"):
            read_image(path, key=key)
    assert (read_image(path, key="inside").values == WHOLE).all()


@pytest.mark.parametrize("way", ["storage", "link", "twice"])
def test_no_virtual_array_leads_out_of_an_hdf5(tmp_path, way):
    """A virtual array of an array of this file, whose own pixels lie elsewhere."""
    outside = write_hdf5(tmp_path / "outside.h5")

    def virtual(file, name, source):
        layout = h5py.VirtualLayout((8, 9), "u1")
        layout[:] = h5py.VirtualSource(".", source, (8, 9))
        file.create_virtual_dataset(name, layout)

    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        if way == "link":
            file["there"] = h5py.ExternalLink(str(outside), "/label")
        else:
            file.create_dataset("there", (8, 9), "u1", external=[(str(outside), 0, 72)])
        virtual(file, "between", "there")
        virtual(file, "raw", "between" if way == "twice" else "there")
    with pytest.raises(DatasetError, match=r"belong to other arrays .*copy them into this file"):
        read_image(path, key="raw")


@pytest.mark.timeout(60)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are of POSIX systems")
def test_what_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["out"] = h5py.ExternalLink("pipe.h5", "/raw")
    for path in ("a.tif", "a.h5:/out"):
        with pytest.raises(DatasetError, match=r"does not exist|is a link"):
            read_image(f"{tmp_path / path}")


def test_real_hdf5(data):
    path = data / "ovule3d" / "sample_ovule.h5"
    for key, twin in (("raw", "sample_ovule_raw.tif"), ("label", "sample_ovule_labels.tif")):
        image = read_image(path, key=key)
        assert (image.values == read_image(data / "ovule3d" / twin).values).all()
        assert pixel_size(image) == {"z": 0.235, "y": 0.15, "x": 0.15}
