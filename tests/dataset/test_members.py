from __future__ import annotations

import itertools

import numpy as np
import pytest
import tifffile
from skimage.io import imsave

from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError
from fijibridge.image import pixel_size

WHOLE = np.arange(2 * 3 * 4 * 5 * 6, dtype=np.uint16).reshape(2, 3, 4, 5, 6)  # t c z y x


def write_planes(folder, pattern="a_t{t}_z{z:03}_c{c}.tif", start=0, step=1):
    for t, c, z in itertools.product(range(2), range(3), range(4)):
        tifffile.imwrite(folder / pattern.format(t=t, c=c, z=start + step * z), WHOLE[t, c, z])


@pytest.mark.parametrize("lazy", [False, True])
def test_planes_channels_and_times_are_one_image(tmp_path, lazy):
    write_planes(tmp_path, start=8)
    dataset = Dataset.from_patterns(
        tmp_path, image="{name}_t{t}_z{z}_c{c}.tif", pixel_size={"t": 30, "z": 2, "y": 0.5, "x": 0.5}, unit="um"
    )
    assert dataset.names() == ["a"]
    image = dataset["a"].image(lazy=lazy)
    assert image.dims == ("t", "c", "z", "y", "x")
    assert (image.values == WHOLE).all()
    assert pixel_size(image) == {"t": 30, "z": 2, "y": 0.5, "x": 0.5}
    assert dataset["a"].missing() == []


def test_only_what_is_needed_is_read(tmp_path):
    write_planes(tmp_path)
    image = Dataset.from_patterns(tmp_path, image="{name}_t{t}_z{z}_c{c}.tif")["a"].image(lazy=True)
    for path in tmp_path.glob("a_t1_*"):
        path.write_bytes(b"broken")
    assert (image[0, 1, 2:, 1:3, ::2].values == WHOLE[0, 1, 2:, 1:3, ::2]).all()
    with pytest.raises(DatasetError, match="a_t1_z"):
        image[1].compute()


def test_channels_that_are_words_name_the_channels(tmp_path):
    for n, word in enumerate(("membrane", "DAPI")):
        tifffile.imwrite(tmp_path / f"a_{word}.tif", WHOLE[0, n, 0])
    dataset = Dataset.from_patterns(tmp_path, image="{name}_{c}.tif")
    image = dataset["a"].image()
    assert image.coords["c"].values.tolist() == ["DAPI", "membrane"]
    assert (image.sel(c="membrane").values == WHOLE[0, 0, 0]).all()
    other = Dataset.from_patterns(tmp_path, image="{name}_{c}.tif", channels=["nuclei", "edges"])
    assert other["a"].image().coords["c"].values.tolist() == ["nuclei", "edges"]
    with pytest.raises(DatasetError, match="has 2 channels, but the description names 1: nuclei"):
        Dataset.from_patterns(tmp_path, image="{name}_{c}.tif", channels=["nuclei"])["a"].image()


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        (["a_t1_z002_c0.tif"], ["a_t1_z002_c0.tif"]),
        ([f"a_t{t}_z002_c{c}.tif" for t in range(2) for c in range(3)], ["a_t0_z002_c0.tif", "a_t1_z002_c2.tif"]),
    ],
)
def test_missing_members_are_named(tmp_path, gone, named):
    write_planes(tmp_path)
    for name in gone:
        (tmp_path / name).unlink()
    item = Dataset.from_patterns(tmp_path, image="{name}_t{t}_z{z}_c{c}.tif")["a"]
    assert sorted(path.name for path in item.missing()) == sorted(gone)
    with pytest.raises(DatasetError, match=rf"series of 24 files, of which {len(gone)} are missing") as caught:
        item.image()
    assert all(name in str(caught.value) for name in named)


def test_numbers_that_go_in_steps_are_no_gap(tmp_path):
    write_planes(tmp_path, start=5, step=10)
    item = Dataset.from_patterns(tmp_path, image="{name}_t{t}_z{z}_c{c}.tif")["a"]
    assert item.missing() == []
    assert (item.image().values == WHOLE).all()


def test_numbers_that_leave_no_series(tmp_path):
    for z in (1, 2, 99999999):
        tifffile.imwrite(tmp_path / f"a_z{z}.tif", WHOLE[0, 0, 0])
    item = Dataset.from_patterns(tmp_path, image="{name}_z{z}.tif")["a"]
    with pytest.raises(DatasetError, match=r"\{z\} in .* runs from 1 to 99999999, with only 3 different numbers"):
        item.image()


def test_a_file_of_another_shape_is_named(tmp_path):
    write_planes(tmp_path)
    tifffile.imwrite(tmp_path / "a_t1_z003_c2.tif", WHOLE[0, 0, 0, 1:])
    item = Dataset.from_patterns(tmp_path, image="{name}_t{t}_z{z}_c{c}.tif")["a"]
    with pytest.raises(DatasetError, match=r"c2\.tif has shape \(4, 6\) and type uint16, but the first .* \(5, 6\)"):
        item.image()


def test_an_axis_that_files_and_names_both_have(tmp_path):
    for z in range(2):
        tifffile.imwrite(tmp_path / f"a_z{z}.tif", WHOLE[0, 0], imagej=True, metadata={"axes": "ZYX"})
    item = Dataset.from_patterns(tmp_path, image="{name}_z{z}.tif")["a"]
    with pytest.raises(DatasetError, match="the axis 'z' is in the pattern and also in the file"):
        item.image()
    frames = Dataset.from_patterns(tmp_path, image="{name}_z{z}.tif", dims="cyx")["a"].image()
    assert frames.dims == ("c", "z", "y", "x")


def test_a_folder_that_is_one_image(tmp_path):
    folder = tmp_path / "embryo"
    folder.mkdir()
    for z in range(4):
        tifffile.imwrite(folder / f"z{z}.tif", WHOLE[0, 0, z])
        tifffile.imwrite(folder / f"z{z}_labels.tif", np.diag(np.arange(1, 7, dtype=np.uint16))[:5] + 0 * z)
    dataset = Dataset.from_patterns(folder, image="z{z}.tif", labels="z{z}_labels.tif")
    assert dataset.names() == ["embryo"]
    assert (dataset["embryo"].image().values == WHOLE[0, 0]).all()
    assert dataset["embryo"].labels().shape == (4, 5, 6)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("overlap", [0, 3, {"y": 1, "x": 4}])
def test_tiles_of_a_regular_grid(tmp_path, lazy, overlap):
    whole = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
    over = overlap if isinstance(overlap, dict) else {"y": overlap, "x": overlap}
    for r, y in enumerate(range(0, 40 - over["y"], 15 - over["y"])):
        for c, x in enumerate(range(0, 50 - over["x"], 20 - over["x"])):
            imsave(tmp_path / f"a_y{r}_x{c:02}.png", whole[y : y + 15, x : x + 20], check_contrast=False)
    dataset = Dataset.from_patterns(tmp_path, image="{name}_y{tile_y}_x{tile_x}.png", tiles={"overlap": overlap})
    image = dataset["a"].image(lazy=lazy)
    assert (image.values == whole).all()
    assert (image[7:33, 11:42].values == whole[7:33, 11:42]).all()


def test_tiles_by_offsets_with_planes(tmp_path):
    """Two tiles that overlap and leave corners empty, in two planes; where both are, the later one is seen."""
    for z in range(2):
        tifffile.imwrite(tmp_path / f"a_left_z{z}.tif", np.full((4, 4), 1 + z, np.uint8))
        tifffile.imwrite(tmp_path / f"a_right_z{z}.tif", np.full((4, 4), 7 + z, np.uint8))
    dataset = Dataset.from_patterns(
        tmp_path, image="{name}_{tile}_z{z}.tif", tiles={"offsets": {"left": [0, 0], "right": [2, 3]}}
    )
    image = dataset["a"].image()
    assert image.shape == (2, 6, 7)
    assert image[1].values.tolist() == [[2] * 4 + [0] * 3] * 2 + [[2] * 3 + [8] * 4] * 2 + [[0] * 3 + [8] * 4] * 2
    told = Dataset.from_patterns(tmp_path, image="{name}_{tile}_z{z}.tif", tiles={"offsets": {"left": [0, 0]}})
    with pytest.raises(DatasetError, match=r"the tile\(s\) right have no offset: add lines to \[tiles.offsets\]"):
        told["a"].image()
    (tmp_path / "a_left_z1.tif").unlink()
    with pytest.raises(DatasetError, match="a_left_z1"):
        dataset["a"].image()


def test_labels_that_are_a_series(tmp_path):
    write_planes(tmp_path)
    for z in range(4):
        tifffile.imwrite(tmp_path / f"a_cells_z{z}.tif", np.diag(np.arange(1, 7, dtype=np.uint16))[:5])
    fields = {"image": "{name}_t{t}_z{z}_c{c}.tif", "labels": "{name}_cells_z{z}.tif"}
    item = Dataset.from_patterns(tmp_path, **fields)["a"]
    assert item.labels().dims == ("z", "y", "x")
    for path in tmp_path.glob("a_cells_*"):
        path.unlink()
    with pytest.raises(DatasetError, match=r"labels file .*a_cells_z\{z\}\.tif is missing"):
        Dataset.from_patterns(tmp_path, **fields)["a"].labels()


def test_zarr_and_hdf5_in_a_described_folder(tmp_path):
    import h5py
    import zarr

    labels = np.diag(np.arange(6, dtype=np.uint16))[:5]
    for name in "ab":
        group = zarr.open_group(tmp_path / f"{name}.zarr", mode="w")
        group.create_array("raw", data=WHOLE[0, 0])
        group.create_array("labels/cells", data=np.stack([labels] * 4))
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["prob"] = WHOLE[0, 0] / 1000
    dataset = Dataset.from_patterns(
        tmp_path, image="{name}.zarr:/raw", labels="{name}.zarr:/labels/cells", prediction="*.h5:/prob"
    )
    assert dataset.names() == ["a", "b"]
    assert (dataset["b"].image(lazy=True)[2].values == WHOLE[0, 0, 2]).all()
    assert (dataset["b"].labels()[3].values == labels).all()
    assert (dataset["b"].prediction().values == WHOLE[0, 0] / 1000).all()
    assert dataset["a"].missing() == []
