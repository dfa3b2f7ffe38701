"""Pixel values are those in the file: no decoder narrows or rescales them, and transparency is left out everywhere."""

from __future__ import annotations

import json
import struct
import zlib
from itertools import product

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from fijibridge.errors import DatasetError
from fijibridge.files import content, read_image
from fijibridge.image import pixel_size, unit

GREY, COLORS, PALETTE, GREY_ALPHA, COLORS_ALPHA = 0, 2, 3, 4, 6


def png(path, depth, color, rows, palette=b""):
    """Write a PNG from packed rows: libraries write some of its types otherwise, or not at all."""
    width = len(rows[0]) * 8 // (depth * {GREY: 1, COLORS: 3, PALETTE: 1, GREY_ALPHA: 2, COLORS_ALPHA: 4}[color])

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, len(rows), depth, color, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + (chunk(b"PLTE", palette) if palette else b"")
        + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )  # fmt: skip
    return path


def test_a_thousand_ids_in_a_png_with_transparency(tmp_path):
    ids = np.arange(1, 1001, dtype=">u2").reshape(20, 50)
    both = np.stack([ids, np.full_like(ids, 65535)], axis=-1).astype(">u2")
    image = read_image(png(tmp_path / "a.png", 16, GREY_ALPHA, [row.tobytes() for row in both]))
    assert (image.dtype, image.dims) == (np.uint16, ("y", "x"))
    assert (image.values == ids).all()


@pytest.mark.parametrize("samples", [1, 3, 4])
def test_sixteen_bits_stay_sixteen_bits(tmp_path, samples):
    values = np.random.default_rng(0).integers(0, 65536, (6, 7, samples)).astype(">u2")
    color = {1: GREY, 3: COLORS, 4: COLORS_ALPHA}[samples]
    image = read_image(png(tmp_path / "a.png", 16, color, [row.tobytes() for row in values]))
    assert image.dtype == np.uint16
    assert (image.values == (values[..., 0] if samples == 1 else np.moveaxis(values[..., :3], -1, 0))).all()
    lazy = read_image(tmp_path / "a.png", lazy=True)
    assert (lazy[..., 2:4].values == image.values[..., 2:4]).all()


@pytest.mark.parametrize(("depth", "row", "values"), [
    (4, b"\x01\x2f", [0, 1, 2, 15]), (2, b"\x1b", [0, 1, 2, 3]), (1, b"\x53", [0, 255, 0, 255, 0, 0, 255, 255]),
])  # fmt: skip
def test_few_bits_are_values_not_shades(clean, tmp_path, depth, row, values):
    path = png(tmp_path / "a.png", depth, GREY, [row, row])
    assert read_image(path).values.tolist() == [values, values]
    clean.run_macro(f'open("{path}");')
    shown = clean.array()
    assert shown.tolist() == [[v // 255 if depth == 1 else v for v in values]] * 2


def test_a_palette_of_four_bits_keeps_its_numbers(tmp_path):
    palette = bytes([10, 20, 30, 40, 50, 60, 70, 80, 90, 1, 2, 3])
    path = png(tmp_path / "a.png", 4, PALETTE, [b"\x01\x23"] * 2, palette)
    assert read_image(path).values[:, 0].tolist() == [[10, 40, 70, 1], [20, 50, 80, 2], [30, 60, 90, 3]]
    assert content(path).as_numbers().pixels[...].tolist() == [[0, 1, 2, 3]] * 2


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_the_frames_of_an_animation_are_frames(tmp_path, suffix):
    shades = [Image.fromarray(np.full((6, 8), v, np.uint8)).convert("RGB") for v in (10, 100, 200)]
    shades[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=shades[1:], lossless=True)
    image = read_image(tmp_path / f"a{suffix}")
    assert image.dims == ("t", "c", "y", "x")
    assert image.values[:, 0, 0, 0].tolist() == [10, 100, 200]
    lazy = read_image(tmp_path / f"a{suffix}", lazy=True)
    assert lazy[1, 1, :2].values.tolist() == [[100] * 8] * 2


@pytest.mark.parametrize(
    ("suffix", "samples"),
    [*product((".tif", ".ome.tif", ".png"), (2, 3, 4)), (".czi", 3)],  # pylibCZIrw writes no transparency
)
def test_transparency_is_left_out_of_every_format(tmp_path, suffix, samples):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, samples)).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    if suffix == ".png":
        Image.fromarray(pixels, {2: "LA", 3: "RGB", 4: "RGBA"}[samples]).save(path)
    elif suffix == ".czi":
        from pylibCZIrw import czi

        with czi.create_czi(str(path)) as file:
            file.write(pixels[..., ::-1], plane={"C": 0})  # BGR
    else:
        about = {"axes": "YXS"} if "ome" in suffix else None
        alpha = {2: ["unassalpha"], 3: None, 4: ["unassalpha"]}[samples]
        kind = "minisblack" if samples == 2 else "rgb"
        tifffile.imwrite(path, pixels, photometric=kind, extrasamples=alpha, planarconfig="contig", metadata=about)
    image = read_image(path)
    assert image.dims == (("y", "x") if samples == 2 else ("c", "y", "x"))
    assert (image.values == (pixels[..., 0] if samples == 2 else np.moveaxis(pixels[..., :3], -1, 0))).all()
    if samples > 2:
        assert image.coords["c"].values.tolist() == ["red", "green", "blue"]


def test_a_fourth_channel_that_is_not_transparency_stays(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 4)).astype(np.uint8)
    tifffile.imwrite(
        tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig", extrasamples=["unspecified"] * 3
    )
    assert (read_image(tmp_path / "a.tif").values == np.moveaxis(pixels, -1, 0)).all()


def test_colours_in_several_channels_are_refused_with_what_to_do(tmp_path):
    pixels = np.zeros((2, 6, 7, 3), np.uint8)
    tifffile.imwrite(tmp_path / "a.ome.tif", pixels, photometric="rgb", metadata={"axes": "CYXS"})
    with pytest.raises(DatasetError, match="2 channels of 3 colours each: save each channel"):
        read_image(tmp_path / "a.ome.tif")


def test_one_bit_and_complex_values(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.eye(6, dtype=bool))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"] = np.eye(6, dtype=bool)
    for name in ("a.tif", "a.h5"):
        image = read_image(tmp_path / name)
        assert (image.dtype, np.unique(image).tolist()) == (np.uint8, [0, 255])
        assert (read_image(tmp_path / name, lazy=True)[2:3].values == image.values[2:3]).all()
    tifffile.imwrite(tmp_path / "b.tif", np.eye(6, dtype=np.complex64))
    with pytest.raises(DatasetError, match=r"b\.tif has complex values; expected numbers: save their absolute values"):
        read_image(tmp_path / "b.tif")


def test_an_axis_of_length_1_without_a_name_is_dropped(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.arange(96 * 96, dtype=np.uint16).reshape(96, 96, 1))
    image = read_image(tmp_path / "a.tif")
    assert image.sizes == {"y": 96, "x": 96}
    assert (read_image(tmp_path / "a.tif", lazy=True)[5:7, 3:9].values == image.values[5:7, 3:9]).all()


# --- HDF5 and zarr ----------------------------------------------------------------------------------


def test_ilastiks_resolution(tmp_path):
    axes = [
        {"key": d, "typeFlags": 2, "resolution": r, "description": ""}
        for d, r in zip("zyxc", (2, 0.5, 0.5, 0), strict=True)
    ]
    for units, expected, word in (({"z": "um", "y": "um", "x": "um"}, (2, 0.5), "um"), (None, (2, 0.5), "pixel"),
                                  ({"z": "nm", "y": "micron", "x": "\u00b5m"}, (0.002, 0.5), "um")):  # fmt: skip
        with h5py.File(tmp_path / "a.h5", "w") as file:
            array = file.create_dataset("exported_data", data=np.zeros((3, 6, 7, 2), np.uint8))
            array.attrs["axistags"] = json.dumps({"axes": axes})
            if units:
                array.attrs["axis_units"] = json.dumps(units)
        image = read_image(tmp_path / "a.h5")
        assert pixel_size(image) == pytest.approx({"z": expected[0], "y": expected[1], "x": expected[1]})
        assert (unit(image), image.dims) == (word, ("c", "z", "y", "x"))


def test_bigdataviewers_unsigned_values_and_voxel_size(tmp_path):
    values = np.array([[[0, 32767, 32768, 65535]] * 3] * 2, np.uint16)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["t00000/s01/0/cells"] = values.view(np.int16)
        file["t00000/s01/1/cells"] = values[:, :, ::2].view(np.int16)
        file["s01/resolutions"] = np.array([[1.0, 1, 1], [2, 1, 1]])
        file["other"] = values.view(np.int16)
    (tmp_path / "a.xml").write_text(
        "<SpimData><SequenceDescription><ViewSetups><ViewSetup><id>1</id><voxelSize><unit>\u00b5m</unit>"
        "<size>0.2 0.3 2.0</size></voxelSize></ViewSetup></ViewSetups></SequenceDescription></SpimData>", "utf-8"
    )  # fmt: skip
    image = read_image(f"{tmp_path}/a.h5:/t00000/s01/0/cells")
    assert image.dtype == np.uint16
    assert (image.values == values).all()
    assert (pixel_size(image), unit(image)) == ({"z": 2, "y": 0.3, "x": 0.2}, "um")
    smaller = read_image(f"{tmp_path}/a.h5:/t00000/s01/1/cells")
    assert pixel_size(smaller) == {"z": 2, "y": 0.3, "x": 0.4}
    assert read_image(f"{tmp_path}/a.h5:/other").dtype == np.int16


def test_an_image_of_bioformats2raw_has_its_calibration_by_every_path(tmp_path):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3

    def image(name):
        group = root.create_group(name)
        axes = [{"name": d, "type": "space", "unit": "micrometer"} for d in "zyx"]
        levels = []
        for n in range(2):
            group.create_array(str(n), data=np.zeros((3, 8 >> n, 8 >> n), np.uint8))
            scale = [2.0, 0.5 * 2**n, 0.5 * 2**n]
            levels.append({"path": str(n), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": levels}]

    image("0")
    for path, size in (("a.zarr", 0.5), ("a.zarr:/0", 0.5), ("a.zarr:/0/0", 0.5), ("a.zarr:/0/1", 1.0)):
        found = read_image(tmp_path / path if ":" not in path else f"{tmp_path}/{path}")
        assert (pixel_size(found), unit(found)) == ({"z": 2, "y": size, "x": size}, "um"), path
    image("1")
    with pytest.raises(DatasetError, match=r"contains 2 images, 0, 1: name one, such as 'a\.zarr:/0'"):
        read_image(tmp_path / "a.zarr")
