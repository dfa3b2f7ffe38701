from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.errors import DatasetError
from fijibridge.files import write_image
from tests.dataset.guess.conftest import write


def test_it_is_written_once(tmp_path, tissues):
    guess = fb.describe_dataset(write(tmp_path, tissues))
    assert list(tmp_path.glob("dataset*")) == []
    path = guess.write()
    assert Dataset.open(tmp_path).description == guess.description
    path.write_text(path.read_text() + "# mine\n")
    with pytest.raises(DatasetError, match="already exists"):
        guess.write()
    assert "# mine" in path.read_text()
    guess.write(overwrite=True)
    assert "# mine" not in path.read_text()


def test_a_folder_without_images(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(DatasetError, match=r"looks like an image .* it contains a\.txt"):
        fb.describe_dataset(tmp_path)
    with pytest.raises(DatasetError, match="is a file; expected a folder"):
        fb.describe_dataset(tmp_path / "a.txt")


LAYOUTS = {
    "stem and masks": ("img_{:02}.tif", "img_{:02}_masks.tif"),
    "Cellpose": ("img{:02}.tif", "img{:02}_cp_masks.png"),
    "Cellpose, other names": ("cell {}.tif", "cell {}_cp_masks.tif"),
    "X and X_masks": ("embryo{}.tif", "embryo{}_masks.tif"),
    "numbered": ("image{}.tif", "image{}_labels.tif"),
    "image word": ("image_{}.tif", "image_{}_seg.tif"),
    "folders": ("images/img_{}.tif", "masks/img_{}.tif"),
    "StarDist": ("images/{:03}.tif", "masks/{:03}.tif"),
    "StarDist, train": ("train/images/a{}.tif", "train/masks/a{}.tif"),
    "folder and word": ("images/img_{}.tif", "masks/img_{}_mask.tif"),
    "nnU-Net": ("imagesTr/cell_{:03}_0000.tif", "labelsTr/cell_{:03}.tif"),
    "Cell Tracking Challenge": ("01/t{:03}.tif", "01_GT/SEG/man_seg{:03}.tif"),
    "ilastik": ("img {}.tif", "img {}_Object Identities.tif"),
    "LabKit": ("a{}.tif", "a{}-labeling.tif"),
    "MorphoLibJ": ("a{}.tif", "a{}-watershed.tif"),
    "MorphoLibJ, basins": ("a{}.tif", "a{}-catchment-basins.tif"),
    "napari": ("a{}.tif", "a{}-Labels.tif"),
    "raw and gt": ("a{}_raw.tif", "a{}_gt.tif"),
    "im": ("im{}.tif", "im{}_label.tif"),
    "first word": ("raw_a{}.tif", "labels_a{}.tif"),
}


def lay(folder, tissues, image, labels):
    """Write images and labels under names with a number."""
    for n, tissue in enumerate(tissues, start=1):
        for text, array in ((image, tissue.image), (labels, np.asarray(tissue.labels).astype(np.uint16))):
            path = folder / text.format(n)
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".png":
                Image.fromarray(np.asarray(array)).save(path)
            else:
                write_image(array, path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_of_other_programs_are_described_without_editing(tmp_path, tissues, layout):
    lay(tmp_path, tissues, *LAYOUTS[layout])
    guess = fb.describe_dataset(tmp_path)
    dataset = Dataset(tmp_path, guess.description)
    assert len(dataset.names()) == len(tissues), guess
    for name, tissue in zip(sorted(dataset.names()), tissues, strict=True):
        assert (dataset[name].labels().values == np.asarray(tissue.labels)).all(), guess
        assert (dataset[name].image().values == np.asarray(tissue.image)).all(), guess
    problems = [finding for finding in fb.check_dataset(dataset) if finding.severity == "problem"]
    assert not problems, problems


@pytest.mark.parametrize("image", ["image{}.tif", "img{:02}.tif", "image_{}.tif", "images/{}.tif", "a {}.tif"])
def test_images_alone_are_images(tmp_path, tissues, image):
    for n, tissue in enumerate(tissues, start=1):
        (tmp_path / image.format(n)).parent.mkdir(exist_ok=True)
        write_image(tissue.image, tmp_path / image.format(n))
    assert len(Dataset(tmp_path, fb.describe_dataset(tmp_path).description).names()) == len(tissues)


def test_masks_in_a_numpy_file_of_cellpose_are_refused_with_its_own_export(tmp_path, tissues):
    write_image(tissues[0].image, tmp_path / "a.tif")
    np.save(tmp_path / "a_seg.npy", {"masks": np.asarray(tissues[0].labels)})
    guess = fb.describe_dataset(tmp_path)
    (question,) = [line for line in guess.unknown if "a_seg.npy" in line]
    assert "runs code" in question
    assert "cellpose.io.save_masks" in question


def test_polygons_of_qupath_and_one_mask_per_object_are_asked_about(tmp_path, tissues):
    write_image(tissues[0].image, tmp_path / "a.tif")
    (tmp_path / "a.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    (line,) = [line for line in fb.describe_dataset(tmp_path).unknown if "geojson" in line]
    assert "LabeledImageServer" in line
    bowl = tmp_path / "bowl"
    labels = np.asarray(tissues[0].labels)
    for path in (bowl / "a1" / "images", bowl / "a1" / "masks"):
        path.mkdir(parents=True)
    write_image(tissues[0].image, bowl / "a1" / "images" / "a1.tif")
    for cell in np.unique(labels)[1:6]:
        Image.fromarray((labels == cell).astype(np.uint8) * 255).save(bowl / "a1" / "masks" / f"m{cell}.png")
    with pytest.raises(DatasetError, match=r"a1/masks has 5 masks, one for each object.*join them"):
        fb.describe_dataset(bowl)
