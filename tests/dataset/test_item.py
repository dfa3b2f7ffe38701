from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError, RenamedWarning


def picture_of(path, numbers, palette):
    picture = Image.fromarray(numbers, mode="P")
    picture.putpalette(np.asarray(palette, np.uint8).ravel().tolist())
    picture.save(path)


@pytest.mark.parametrize("ends", ["png", "bmp"])
def test_of_pictures_with_a_palette_the_numbers_count(tmp_path, ends):
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    colours = np.random.default_rng(0).integers(0, 255, (12, 3))
    for n, role in enumerate(("labels", "classes", "region")):
        picture_of(tmp_path / f"a_{role}.{ends}", numbers, np.roll(colours, n, 0))
        picture_of(tmp_path / f"b_{role}.{ends}", numbers, np.repeat(np.arange(12), 3))
    values = {"classes": {0: "membrane", **dict.fromkeys(range(1, 12), "cell")}}
    for name in "ab":
        tifffile.imwrite(tmp_path / f"{name}.tif", IMAGE)
    roles = {role: f"{{name}}_{role}.{ends}" for role in ("labels", "classes", "region")}
    for item in Dataset.from_patterns(tmp_path, image="*.tif", **roles, values=values):
        assert (item.labels().values == numbers).all()
        assert (item.classes().values == (numbers == 0)).all()
        assert (item.region().values == (numbers > 0)).all()


def test_planes_with_a_palette_are_a_stack_of_numbers(tmp_path):
    for z in range(3):
        picture_of(
            tmp_path / f"a_labels_z{z}.png", IMAGE + np.uint8(z), np.random.default_rng(z).integers(0, 255, (20, 3))
        )
    tifffile.imwrite(tmp_path / "a.tif", np.stack([IMAGE] * 3), photometric="minisblack")
    item = Dataset.from_patterns(tmp_path, image="*.tif", labels="{name}_labels_z{z}.png")["a"]
    assert (item.labels().values == np.stack([IMAGE, IMAGE + 1, IMAGE + 2])).all()


def test_greys_of_a_palette_that_are_other_numbers_are_refused(tmp_path):
    numbers = np.array([[0, 1, 2], [2, 1, 0], [2, 2, 2], [1, 1, 1], [0, 0, 1]], np.uint8)
    picture_of(tmp_path / "a_labels.png", numbers, np.repeat([0, 30, 60], 3))
    picture_of(tmp_path / "a_roi.png", (numbers > 0).astype(np.uint8), np.repeat([0, 255], 3))
    tifffile.imwrite(tmp_path / "a.tif", np.arange(15).reshape(5, 3))
    item = Dataset.from_patterns(tmp_path, image="*.tif", labels="{name}_labels.png", region="{name}_roi.png")["a"]
    with pytest.raises(DatasetError, match=r"a_labels\.png has a palette that shows 1 as grey 30, .*save it without"):
        item.labels()
    assert (item.region().values == (numbers > 0)).all()


def folder_with(tmp_path, arrays, toml):
    for name, array in arrays.items():
        tifffile.imwrite(tmp_path / name, array)
    (tmp_path / "dataset.toml").write_text(toml)
    return Dataset.open(tmp_path)["a"]


IMAGE = np.arange(12, dtype=np.uint8).reshape(3, 4)


@pytest.mark.parametrize(
    ("stored", "values", "expected"),
    [
        ([0, 255, 0, 255], '0 = "cell"\n255 = "membrane"', [0, 1, 0, 1]),
        ([1, 2, 2, 1], '1 = "membrane"\n2 = "background"', [1, 0, 0, 1]),
        ([0, 1, 2, 3], '0 = "background"\n1 = "cell"\n2 = "membrane"\n3 = "ignore"', [0, 0, 1, 255]),
    ],
)
def test_pixel_labels_have_one_meaning(tmp_path, stored, values, expected):
    item = folder_with(
        tmp_path,
        {"a_image.tif": IMAGE, "a_mem.tif": np.array([stored] * 3, np.uint8)},
        f'image = "*_image.tif"\nclasses = "{{name}}_mem.tif"\n[values.classes]\n{values}\n',
    )
    found = item.classes()
    assert found.dtype == np.uint8
    assert found.values[0].tolist() == expected
    ignored = item.ignore()
    if 255 in expected:
        assert ignored.values[0].tolist() == [v == 255 for v in expected]
        assert (item.region().values == ~ignored.values).all()
    else:
        assert ignored is None


def test_a_number_without_a_meaning_is_refused(tmp_path):
    item = folder_with(
        tmp_path,
        {"a_image.tif": IMAGE, "a_mem.tif": IMAGE},
        'image = "*_image.tif"\nclasses = "*_mem.tif"\n[values.classes]\n0 = "cell"\n1 = "membrane"\n',
    )
    with pytest.raises(
        DatasetError, match=r"a_mem\.tif: contains 2, 3, 4, 5, 6, 7 \.\.\. in 10 pixels, but \[values\]"
    ):
        item.classes()


def test_labels_stored_in_another_way(tmp_path):
    """Membrane 0, outside 1, cells from 2 on, unknown 65535: known is what is not 65535, inside the mask."""
    stored = np.array([[0, 1, 2, 2], [3, 0, 65535, 7], [3, 3, 0, 7]], np.uint16)
    mask = np.full((3, 4), 255, np.uint8)
    mask[0] = 0
    item = folder_with(
        tmp_path,
        {"a_image.tif": IMAGE, "a_cells.tif": stored, "a_out.tif": mask},
        'image = "*_image.tif"\nlabels = "*_cells.tif"\nregion = "*_out.tif"\n'
        '[values.labels]\n0 = "membrane"\n1 = "background"\n65535 = "ignore"\n'
        '[values.region]\n0 = "known"\n255 = "ignore"\n',
    )
    assert item.labels().values.tolist() == [[0, 0, 2, 2], [3, 0, 0, 7], [3, 3, 0, 7]]
    assert item.region().values.tolist() == [[True] * 4, [False] * 4, [False] * 4]
    (tmp_path / "dataset.toml").write_text(
        (tmp_path / "dataset.toml").read_text().replace('0 = "known"\n255 = "ignore"', '0 = "ignore"\n255 = "known"')
    )
    known = Dataset.open(tmp_path)["a"].region().values
    assert known.tolist() == [[False] * 4, [True, True, False, True], [True] * 4]


def test_a_mask_saved_in_colours_is_read_if_they_are_equal(tmp_path):
    mask = np.zeros((3, 4, 3), np.uint8)
    mask[1] = 255
    toml = 'image = "*_image.tif"\nregion = "*_roi.tif"\n'
    tifffile.imwrite(tmp_path / "a_roi.tif", mask, photometric="rgb")
    item = folder_with(tmp_path, {"a_image.tif": IMAGE}, toml)
    assert item.region().values.tolist() == [[False] * 4, [True] * 4, [False] * 4]
    mask[0, 0, 0] = 9
    tifffile.imwrite(tmp_path / "a_roi.tif", mask, photometric="rgb")
    with pytest.raises(DatasetError, match="3 different channels"):
        item.region()


def test_the_old_keyword_of_target_works_and_warns(tmp_path):
    arrays = {"a_image.tif": IMAGE, "a_labels.tif": np.tile(np.array([1, 1, 2, 2], np.uint8), (3, 1))}
    item = folder_with(tmp_path, arrays, 'image = "*_image.tif"\nlabels = "*_labels.tif"\n')
    with pytest.warns(RenamedWarning, match=r"width= of Item\.target was renamed to membrane_width="):
        old = item.target(width=1)
    assert (old == item.target(membrane_width=1)).all()
