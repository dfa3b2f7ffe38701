"""Every folder of real images: described, opened, checked, read, and compared with what lies there."""

from __future__ import annotations

import os
import shutil

import h5py
import numpy as np
import pytest
import tifffile
from skimage.io import imread

import fijibridge as fb
from fijibridge.dataset import Dataset
from fijibridge.dataset.checks.leaks import leaks
from fijibridge.image import pixel_size, unit

pytestmark = pytest.mark.data

CORNEA = """
image = "*_image.png"
labels = "{name}_labels.tif"
classes = "{name}_membrane.png"
region = "{name}_roi.png"
membranes = "dark"
provenance = "manual"
provenance_note = "only inside the region; Ruggeri et al. 2010, Kucharski & Fabijanska 2023"
[values.classes]
0 = "cell"
255 = "membrane"
[split]
test = ["15", "18", "21", "29"]
"""
ISBI = """
image = "*_image.png"
labels = "*_labels.tif"
classes = "*_membrane.png"
membranes = "dark"
provenance = "manual"
pixel_size = { z = 50.0, y = 4.0, x = 4.0 }
unit = "nm"
source = "larva nerve cord"
names = "{position}"
[values.classes]
0 = "cell"
255 = "membrane"
[split]
test = ["25", "26", "27", "28"]
validation = ["20", "21", "22", "23"]
"""
MDCK = """
image = "*_image.tif"
classes = "{name}_unetmask_silver.png"
membranes = "bright"
provenance = "algorithm"
provenance_note = "another network's output, with gaps: for looks and tools, never for accuracy"
pixel_size = 0.1023809524
unit = "um"
[values.classes]
0 = "cell"
255 = "membrane"
[files.as_acquired]
image = "wt_Zo_1_5.czi"
classes = "wt_Zo_1_5_unetmask_silver.png"
"""
OVULE = """
image = "{name}.h5:/raw"
labels = "{name}.h5:/label"
membranes = "bright"
provenance = "corrected"
provenance_note = "proofread; Wolny et al. 2020"
dims = { image = "zyx", labels = "zyx" }
"""
WINGDISC = """
image = "*_image.tif"
labels = "{name}_labels_auto.tif"
membranes = "bright"
provenance = "algorithm"
provenance_note = "seeded watershed"
[files.stack]
dims = "zyx"
without = ["labels"]
"""
NUCLEI = """
image = "*_image.tif"
labels = "*_labels.tif"
provenance = "manual"
"""
FOLDERS = {
    "cornea_alizarine": CORNEA, "isbi2012_em": ISBI, "mdck_zo1": MDCK, "ovule3d": OVULE,
    "wingdisc_epitools": WINGDISC, "nuclei_stardist": NUCLEI,
}  # fmt: skip


@pytest.fixture
def copied(tmp_path, data):
    """A folder with the real files: hard links where the file system has them, for no link may lead out of a folder."""

    def copy(name, description=None):
        folder = tmp_path / name
        folder.mkdir()
        for path in (data / name).iterdir():
            try:
                os.link(path, folder / path.name)
            except OSError:
                shutil.copy(path, folder / path.name)
        if description is not None:
            (folder / "dataset.toml").write_text(description, encoding="utf-8")
        return folder

    return copy


@pytest.mark.parametrize("name", FOLDERS)
def test_no_folder_has_a_problem(copied, name):
    if name == "mdck_zo1":
        pytest.importorskip("bioio_czi")
    findings = fb.check_dataset(copied(name, FOLDERS[name]))
    assert [str(f) for f in findings if f.severity == "problem"] == []
    if name == "mdck_zo1":
        assert any("the same pixels as 'as_acquired'" in f.what for f in findings)  # as is true


def test_sections_beside_each_other_are_no_test(copied):
    """Two sections apart, 18 to 20 and 23 to 25, may be called neighbours."""
    folder = copied("isbi2012_em", ISBI)
    assert [f.severity for f in leaks(Dataset.open(folder))] == ["note"]
    (folder / "dataset.toml").write_text(ISBI + "neighbours = 2\n")
    found = leaks(Dataset.open(folder))
    assert [(f.severity, f.item) for f in found] == [("problem", "18, 20"), ("problem", "23, 25")]


def test_cornea(copied, data):
    folder = copied("cornea_alizarine", CORNEA)
    dataset = Dataset.open(folder)
    assert (len(dataset), len(dataset.split("test")), dataset.description.membranes) == (18, 4, "dark")
    assert sum(len(np.unique(item.labels())) - 1 for item in dataset) == 6034
    item, original = dataset["15"], data / "cornea_alizarine"
    assert (item.image().values == imread(original / "15_image.png")).all()
    assert (item.labels().values == tifffile.imread(original / "15_labels.tif")).all()
    assert (item.classes().values == (imread(original / "15_membrane.png") == 255)).all()
    assert (item.region().values == (imread(original / "15_roi.png") == 255)).all()
    assert all(0.195 <= item.region().values.mean() < 0.415 for item in dataset)


def test_isbi(copied, data):
    dataset = Dataset.open(copied("isbi2012_em", ISBI))
    assert len(dataset) == 24
    assert sum(len(np.unique(item.labels())) - 1 for item in dataset) == 2741
    assert pixel_size(dataset["00"].image()) == {"z": 50, "y": 4, "x": 4}
    assert unit(dataset["00"].image()) == "nm"
    assert [item.position for item in dataset][:3] == [0, 1, 2]
    assert (dataset["08"].image().values == imread(data / "isbi2012_em" / "08_image.png")).all()


def test_isbi_as_one_stack(copied):
    """The same files as the planes of one image; sections that were left out are named."""
    folder = copied("isbi2012_em")
    item = Dataset.from_patterns(folder, image="{z}_image.png", labels="{z}_labels.tif")["isbi2012_em"]
    numbers = {int(p.name[:2]) for p in folder.glob("*_image.png")}
    gone = sorted(set(range(min(numbers), max(numbers) + 1)) - numbers)
    assert [path.name for path in item.missing("image")] == [f"{n:02}_image.png" for n in gone]
    for n in gone:
        os.link(folder / "00_image.png", folder / f"{n:02}_image.png")
        os.link(folder / "00_labels.tif", folder / f"{n:02}_labels.tif")
    image = item.image(lazy=True) if not item.missing("image") else None
    assert image is None  # an item is what was there when the folder was opened
    item = Dataset.from_patterns(folder, image="{z}_image.png", labels="{z}_labels.tif")["isbi2012_em"]
    assert item.image(lazy=True).shape == (29, 512, 512)
    assert (item.image(lazy=True)[8, 100:200].values == imread(folder / "08_image.png")[100:200]).all()
    assert item.labels().shape == (29, 512, 512)


def test_mdck(copied, data):
    pytest.importorskip("bioio_czi")
    dataset = Dataset.open(copied("mdck_zo1", MDCK))
    assert dataset.names() == ["Myo1c_KO_Zo_1_5", "as_acquired", "wt_Zo_1_1", "wt_Zo_1_5"]
    acquired, exported = dataset["as_acquired"], dataset["wt_Zo_1_5"]
    assert (acquired.image().values == exported.image().values).all()
    assert (exported.image().values == tifffile.imread(data / "mdck_zo1" / "wt_Zo_1_5_image.tif")).all()
    assert exported.image().shape == exported.classes().shape == (1040, 1388)
    assert (acquired.classes().values == exported.classes().values).all()
    assert exported.provenance == "algorithm"


def test_ovule(copied, data):
    item = Dataset.open(copied("ovule3d", OVULE))["sample_ovule"]
    with h5py.File(data / "ovule3d" / "sample_ovule.h5") as file:
        assert (item.image().values == file["raw"][:]).all()
        assert (item.labels().values == file["label"][:]).all()
    assert pixel_size(item.image()) == {"z": 0.235, "y": 0.15, "x": 0.15}
    assert pixel_size(item.labels()) == pixel_size(item.image())
    assert len(np.unique(item.labels())) - 1 == 50
    assert item.image(lazy=True)[3, 4:9, 5].values.tolist() == item.image()[3, 4:9, 5].values.tolist()


def test_wingdisc(copied, data):
    dataset = Dataset.open(copied("wingdisc_epitools", WINGDISC))
    assert [item.name for item in dataset.with_truth()] == ["projected"]
    assert dataset["projected"].labels().max() == len(np.unique(dataset["projected"].labels())) == 94
    assert dataset["stack"].image().sizes == {"z": 30, "y": 199, "x": 206}
    assert (dataset["stack"].image().values == tifffile.imread(data / "wingdisc_epitools" / "stack_image.tif")).all()


def test_nuclei(copied):
    folder = copied("nuclei_stardist", NUCLEI)
    assert len(np.unique(Dataset.open(folder)["dsb_like_512"].labels())) - 1 == 125
    assert any("58 of the ids up to 183 are not used" in finding.what for finding in fb.check_dataset(folder))


ROLES = {
    "cornea_alizarine": {
        "image": "_image.png",
        "labels": "_labels.tif",
        "classes": "_membrane.png",
        "region": "_roi.png",
    },
    "isbi2012_em": {"image": "_image.png", "labels": "_labels.tif", "classes": "_membrane.png"},
    "mdck_zo1": {"image": "_image.tif", "classes": "_unetmask_silver.png"},
    "ovule3d": {"image": "_raw.tif", "labels": "_labels.tif"},
    "wingdisc_epitools": {"image": "_image.tif", "labels": "_labels_auto.tif"},
    "nuclei_stardist": {"image": "_image.tif", "labels": "_labels.tif"},
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_guess_names_the_right_roles(copied, name):
    folder = copied(name)
    guess = fb.describe_dataset(folder)
    guess.write()
    described = Dataset.open(folder).description
    found = {role: getattr(described, role) for role in ("image", "labels", "classes", "region", "prediction")}
    assert {role: text for role, text in found.items() if text} == {r: "{name}" + end for r, end in ROLES[name].items()}
    if "classes" in ROLES[name]:
        assert described.values.classes == {0: "cell", 255: "membrane"}
    true = (
        "dark" if name in ("cornea_alizarine", "isbi2012_em") else "unknown" if name == "nuclei_stardist" else "bright"
    )
    assert described.membranes == true
    known = {"mdck_zo1": "algorithm", "wingdisc_epitools": "algorithm"}
    assert described.provenance == known.get(name, "unknown")
    sizes = {"mdck_zo1": {"y": 0.102381, "x": 0.102381}, "ovule3d": {"z": 0.235, "y": 0.15, "x": 0.15}}
    assert described.pixel_size == sizes.get(name)
