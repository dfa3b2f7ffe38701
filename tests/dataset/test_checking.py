from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
import tifffile
from skimage.segmentation import find_boundaries

import fijibridge as fb
from fijibridge.dataset import Dataset, Finding, together
from fijibridge.errors import DatasetError
from fijibridge.files import write_image

PATTERNS = {"image": "*_image.tif", "labels": "*_labels.tif", "provenance": "manual"}


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("a", "b", "c")):
        tissue = fb.synthetic_epithelium((64, 80), cell_size=16, photons=400, seed=seed)
        write_image(tissue.image, tmp_path / f"{name}_image.tif")
        write_image(tissue.labels, tmp_path / f"{name}_labels.tif")
    return tmp_path


def looked_at(folder, **fields):
    return fb.check_dataset(Dataset.from_patterns(folder, **{**PATTERNS, "split": {"test": ["c"]}, **fields}))


def the(findings, words):
    found = [f for f in findings if words in f.what]
    assert len(found) == 1, "\n".join(map(str, findings))
    return found[0]


def test_nothing_is_wrong_with_a_good_folder(folder):
    assert [f for f in looked_at(folder) if f.severity == "problem"] == []


def test_a_wrong_description_is_a_finding(tmp_path):
    (finding,) = fb.check_dataset(tmp_path)
    assert finding.severity == "problem"
    assert finding.file == "dataset.toml"
    assert "no description" in finding.what


def labels_of(folder, name="a"):
    return tifffile.imread(folder / f"{name}_labels.tif").astype(np.uint16)


def test_shapes_that_do_not_fit(folder):
    tifffile.imwrite(folder / "a_labels.tif", labels_of(folder)[:-1])
    finding = the(looked_at(folder), "labels is")
    assert (finding.severity, finding.item, finding.file) == ("problem", "a", "a_labels.tif")
    assert finding.what == "labels is 63 (y) x 80 (x), its image 64 (y) x 80 (x)"


def test_a_mask_in_place_of_labels(folder):
    mask = np.zeros((64, 80), np.uint8)
    mask[:, :30] = 255
    tifffile.imwrite(folder / "b_labels.tif", mask)
    assert the(looked_at(folder), "it holds one number only, 255").severity == "note"
    mask[:, 40:] = 255
    tifffile.imwrite(folder / "b_labels.tif", mask)
    finding = the(looked_at(folder), "it is a binary mask")
    assert (finding.severity, finding.file) == ("problem", "b_labels.tif")


def test_missing_and_unreadable_files(folder):
    (folder / "a_labels.tif").unlink()
    (folder / "b_image.tif").write_bytes(b"broken")
    findings = looked_at(folder)
    assert the(findings, "labels file is missing").todo == 'add it, or set without = ["labels"] in [files."a"]'
    assert the(findings, "cannot be read").item == "b"


def test_missing_members_of_a_series(tmp_path):
    for z in (0, 1, 3):
        tifffile.imwrite(tmp_path / f"a_z{z}.tif", np.eye(9, dtype=np.uint8))
    findings = fb.check_dataset(Dataset.from_patterns(tmp_path, image="{name}_z{z}.tif"))
    assert the(findings, "image file is missing").file == "a_z2.tif"


def test_ids_with_gaps_and_in_several_parts(folder):
    labels = np.zeros((64, 80), np.uint16)
    labels[4:20, 4:20] = 3
    labels[30:34, 4:8] = labels[34:38, 8:12] = 5  # touch at a corner
    labels[50:60, 4:8] = labels[50:60, 20:24] = 9  # do not touch
    tifffile.imwrite(folder / "a_labels.tif", labels)
    findings = looked_at(folder)
    gaps, parts = the(findings, "are not used"), the(findings, "several parts")
    assert (gaps.severity, gaps.what) == ("note", "6 of the ids up to 9 are not used")
    assert parts.severity == "note"
    assert parts.what == (
        "2 id(s) have several parts, counting pixels that touch by sides (4 neighbours), 1 of them touching at "
        "corners: 5, 9"
    )


def test_a_cell_without_a_label(folder):
    labels = labels_of(folder)
    inner = [i for i in np.unique(labels)[1:] if not {0, 63} & set(np.where(labels == i)[0]) and
             not {0, 79} & set(np.where(labels == i)[1])]  # fmt: skip
    largest = max(inner, key=lambda i: (labels == i).sum())
    tifffile.imwrite(folder / "a_labels.tif", np.where(labels == largest, 0, labels))
    assert "1 gap(s) between cells" in the(looked_at(folder), "large enough for a cell").what


def test_pixel_sizes_against_the_files(folder):
    for name in "abc":
        image = fb.as_image(tifffile.imread(folder / f"{name}_image.tif"), pixel_size=0.2, unit="um")
        write_image(image, folder / f"{name}_image.tif")
    good = looked_at(folder, pixel_size=200, unit="nm") + looked_at(folder, pixel_size=0.2, unit="um")
    assert not [f for f in good if "pixel size in" in f.what]
    good = looked_at(folder, pixel_size=0.2, unit="\u00b5m")
    assert not [f for f in good if "pixel size" in f.what]
    assert len([f for f in looked_at(folder, pixel_size=1, unit="ell") if "cannot be compared" in f.what]) == 3
    wrong = [f for f in looked_at(folder, pixel_size={"y": 0.2, "x": 0.4}, unit="um") if "pixel size in" in f.what]
    assert {f.what for f in wrong} == {"pixel size in x: the file has 0.2 um, the description 0.4 um"}
    assert {f.severity for f in wrong} == {"problem"}
    assert len([f for f in looked_at(folder, unit="nm") if "the description's unit is nm" in f.what]) == 3


def test_wrong_axes(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.random.default_rng(0).random((30, 40, 3), np.float32), metadata=None)
    findings = fb.check_dataset(Dataset.from_patterns(tmp_path, image="*.tif", dims="zyx"))
    assert the(findings, "the axis x is 3 pixels long").severity == "problem"


def test_values_and_masks(folder):
    for name in "abc":
        tifffile.imwrite(folder / f"{name}_mem.tif", find_boundaries(labels_of(folder, name)).astype(np.uint8) * 255)
        tifffile.imwrite(folder / f"{name}_roi.tif", np.zeros((64, 80), np.uint8))
    fields = {"classes": "*_mem.tif", "region": "*_roi.tif"}
    findings = looked_at(folder, **fields, values={"classes": {0: "membrane", 255: "cell"}})
    assert len([f for f in findings if "no truth is known" in f.what and f.severity == "problem"]) == 3
    assert len([f for f in findings if "of it is membrane" in f.what]) == 3
    findings = looked_at(folder, **fields, values={"classes": {0: "cell", 1: "membrane"}})
    assert len([f for f in findings if "holds 255" in f.what and f.severity == "problem"]) == 3


def test_polarity(folder):
    bright = [f for f in looked_at(folder, membranes="bright") if "membranes look" in f.what]
    dark = [f for f in looked_at(folder, membranes="dark") if "membranes look" in f.what]
    assert sorted((len(bright), len(dark))) == [0, 3]


def test_pixels_that_are_no_numbers_and_twins_across_a_split(folder):
    image = tifffile.imread(folder / "a_image.tif").astype(np.float32)
    write_image(image, folder / "c_image.tif")
    image[3, 4] = np.nan
    write_image(image, folder / "b_image.tif")
    write_image(np.nan_to_num(image * 0 + tifffile.imread(folder / "c_image.tif"), nan=0), folder / "a_image.tif")
    findings = looked_at(folder)
    assert the(findings, "1 pixels are not finite numbers").severity == "problem"
    write_image(tifffile.imread(folder / "c_image.tif"), folder / "a_image.tif")
    twin = the(looked_at(folder), "the same pixels as 'a'")
    assert (twin.severity, twin.item) == ("problem", "c")


def test_a_crop_that_is_from_elsewhere(folder):
    whole = tifffile.imread(folder / "a_image.tif")
    write_image(whole[10:40, 20:60], folder / "crop_image.tif")
    fields = {"labels": None, "split": {}}

    def found(y, x):
        derived = {"item": "a", "offset": {"y": y, "x": x}}
        return [
            f.what for f in looked_at(folder, files={"crop": {"derived_from": derived}}, **fields) if f.item == "crop"
        ]

    assert not [what for what in found(10, 20) if "'a'" in what]
    assert "its pixels differ from those of 'a' there" in found(10, 21)
    assert "it reaches beyond 'a' in y: to 70 of 64" in found(40, 20)


def test_images_that_are_derived_from_nothing_here(folder):
    finding = the(looked_at(folder, files={"b": {"derived_from": {"item": "aa"}}}), "derived_from names 'aa'")
    assert finding.severity == "note"
    assert finding.what.endswith("did you mean 'a'?")


def test_pixel_sizes_that_contradict(folder):
    for name, size in (("a", 0.2), ("b", 0.2), ("c", 0.5)):
        for role in ("image", "labels"):
            pixels = tifffile.imread(folder / f"{name}_{role}.tif")
            write_image(fb.as_image(pixels, pixel_size=size, unit="um"), folder / f"{name}_{role}.tif")
    assert not [f for f in looked_at(folder) if f.severity == "problem"]
    found = [f for f in looked_at(folder) if "differ" in f.what]
    assert [(f.severity, f.what) for f in found] == [
        ("note", f"pixel sizes in {d} differ: 0.2 um in 'a', 0.5 um in 'c'") for d in "xy"
    ]
    derived = {"c": {"derived_from": {"item": "elsewhere"}}}
    assert not [f for f in looked_at(folder, files=derived) if "differ" in f.what]
    write_image(fb.as_image(labels_of(folder), pixel_size={"y": 0.2, "x": 0.4}, unit="um"), folder / "a_labels.tif")
    finding = the(looked_at(folder), "the labels file has 0.4 um, the image 0.2 um")
    assert (finding.severity, finding.item, finding.file) == ("problem", "a", "a_labels.tif")


def test_classes_in_place_of_labels(folder):
    inside = ~find_boundaries(labels_of(folder))
    tifffile.imwrite(folder / "a_labels.tif", inside.astype(np.uint16) + 1)
    finding = the(looked_at(folder), "it holds 2 id(s), one of them in")
    assert (finding.severity, finding.item) == ("problem", "a")


def test_one_truth_for_two_images(folder):
    shared = {"b": {"labels": "a_labels.tif"}}
    finding = the(looked_at(folder, files=shared), "its labels file is also that of 'a'")
    assert (finding.severity, finding.item) == ("problem", "b")
    shared["b"]["derived_from"] = {"item": "a"}
    assert not [f for f in looked_at(folder, files=shared) if "its labels file is" in f.what]


def test_a_film_is_looked_at_frame_by_frame(tmp_path):
    for ndim in (3, 4):
        labels = np.zeros((3, *((4,) if ndim == 4 else ()), 64, 80), np.uint16)
        labels[0, ..., 4:20, 4:20] = labels[2, ..., 30:40, 30:40] = 1  # a cell that moves has one part in each frame
        labels[1:, ..., 4:20, 4:20] = labels[1:, ..., 4:20, 40:50] = 2
        dims = "tzyx" if ndim == 4 else "tyx"
        write_image(fb.as_image(labels, dims), tmp_path / "a_labels.tif")
        write_image(fb.as_image(labels.astype(np.float32) + np.arange(80), dims), tmp_path / "a_image.tif")
        finding = the(looked_at(tmp_path, split={}, membranes="dark"), "several parts")
        assert finding.what.startswith("in frame 1: 1 id(s) have several parts")
        assert finding.what.endswith(": 2, and similarly in 1 more")


def test_a_crop_of_a_broken_image(folder):
    whole = tifffile.imread(folder / "a_image.tif")
    write_image(whole[10:40, 20:60], folder / "crop_image.tif")
    tifffile.imwrite(folder / "a_image.tif", whole, compression="zlib")
    with tifffile.TiffFile(folder / "a_image.tif") as file:
        start = file.pages.first.dataoffsets[0]
    with (folder / "a_image.tif").open("rb+") as file:
        file.seek(start)
        file.write(b"no deflated pixels")
    files = {"crop": {"derived_from": {"item": "a", "offset": {"y": 10, "x": 20}}}}
    findings = looked_at(folder, labels=None, split={}, files=files)
    assert the(findings, "cannot be read").item == "a"
    lazy = Dataset.from_patterns(folder, image="*_image.tif")["a"].image(lazy=True)
    with pytest.raises(DatasetError, match=r"a_image\.tif cannot be read"):
        lazy.compute()


def test_leaks_between_splits(tmp_path):
    for n in range(6):
        tifffile.imwrite(tmp_path / f"s_{n}.tif", np.full((8, 9), n, np.uint8) + np.eye(8, 9, dtype=np.uint8))

    def leaks(**fields):
        dataset = Dataset.from_patterns(tmp_path, image="*.tif", **fields)
        return [(f.severity, f.item) for f in fb.dataset.leaks(dataset)]

    names = "{source}_{position}"
    assert leaks(names=names) == []
    assert leaks(names=names, split={"test": ["s_4", "s_5"]}) == [("problem", "s_3, s_4")]
    assert leaks(names=names, split={"test": ["s_2"]}) == [("problem", "s_1, s_2"), ("problem", "s_2, s_3")]
    gap = {"test": ["s_5"], "validation": ["s_2"], "neighbours": 0}
    assert [severity for severity, _ in leaks(names=names, split=gap)] == ["note"]
    assert leaks(source="fly", split={"test": ["s_5"]}) == [("problem", "s_0, s_1, s_2, s_3, s_4 ... (6 in all)")]
    assert leaks(names="s_{position}", split={"test": ["s_4", "s_5"]}) == [("problem", "s_3, s_4")]
    crops = {f"s_{n}": {"derived_from": {"item": "elsewhere"}} for n in (1, 5)}
    assert leaks(files=crops, split={"test": ["s_5"]}) == [("problem", "s_1, s_5")]
    chain = {"s_1": {"derived_from": {"item": "s_0"}}, "s_2": {"derived_from": {"item": "s_1"}}}
    assert leaks(files=chain, split={"test": ["s_2"]}) == [("problem", "s_0, s_1, s_2")]


def test_files_that_nobody_speaks_of_and_provenance(folder):
    with h5py.File(folder / "left.h5", "w") as file:
        file["raw"] = np.zeros((4, 4))
    assert the(looked_at(folder), "no pattern of the description fits").file == "left.h5"
    assert len([f for f in looked_at(folder, provenance="algorithm") if "made by an algorithm" in f.what]) == 3
    assert len([f for f in looked_at(folder, provenance="unknown") if "origin of its truth is unknown" in f.what]) == 3


def test_what_is_the_same_is_told_once():
    findings = [Finding("note", f"i{n}", f"i{n}.tif", f"{n} of {n + 2} ids", "-") for n in range(5)]
    (one,) = together(findings)
    assert (one.item, one.what) == ("i0, i1, i2 ... (5 in all)", "0 to 4 of 2 to 6 ids")
    assert [(f.item, f.what) for f in together(findings[:2])] == [("i0, i1", "0 to 1 of 2 to 3 ids")]
    problems = [replace(f, severity="problem") for f in findings]
    assert together(problems[:3]) == problems[:3]
    assert len(together(problems)) == 1
