from __future__ import annotations

import json
import re
import struct

import numpy as np
import pytest
import tifffile

from fijibridge.errors import DatasetError
from fijibridge.files import read_image
from fijibridge.image import pixel_size, unit

WHOLE = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


@pytest.mark.parametrize("write", ["plain", "tiled", "imagej", "deflated"])
def test_a_part_of_a_tiff(tmp_path, write):
    options = {
        "plain": {}, "tiled": {"tile": (16, 16)}, "imagej": {"imagej": True}, "deflated": {"compression": "deflate"},
    }[write]  # fmt: skip
    tifffile.imwrite(tmp_path / "a.tif", WHOLE, photometric="minisblack", **options)
    image = read_image(tmp_path / "a.tif", "zyx", lazy=True)
    assert hasattr(image.data, "dask")
    assert (image[1, 5:9, ::7].values == WHOLE[1, 5:9, ::7]).all()
    assert (image.values == read_image(tmp_path / "a.tif", "zyx").values).all()


def test_pages_written_one_by_one_are_a_stack(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for plane in WHOLE:
            file.write(plane)
    image = read_image(tmp_path / "a.tif", lazy=True)
    assert (image.dims, image.shape, image.dtype) == (("z", "y", "x"), WHOLE.shape, WHOLE.dtype)
    assert (image[1:, 3:7, ::2].values == WHOLE[1:, 3:7, ::2]).all()
    assert (read_image(tmp_path / "a.tif", "tyx").values == WHOLE).all()


@pytest.mark.parametrize("ome", [True, False])
def test_several_images_in_a_tiff_are_refused(tmp_path, ome):
    path = tmp_path / ("a.ome.tif" if ome else "a.tif")
    with tifffile.TiffWriter(path, ome=ome) as file:
        file.write(WHOLE, photometric="minisblack", metadata={"axes": "ZYX"})
        file.write(WHOLE[:2], photometric="minisblack", metadata={"axes": "ZYX"})
    with pytest.raises(
        DatasetError,
        match=r"contains 2 images of shapes \(3, 40, 50\), \(2, 40, 50\).*save each image to a separate file",
    ):
        read_image(path)


def test_what_lies_beside_an_image_in_a_tiff_is_left_out(tmp_path):
    """A thumbnail, a picture of the slide's label, and smaller levels of a pyramid."""
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(WHOLE, photometric="minisblack")
        file.write(WHOLE[0, ::4, ::4].copy(), subfiletype=1)
    with tifffile.TiffWriter(tmp_path / "b.ome.tif") as file:
        file.write(WHOLE, subifds=1, metadata={"axes": "ZYX"})
        file.write(WHOLE[:, ::2, ::2], subfiletype=1)
        file.write(WHOLE[0, :9, :8], metadata={"axes": "YX", "Name": "label image"})
    for name in ("a.tif", "b.ome.tif"):
        assert (read_image(tmp_path / name).values == WHOLE).all()


def test_of_a_set_of_ome_tiffs_each_is_the_image_in_it(tmp_path):
    ids = {n: f"urn:uuid:00000000-0000-0000-0000-00000000000{n}" for n in range(2)}
    images = "".join(
        f'<Image ID="Image:{n}" Name="{n}"><Pixels ID="Pixels:{n}" DimensionOrder="XYZCT" Type="uint16" SizeX="50" '
        f'SizeY="40" SizeZ="1" SizeC="1" SizeT="1"><Channel ID="Channel:{n}:0" SamplesPerPixel="1"/>'
        f'<TiffData IFD="0" PlaneCount="1"><UUID FileName="{n}.ome.tif">{uuid}</UUID></TiffData></Pixels></Image>'
        for n, uuid in ids.items()
    )
    for n, uuid in ids.items():
        xml = f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">{images}</OME>'
        tifffile.imwrite(tmp_path / f"{n}.ome.tif", WHOLE[n].astype(np.uint16), description=xml, metadata=None)
    for n in ids:
        assert (read_image(tmp_path / f"{n}.ome.tif").values == WHOLE[n]).all()


def test_small_pages_are_read_together(tmp_path):
    stack = np.arange(1000 * 64 * 64, dtype=np.uint16).reshape(1000, 64, 64)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", compression="deflate")
    image = read_image(tmp_path / "a.tif", "zyx", lazy=True)
    assert image.data.npartitions == 4
    assert (image[[3, 999]].values == stack[[3, 999]]).all()


def write_ome_that_names(path, name, planes=WHOLE[0]):
    """Write an OME-TIFF whose metadata say that its pixels lie in another file."""
    tifffile.imwrite(path, planes, metadata={"axes": "YX"})
    with tifffile.TiffFile(path) as file:
        xml = file.ome_metadata
    uuid = f'<UUID FileName="{name}">urn:uuid:0</UUID></TiffData>'
    bad = xml.replace("/>", ">", 1).replace("</Pixels>", f"{uuid}</Pixels>") if "<TiffData" not in xml else (
        re.sub(r"<TiffData([^>]*?)/>", rf"<TiffData\1>{uuid}", xml, count=1)
    )  # fmt: skip
    tifffile.imwrite(path, planes, description=bad.encode(), metadata=None)
    return path


@pytest.fixture
def beside_a_secret(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "secret.ome.tif", WHOLE[1], metadata={"axes": "YX"})
    return folder


@pytest.mark.parametrize("name", ["../secret.ome.tif", "&#46;&#46;/secret.ome.tif", "&#x2e;./secret.ome.tif"])
def test_an_ome_tiff_takes_no_pixels_from_elsewhere(beside_a_secret, name):
    path = write_ome_that_names(beside_a_secret / "b.ome.tif", name)
    for lazy in (False, True):
        with pytest.raises(DatasetError, match=r"refers to pixels in '\.\./secret"):
            read_image(path, lazy=lazy)


def test_an_ome_tiff_follows_no_link_out_of_its_folder(beside_a_secret):
    (beside_a_secret / "link.ome.tif").symlink_to(beside_a_secret.parent / "secret.ome.tif")
    path = write_ome_that_names(beside_a_secret / "b.ome.tif", "link.ome.tif")
    with pytest.raises(DatasetError, match=r"outside its own folder"):
        read_image(path)


def test_an_ome_tiff_takes_pixels_from_its_own_folder(beside_a_secret):
    tifffile.imwrite(beside_a_secret / "c.ome.tif", WHOLE[2], metadata={"axes": "YX"})
    path = write_ome_that_names(beside_a_secret / "b.ome.tif", "c.ome.tif")
    assert (read_image(path).values == WHOLE[2]).all()


def write_ndtiff(path, name):
    """Write a TIFF as Micro-Manager's second version of NDTiff marks it, and an index that names one file."""
    metadata = json.dumps({"Summary": 1}).encode()
    # behind the header of the TIFF
    mark = struct.pack("<IIII", 483729, 2, 2355492, len(metadata)) + metadata
    body = WHOLE[0].tobytes()
    tags = [(256, 4, 50), (257, 4, 40), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 0), (277, 3, 1), (278, 4, 40),
            (279, 4, len(body)), (51123, 2, 24)]  # fmt: skip
    offset = 8 + len(mark)
    ifd = offset + len(body)
    entries = b"".join(
        struct.pack("<HHII", t, k, len(metadata) if t == 51123 else 1, offset if t == 273 else v) for t, k, v in tags
    )
    path.write_bytes(
        struct.pack("<2sHI", b"II", 42, ifd) + mark + body + struct.pack("<H", len(tags)) + entries + bytes(4)
    )
    axes = json.dumps({"z": 0}).encode()
    entry = struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name.encode()
    entry += struct.pack("<IIIIIIII", offset, 50, 40, 1, 0, 0, 0, 0)
    (path.parent / "NDTiff.index").write_bytes(entry)
    return path


def test_an_index_of_micro_manager_takes_no_pixels_from_elsewhere(beside_a_secret):
    own = write_ndtiff(beside_a_secret / "a.tif", "a.tif")
    with tifffile.TiffFile(own) as file:
        assert file.is_ndtiff
    assert (read_image(own).values == WHOLE[0]).all()
    write_ndtiff(beside_a_secret / "a.tif", "../secret.ome.tif")
    with pytest.raises(DatasetError, match=r"refers to pixels in '\.\./secret"):
        read_image(own)


def test_ome_tiff(tmp_path):
    metadata = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.5,
        "PhysicalSizeXUnit": "\u00b5m",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeZ": 2,
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((3, 4, 5), np.uint16), metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif")
    assert pixel_size(image) == {"z": 2.0, "y": 0.5, "x": 0.5}
    assert unit(image) == "um"


def test_real_files(data):
    stack = read_image(data / "ovule3d" / "sample_ovule_raw.tif")
    assert stack.dims == ("z", "y", "x")
    assert stack.shape == (32, 128, 128)
