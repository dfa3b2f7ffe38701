from __future__ import annotations

import builtins
import json
import os
import pickle
import re
import struct
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given
from hypothesis import strategies as st
from skimage.io import imsave

from fijibridge.errors import DatasetError
from fijibridge.files import read_image, split_key
from fijibridge.files.lazy_array import OnDisk
from fijibridge.image import origin, pixel_size, unit

WHOLE = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


def slices(length):
    bounds = st.one_of(st.none(), st.integers(-length - 2, length + 2))
    return st.one_of(
        st.builds(slice, bounds, bounds, st.sampled_from([None, 1, 2, 3, -1, -2])), st.integers(-length, length - 1)
    )


@given(st.tuples(slices(4), slices(5)))
def test_a_box_is_read_and_the_rest_is_numpys(index):
    array, asked = np.arange(20).reshape(4, 5), []

    def read(box):
        asked.append(box)
        return array[box]

    pixels = OnDisk((4, 5), array.dtype, read)
    expected = array[index]
    assert np.array_equal(pixels[index], expected)
    assert np.array_equal(pixels[..., index[1]], array[..., index[1]])
    assert all(s.step is None and 0 <= s.start <= s.stop for s in asked[0])


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
        DatasetError, match=r"holds 2 images of shapes \(3, 40, 50\), \(2, 40, 50\).*save each as a file"
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


@pytest.mark.parametrize("channels", [0, 3, 4])
def test_pictures_are_known_by_their_header(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, channels) if channels else (20, 30)).astype(np.uint8)
    imsave(tmp_path / "a.png", pixels, check_contrast=False)
    image = read_image(tmp_path / "a.png", lazy=True)
    assert image.shape == ((3, 20, 30) if channels else (20, 30))
    assert (image.values == read_image(tmp_path / "a.png").values).all()


def write_ome_zarr(path, version):
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    array = group.create_array("0", shape=(2, *WHOLE.shape), dtype="u2", chunks=(1, 1, 16, 16))
    array[:] = np.stack([WHOLE, WHOLE + 1])
    axes = [{"name": "c", "type": "channel"}] + [{"name": d, "type": "space", "unit": "micrometer"} for d in "zyx"]
    steps = [
        {"type": "scale", "scale": [1, 2, 0.5, 0.25]},
        {"type": "translation", "translation": [0, 0, 1, 2]},
    ]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    metadata = {"multiscales": scales, "omero": {"channels": [{"label": "a"}, {"label": "b"}]}}
    group.attrs.update(metadata if version == "0.4" else {"ome": {"version": "0.5", **metadata}})
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr(tmp_path, version):
    path = write_ome_zarr(tmp_path / "a.ome.zarr", version)
    image = read_image(path, lazy=True)
    assert image.dims == ("c", "z", "y", "x")
    assert pixel_size(image) == {"z": 2, "y": 0.5, "x": 0.25}
    assert origin(image) == {"z": 0, "y": 1, "x": 2}
    assert unit(image) == "um"
    assert image.coords["c"].values.tolist() == ["a", "b"]
    assert (image[1, 2, 3:20, 4].values == WHOLE[2, 3:20, 4] + 1).all()
    assert (read_image(f"{path}:/0").values == image.values).all()
    with pytest.raises(DatasetError, match="leaves it"):
        read_image(f"{path}:/../b")
    with pytest.raises(DatasetError, match="holds nothing"):
        read_image(f"{path}:/7")


def test_an_image_inside_of_a_zarr(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w").create_group("labels/cells")
    group.create_array("0", data=WHOLE[0])
    axes = [{"name": d, "type": "space", "unit": "nanometer"} for d in "yx"]
    steps = [{"type": "scale", "scale": [3, 4]}]
    scales = [{"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}]
    group.attrs["ome"] = {"version": "0.5", "multiscales": scales}
    image = read_image(tmp_path / "a.zarr", key="labels/cells")
    assert (pixel_size(image), unit(image)) == ({"y": 3, "x": 4}, "nm")
    with pytest.raises(DatasetError, match=r"holds the arrays labels/cells/0: say which, 'a\.zarr:/labels/cells/0'"):
        read_image(tmp_path / "a.zarr")


def test_no_link_leads_out_of_a_zarr(tmp_path):
    secret = write_ome_zarr(tmp_path / "secret.zarr", "0.4") / "0" / "0.0.0.0"
    path = write_ome_zarr(tmp_path / "a.zarr", "0.4")
    chunk = path / "0" / "0.0.0.0"
    chunk.unlink()
    chunk.symlink_to(secret)
    image = read_image(path, lazy=True)
    assert (image[0, 1].values == WHOLE[1]).all()
    with pytest.raises(DatasetError, match=r"0\.0\.0\.0.*leads out of it"):
        read_image(path)


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (builtins.open, (self.path, "w"))


def test_a_zarr_that_would_run_code_is_refused(tmp_path):
    path, made = tmp_path / "a.zarr", tmp_path / "made"
    path.mkdir()
    for name, compressor, filters, dtype in (
        ("0", {"id": "pickle"}, None, "|u1"),
        ("1", None, [{"id": "pickle"}], "|O"),
    ):
        array = {"zarr_format": 2, "shape": [4, 4], "chunks": [4, 4], "dtype": dtype, "compressor": compressor,
                 "filters": filters, "fill_value": 0, "order": "C"}  # fmt: skip
        (path / name).mkdir()
        (path / name / ".zarray").write_text(json.dumps(array))
        (path / name / "0.0").write_bytes(pickle.dumps(Touch(made)))
        (path / ".zgroup").write_text('{"zarr_format": 2}')
        with pytest.raises(DatasetError):
            read_image(f"{path}:/{name}")
        assert not made.exists()


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
        DatasetError, match=r"several arrays.*/label \(3, 40, 50\), /volumes/raw .*say which: 'a\.h5:/raw'"
    ):
        read_image(path)
    for key in ("no", "words", "volumes"):
        with pytest.raises(DatasetError, match=f"has no array of numbers '/{key}'"):
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
        with pytest.raises(DatasetError, match=r"link|lie in other files|those of other arrays"):
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
    with pytest.raises(DatasetError, match=r"those of other arrays .*copy them into this one"):
        read_image(path, key="raw")


@pytest.mark.timeout(60)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are of POSIX systems")
def test_what_never_ends_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "a.tif")
    os.mkfifo(tmp_path / "pipe.h5")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["out"] = h5py.ExternalLink("pipe.h5", "/raw")
    for path in ("a.tif", "a.h5:/out"):
        with pytest.raises(DatasetError, match=r"no file|is a link"):
            read_image(f"{tmp_path / path}")


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
        with pytest.raises(DatasetError, match=r"takes pixels from '\.\./secret"):
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
    with pytest.raises(DatasetError, match=r"takes pixels from '\.\./secret"):
        read_image(own)


def test_formats_that_need_the_extra_say_so(tmp_path, monkeypatch):
    path = tmp_path / "a.czi"
    path.write_bytes(b"ZISRAWFILE")
    monkeypatch.setitem(sys.modules, "bioio", None)
    with pytest.raises(DatasetError, match=r"pip install 'fijibridge\[readers\]'"):
        read_image(path)


def test_a_format_without_a_plugin(tmp_path):
    pytest.importorskip("bioio")
    (tmp_path / "a.lif").write_bytes(b"no")
    with pytest.raises(DatasetError, match="bioio-lif"):
        read_image(tmp_path / "a.lif")


def test_where_a_path_in_a_file_begins():
    assert split_key("a/b.h5:/c/d") == (Path("a/b.h5"), "/c/d")
    assert split_key(Path("C:/a.tif")) == (Path("C:/a.tif"), None)
    assert split_key("C:/a.h5:/b") == (Path("C:/a.h5"), "/b")


def test_parts_of_what_has_none(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", WHOLE, photometric="minisblack")
    with pytest.raises(DatasetError, match="has no parts"):
        read_image(f"{tmp_path / 'a.tif'}:/raw")
    with pytest.raises(DatasetError, match="is a folder"):
        read_image(tmp_path)


def test_real_files_of_microscopes(data):
    pytest.importorskip("bioio_czi")
    image = read_image(data / "mdck_zo1" / "wt_Zo_1_5.czi")
    assert (image.values == read_image(data / "mdck_zo1" / "wt_Zo_1_5_image.tif").values).all()
    assert pixel_size(image) == pytest.approx({"y": 0.10238, "x": 0.10238}, rel=1e-4)
    part = read_image(data / "mdck_zo1" / "wt_Zo_1_5.czi", lazy=True)[100:120, 7]
    assert (part.values == image.values[100:120, 7]).all()


def test_real_hdf5(data):
    path = data / "ovule3d" / "sample_ovule.h5"
    for key, twin in (("raw", "sample_ovule_raw.tif"), ("label", "sample_ovule_labels.tif")):
        image = read_image(path, key=key)
        assert (image.values == read_image(data / "ovule3d" / twin).values).all()
        assert pixel_size(image) == {"z": 0.235, "y": 0.15, "x": 0.15}
