from __future__ import annotations

import numpy as np
import pytest
import tifffile
from skimage.io import imsave
from skimage.segmentation import find_boundaries

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError
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


@pytest.mark.parametrize(
    ("image", "labels"),
    [
        ("{}_image.tif", "{}_labels.tif"),
        ("img_{}.tif", "seg_{}.tif"),
        ("raw/{}.tif", "labels/{}.tif"),
        ("{}.tif", "{}_masks.tif"),
        ("{}/image.tif", "{}/labels.tif"),
        ("well_{}.raw.tif", "well_{}.gt.tif"),
    ],
)
def test_roles_by_names_and_pixels(tmp_path, tissues, image, labels):
    guess = fb.describe_dataset(write(tmp_path, tissues, image, labels))
    described = guess.description
    assert len(Dataset(tmp_path, described)) == 2
    for role, text in (("image", image), ("labels", labels)):
        fields = getattr(described, role).replace("{name}", "{}")
        assert fields in (text, text.replace("well_", ""))
    read = Dataset(tmp_path, described).items[0]
    assert (read.labels().values == tissues[0].labels.values).all()
    assert described.membranes == fb.describe_dataset(tmp_path).description.membranes != "unknown"


def test_masks_are_told_apart_by_name_and_their_membranes_by_thickness(tmp_path, tissues):
    write(tmp_path, tissues)
    for name, tissue in zip("ab", tissues, strict=True):
        membrane = find_boundaries(tissue.labels.values)
        imsave(tmp_path / f"{name}_membrane.png", (~membrane).astype(np.uint8) * 255, check_contrast=False)
        imsave(tmp_path / f"{name}_roi.png", np.full(membrane.shape, 255, np.uint8), check_contrast=False)
        write_image(
            membrane.astype(np.float32) * 0.5
            + np.float32(0.25) * tissue.labels.values.astype(bool)
            + np.linspace(0, 0.2, 112, dtype=np.float32),
            tmp_path / f"{name}_prob.tif",
        )
    described = fb.describe_dataset(tmp_path).description
    assert described.classes == "{name}_membrane.png"
    assert described.values.classes == {0: "membrane", 255: "cell"}
    assert described.region == "{name}_roi.png"
    assert described.prediction == "{name}_prob.tif"


def test_what_nobody_can_know_is_said(tmp_path, tissues):
    for n, tissue in enumerate((*tissues, tissues[0])):
        tifffile.imwrite(tmp_path / f"{n}.tif", tissue.image.values)
    guess = fb.describe_dataset(tmp_path)
    unknown = "\n".join(guess.unknown)
    for words in (
        "pixel_size and unit",
        "[split]",
        "neighbours in one stack",
        "membranes",
        "no file looks like labels",
    ):
        assert words in unknown
    assert "# not known: [split]" in guess.toml
    assert "Guessed from" in str(guess)
    assert guess.description.provenance == "unknown"
    assert guess.description.pixel_size is None


def test_series_and_tiles(tmp_path):
    rng = np.random.default_rng(0)
    for t in range(2):
        for z in range(3):
            tifffile.imwrite(tmp_path / f"embryo_1_T{t:02}_Z{z:03}.tif", rng.integers(0, 99, (20, 30)).astype(np.uint8))
    guess = fb.describe_dataset(tmp_path)
    assert guess.description.image == "{name}_T{t}_Z{z}.tif"
    image = Dataset(tmp_path, guess.description)["embryo_1"].image()
    assert image.shape == (2, 3, 20, 30)


def test_the_image_without_truth_and_the_word_of_a_program(tmp_path, tissues):
    write(tmp_path, tissues, labels="{}_labels_auto.tif")
    (tmp_path / "b_labels_auto.tif").unlink()
    guess = fb.describe_dataset(tmp_path)
    assert guess.description.provenance == "algorithm"
    assert guess.description.files["b"].without == ("labels",)
    assert [item.name for item in Dataset(tmp_path, guess.description).with_truth()] == ["a"]


def test_it_is_written_once(tmp_path, tissues):
    guess = fb.describe_dataset(write(tmp_path, tissues))
    assert list(tmp_path.glob("dataset*")) == []
    path = guess.write()
    assert Dataset.open(tmp_path).description == guess.description
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(DatasetError, match="is there already"):
        guess.write()
    assert "# mine" in path.read_text()
    guess.write(overwrite=True)
    assert "# mine" not in path.read_text()


def test_a_folder_without_images(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(DatasetError, match=r"looks like an image .* it holds a\.txt"):
        fb.describe_dataset(tmp_path)
    with pytest.raises(DatasetError, match="it is a file"):
        fb.describe_dataset(tmp_path / "a.txt")
