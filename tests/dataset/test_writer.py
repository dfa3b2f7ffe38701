from __future__ import annotations

import numpy as np
import pytest
import tifffile

import fijibridge as fb
from fijibridge.dataset import Dataset, writer
from fijibridge.errors import DatasetError, RenamedWarning
from fijibridge.image import as_image, origin, pixel_size, time_unit, unit

RAW = np.arange(80, dtype=np.uint16).reshape(8, 10)
CELLS = np.repeat(np.arange(8), 10).reshape(8, 10) * 10000


def test_what_is_saved_is_read(tmp_path):
    image = as_image(np.stack([RAW, RAW + 1]), "cyx", pixel_size=0.5, unit="um", origin={"y": 3, "x": 4})
    classes = np.where(RAW % 3 == 0, 255, RAW % 3 - 1)
    arrays = {"image": image, "labels": CELLS, "classes": classes, "region": RAW > 9, "prediction": image / 100}
    saved = fb.save_dataset(
        {"a": arrays, "b": {"image": image}}, tmp_path / "new", provenance="corrected", membranes="bright",
        split={"test": ["b"]},
    )  # fmt: skip
    item = Dataset.open(tmp_path / "new")["a"]
    assert (saved.names(), item.provenance, saved["b"].split) == (["a", "b"], "corrected", "test")
    assert (item.image().values == image.values).all()
    assert (pixel_size(item.image()), unit(item.labels())) == ({"y": 0.5, "x": 0.5}, "um")
    assert origin(item.image()) == pytest.approx({"y": 3, "x": 4})
    assert (item.labels().values == CELLS).all()
    assert (item.classes().values == classes).all()
    assert (item.region().values == ((RAW > 9) & (classes != 255))).all()
    assert item.prediction().values == pytest.approx(image.values / 100)
    assert saved["b"].paths.keys() == {"image"}
    assert saved.with_truth() == [saved["a"]]


@pytest.mark.parametrize("dims", ["tyx", "tcyx", "tzyx", "zyx"])
def test_plain_arrays_have_the_axes_of_their_image(tmp_path, dims):
    sizes = {"t": 30, "z": 2, "y": 0.5, "x": 0.5}
    units = {"t": "min", "z": "um", "y": "um", "x": "um"}
    shape = [{"t": 3, "c": 2, "z": 4}.get(d, 8) for d in dims]
    image = as_image(
        np.arange(np.prod(shape), dtype=np.uint16).reshape(shape), dims, unit=units,
        pixel_size={d: s for d, s in sizes.items() if d in dims},
    )  # fmt: skip
    cells = np.broadcast_to(np.arange(8)[:, None], [n for n, d in zip(shape, dims, strict=True) if d != "c"])
    arrays = {"image": image, "labels": cells, "prediction": np.stack([cells, cells]) / 8}
    item = fb.save_dataset({"a": arrays}, tmp_path)["a"]
    plain = dims.replace("c", "")
    assert item.labels().dims == tuple(plain)
    assert (item.labels().values == cells).all()
    assert set(item.prediction().dims) == {"c", *plain}
    assert (item.prediction().transpose("c", *plain).values == np.stack([cells, cells]) / 8).all()
    assert (pixel_size(item.labels()), time_unit(item.labels())) == (pixel_size(image), time_unit(image))
    with pytest.raises(DatasetError, match=rf"but labels has shape \(8, 8\); expected the axes {plain}: reshape"):
        fb.save_dataset({"a": {"image": image, "labels": cells.reshape(-1, 8, 8)[0]}}, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_images_of_different_pixel_size_say_their_own(tmp_path):
    images = {n: {"image": as_image(RAW, pixel_size=s, unit="um")} for n, s in (("a", 0.5), ("b", 2.0))}
    saved = fb.save_dataset(images, tmp_path)
    assert saved.description.pixel_size is None
    assert [pixel_size(item.image())["x"] for item in saved] == pytest.approx([0.5, 2.0])


def test_nothing_is_lost(tmp_path):
    fb.save_dataset({"a": {"image": RAW}}, tmp_path)
    with pytest.raises(DatasetError, match="already exists"):
        fb.save_dataset({"a": {"image": RAW + 1}}, tmp_path)
    assert (Dataset.open(tmp_path)["a"].image().values == RAW).all()
    assert fb.save_dataset({"a": {"image": RAW + 1}}, tmp_path, overwrite=True)["a"].image()[0, 0] == 1


def test_what_was_saved_before_does_not_pass_for_new(tmp_path):
    fb.save_dataset({n: {"image": RAW, "labels": CELLS} for n in "ab"}, tmp_path, provenance="algorithm")
    (tmp_path / "notes.txt").write_text("mine")
    saved = fb.save_dataset({"a": {"image": RAW + 1}}, tmp_path, overwrite=True, provenance="manual")
    assert saved.names() == ["a"]
    left = {p.name for p in tmp_path.iterdir()}
    assert left == {"a_image.tif", "dataset.toml", "dataset.schema.json", "notes.txt"}


def test_what_is_read_lazily_can_be_saved_in_its_place(tmp_path):
    first = fb.save_dataset({"a": {"image": RAW}}, tmp_path)
    assert (
        fb.save_dataset({"b": {"image": first["a"].image(lazy=True)}}, tmp_path, overwrite=True)["b"].image() == RAW
    ).all()
    assert not (tmp_path / "a_image.tif").exists()


def test_images_of_others_are_neither_taken_nor_removed(tmp_path):
    tifffile.imwrite(tmp_path / "x_image.tif", RAW)
    with pytest.raises(DatasetError, match=r"no earlier call saved: x_image\.tif"):
        fb.save_dataset({"a": {"image": RAW}}, tmp_path)
    (tmp_path / "dataset.toml").write_text('image = "{name}_*.tif"')
    with pytest.raises(DatasetError, match=r"x_image\.tif"):
        fb.save_dataset({"a": {"image": RAW}}, tmp_path, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dataset.toml", "x_image.tif"]


def test_a_folder_described_by_hand_loses_no_file(tmp_path):
    """The names of its files are those of save_dataset, which did not write them."""
    for name in ("x_image", "x_labels", "y_image"):
        tifffile.imwrite(tmp_path / f"{name}.tif", RAW)
    (tmp_path / "dataset.toml").write_text('image = "{name}_image.tif"\nlabels = "{name}_labels.tif"\n')
    before = files_of(tmp_path)
    with pytest.raises(DatasetError, match=r"no earlier call saved: x_image\.tif, y_image\.tif"):
        fb.save_dataset({"a": {"image": RAW}}, tmp_path, overwrite=True)
    assert files_of(tmp_path) == before


def test_what_was_saved_and_corrected_by_hand_is_not_removed(tmp_path):
    fb.save_dataset({n: {"image": RAW, "labels": CELLS} for n in "ab"}, tmp_path)
    tifffile.imwrite(tmp_path / "a_labels.tif", RAW, imagej=True)
    fb.save_dataset({"a": {"image": RAW + 1}}, tmp_path, overwrite=True)
    assert {path.name for path in tmp_path.glob("*.tif")} == {"a_image.tif", "a_labels.tif"}


def test_a_failed_overwrite_leaves_the_old(tmp_path):
    fb.save_dataset({"a": {"image": RAW}}, tmp_path)
    images = {"a": {"image": RAW + 1}, "b": {"image": RAW.astype(complex)}}
    with pytest.raises(DatasetError, match=r"b: .*complex"):
        fb.save_dataset(images, tmp_path, overwrite=True)
    assert (Dataset.open(tmp_path)["a"].image().values == RAW).all()


def test_meanings_are_kept_beside_those_of_classes(tmp_path):
    arrays = {"image": RAW, "labels": CELLS, "classes": (RAW > 9).astype(np.uint8)}
    saved = fb.save_dataset({"a": arrays}, tmp_path, values={"labels": {70000: "ignore"}})
    assert saved.description.values.labels == {70000: "ignore"}
    assert saved.description.values.classes == {0: "background", 1: "membrane", 255: "ignore"}
    assert (saved["a"].region().values == (CELLS != 70000)).all()


@pytest.mark.parametrize(
    "name", ["", "..", "a/b", "/etc/a", "a\\b", "C:a", "a*", "{name}", "con", "NUL.x", "a.", "a\n", "x" * 300]
)
def test_names_that_are_no_names_of_files(tmp_path, name):
    with pytest.raises(DatasetError, match="cannot name the files"):
        fb.save_dataset({name: {"image": RAW}}, tmp_path)


@pytest.mark.parametrize(
    ("images", "fields", "words"),
    [
        ({}, {}, "nothing to save"),
        ({"a": {"labels": CELLS}}, {}, "there is no 'image'"),
        ({"a": {"image": RAW, "mask": CELLS}}, {}, "role 'mask' is unknown; roles are image, classes"),
        ({"a": {"image": RAW, "labels": CELLS[1:]}}, {}, r"image has shape \(8, 10\), but labels has shape \(7, 10\)"),
        ({"a": {"image": RAW, "labels": CELLS > 0}}, {}, "binary mask"),
        ({"a": {"image": RAW, "classes": RAW}}, {}, "classes contain"),
        ({"a": {"image": RAW}, "A": {"image": RAW}}, {}, "upper and lower case"),
        ({"a": {"image": RAW.astype(complex)}}, {}, "complex"),
        ({"a": {"image": RAW, "classes": RAW > 9}}, {"values": {"classes": {1: "cell"}}}, "values.classes is set"),
        ({"a": {"image": RAW}}, {"image": "*.tif"}, "image is set by the files"),
        ({"a": {"image": RAW}}, {"provenence": "manual"}, "did you mean 'provenance'"),
        ({"a": {"image": RAW}}, {"split": {"test": ["typo"]}}, "names typo, which fits no image in .*its images are a"),
        ({"a": {"image": RAW}}, {"files": {"b": {"membranes": "dark"}}}, "files names b, which fits no image"),
        ({"a": {"image": RAW}}, {"files": {"b": {"image": "b.tif"}}}, "its image .*b.tif does not exist"),
        ({"a": {"image": RAW}}, {"files": {"a": {"derived_from": {"item": "a"}}}}, "forms a cycle"),
        ({"a": {"image": RAW}}, {"names": "{source}_{position}"}, "does not fit names"),
    ],
)
def test_what_cannot_be_saved_leaves_nothing(tmp_path, images, fields, words):
    with pytest.raises(DatasetError, match=words):
        fb.save_dataset(images, tmp_path / "new", **fields)
    assert not (tmp_path / "new").exists()
    fb.save_dataset({"x": {"image": RAW}, "y": {"image": RAW}}, tmp_path / "old")
    before = files_of(tmp_path / "old")
    with pytest.raises(DatasetError, match=words):
        fb.save_dataset(images, tmp_path / "old", overwrite=True, **fields)
    assert files_of(tmp_path / "old") == before


# --- one image more ---------------------------------------------------------------------------------

PAIR = {"image": RAW, "labels": CELLS}


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else None


def same(one, other):
    """Whether two folders are read alike: names, splits, pixels, places, provenance."""
    assert one.names() == other.names()
    for a, b in zip(one, other, strict=True):
        assert (a.split, a.provenance, a.paths.keys()) == (b.split, b.provenance, b.paths.keys())
        for role in ("image", "labels", "classes", "region", "prediction"):
            if role in a.paths or role == "region":
                x, y = getattr(a, role)(), getattr(b, role)()
                assert (x is None) == (y is None)
                assert x is None or (x.identical(y) and unit(x) == unit(y) and pixel_size(x) == pixel_size(y)), role


def calibrated(size, dims="yx", word="um", more=0):
    raw = RAW + more
    return as_image(raw if dims == "yx" else np.stack([raw, raw]), dims, pixel_size=size, unit=word)


IMAGES = {
    "a": ({"image": calibrated(0.5, more=1), "labels": CELLS}, "train", {"provenance": "manual"}),
    "b": ({"image": calibrated(0.5, more=2), "labels": CELLS, "region": RAW > 9}, "test", {"provenance": "manual"}),
    "c": ({"image": calibrated(2.0, more=3), "labels": CELLS}, "validation", {"provenance": "algorithm"}),
    "d": ({"image": calibrated(0.5, more=4), "classes": (RAW > 9).astype(np.uint8)}, "train", {"provenance": "manual"}),
    "e": ({"image": RAW}, "test", {"provenance": "corrected"}),
}


@pytest.mark.parametrize("order", ["abcde", "edcba", "cebad"])
def test_images_added_one_by_one_are_as_if_saved_at_once(tmp_path, order):
    for name in order:
        arrays, split, facts = IMAGES[name]
        added = fb.add_to_dataset(tmp_path / "one by one", name, arrays, split=split, **facts)
    splits = {kind: [n for n in "abcde" if IMAGES[n][1] == kind] for kind in ("validation", "test")}
    files = {n: {"provenance": facts["provenance"]} for n, (_, _, facts) in IMAGES.items()}
    at_once = fb.save_dataset(
        {n: arrays for n, (arrays, _, _) in IMAGES.items()}, tmp_path / "at once", split=splits, files=files
    )
    same(added, at_once)
    same(Dataset.open(tmp_path / "one by one"), at_once)
    assert {p.name for p in (tmp_path / "one by one").iterdir()} == {p.name for p in (tmp_path / "at once").iterdir()}
    assert not [finding for finding in fb.check_dataset(tmp_path / "one by one") if finding.severity == "problem"]


def test_other_files_are_not_touched(tmp_path):
    fb.add_to_dataset(tmp_path, "a", PAIR)
    (tmp_path / "notes.txt").write_text("mine")
    before = files_of(tmp_path)
    fb.add_to_dataset(tmp_path, "b", PAIR, split="validation")
    after = files_of(tmp_path)
    assert {name for name in after if before.get(name) != after[name]} == {
        "b_image.tif", "b_labels.tif", "dataset.toml"
    }  # fmt: skip


def test_an_image_replaces_one_of_its_name_and_nothing_else_of_it_stays(tmp_path):
    fb.add_to_dataset(tmp_path, "a", {**PAIR, "region": RAW > 9}, provenance="algorithm", split="test")
    fb.add_to_dataset(tmp_path, "b", {**PAIR, "region": RAW > 20}, provenance="algorithm")
    with pytest.raises(DatasetError, match="already has an image 'a': choose another name, or give overwrite=True"):
        fb.add_to_dataset(tmp_path, "a", PAIR)
    saved = fb.add_to_dataset(
        tmp_path, "a", {"image": RAW + 1, "labels": CELLS}, provenance="manual", split="train", overwrite=True
    )
    assert (saved["a"].split, saved["a"].provenance, saved["b"].provenance) == ("train", "manual", "algorithm")
    assert saved["a"].region() is None
    assert saved["b"].region() is not None
    assert saved["a"].image()[0, 0] == 1
    assert not (tmp_path / "a_region.tif").exists()
    again = fb.add_to_dataset(tmp_path, "a", PAIR, overwrite=True)["a"]
    assert again.provenance == "algorithm", "nothing was said of it: what the folder says"


def test_the_only_image_can_be_replaced(tmp_path):
    fb.add_to_dataset(tmp_path, "a", {"image": calibrated(0.5), "labels": CELLS}, provenance="manual")
    saved = fb.add_to_dataset(tmp_path, "a", {"image": calibrated(3.0, word="mm")}, overwrite=True, provenance="manual")
    assert (pixel_size(saved["a"].image())["x"], unit(saved["a"].image())) == (3, "mm")
    assert saved["a"].paths.keys() == {"image"}


def test_pixel_sizes_are_those_of_each_image(tmp_path):
    """The first without a pixel size, the next with one, the next in another unit, and one as the first."""
    sizes = {"a": RAW, "b": calibrated(0.5), "c": calibrated(7, word="nm"), "d": RAW, "e": calibrated(0.5, "zyx")}
    for name, image in sizes.items():
        fb.add_to_dataset(tmp_path, name, {"image": image})
    for item in Dataset.open(tmp_path):
        expected = as_image(sizes[item.name])
        assert (pixel_size(item.image()), unit(item.image())) == (pixel_size(expected), unit(expected)), item.name


def test_an_image_without_a_pixel_size_does_not_take_that_of_the_folder(tmp_path):
    fb.add_to_dataset(tmp_path, "a", {"image": calibrated(0.5)})
    assert unit(fb.add_to_dataset(tmp_path, "b", {"image": RAW})["b"].image()) == "pixel"


@pytest.mark.parametrize(
    ("name", "arrays", "options", "words"),
    [
        ("b", {"labels": CELLS}, {}, "there is no 'image'"),
        ("b", {"image": RAW, "labels": CELLS[1:]}, {}, "has shape"),
        ("b", {"image": RAW.astype(complex)}, {}, "complex"),
        ("../b", PAIR, {}, "cannot name the files"),
        ("b", PAIR, {"split": "tset"}, "split is 'tset'; expected one of train, validation, test"),
        ("b", PAIR, {"provenence": "manual"}, "provenence"),
        ("b", PAIR, {"provenance": "guessed"}, "provenance"),
        ("a", PAIR, {}, "already"),
        ("A", PAIR, {}, "upper and lower case"),
    ],
)
def test_what_cannot_be_added_changes_nothing(tmp_path, name, arrays, options, words):
    fb.add_to_dataset(tmp_path / "old", "a", PAIR)
    before = files_of(tmp_path / "old")
    with pytest.raises(DatasetError, match=words):
        fb.add_to_dataset(tmp_path / "old", name, arrays, **options)
    assert files_of(tmp_path / "old") == before
    if name not in "aA":
        with pytest.raises(DatasetError, match=words):
            fb.add_to_dataset(tmp_path / "new", name, arrays, **options)
        assert not (tmp_path / "new").exists()


def test_a_name_that_does_not_fit_those_of_the_folder_changes_nothing(tmp_path):
    fb.save_dataset({"l_1": PAIR, "l_2": PAIR}, tmp_path, names="{source}_{position}")
    before = files_of(tmp_path)
    with pytest.raises(DatasetError, match="'foo' does not fit names"):
        fb.add_to_dataset(tmp_path, "foo", PAIR)
    assert files_of(tmp_path) == before
    assert fb.add_to_dataset(tmp_path, "l_3", PAIR)["l_3"].position == 3


def test_a_folder_that_somebody_else_described_is_left_alone(tmp_path):
    tifffile.imwrite(tmp_path / "x_raw.tif", RAW)
    (tmp_path / "dataset.toml").write_text('image = "{name}_raw.tif"\n')
    before = files_of(tmp_path)
    with pytest.raises(DatasetError, match=r"names its files image = '\{name\}_raw\.tif', but save_dataset writes"):
        fb.add_to_dataset(tmp_path, "y", PAIR)
    assert files_of(tmp_path) == before


def test_files_of_others_are_not_overwritten(tmp_path):
    """Files that the description does not name, of the names that would be written."""
    fb.add_to_dataset(tmp_path, "a", {"image": RAW})
    tifffile.imwrite(tmp_path / "b_labels.tif", CELLS.astype(np.uint16))
    before = files_of(tmp_path)
    for overwrite in (False, True):
        with pytest.raises(DatasetError, match=r"already contains b_labels\.tif: choose another name or folder"):
            fb.add_to_dataset(tmp_path, "b", PAIR, overwrite=overwrite)
    assert files_of(tmp_path) == before
    (tmp_path / "dataset.toml").unlink()
    for add in (lambda: fb.add_to_dataset(tmp_path, "a", PAIR), lambda: fb.save_dataset({"a": PAIR}, tmp_path)):
        with pytest.raises(DatasetError, match=r"already contains a_image\.tif"):
            add()
    assert files_of(tmp_path) == {name: data for name, data in before.items() if name != "dataset.toml"}


def test_files_told_by_hand_stay_when_their_image_is_replaced(tmp_path):
    """Labels that two images share, and an image with a name of its own."""
    for name in ("a_image", "b_image", "overview", "truth", "b_labels"):
        tifffile.imwrite(tmp_path / f"{name}.tif", RAW)
    (tmp_path / "dataset.toml").write_text(
        'image = "{name}_image.tif"\nlabels = "{name}_labels.tif"\n[files.a]\nlabels = "truth.tif"\n'
        '[files.c]\nimage = "overview.tif"\nlabels = "b_labels.tif"\n'
    )
    before = files_of(tmp_path)
    for name in "ac":
        assert (fb.add_to_dataset(tmp_path, name, PAIR, overwrite=True)[name].labels() == CELLS).all()
    after = files_of(tmp_path)
    assert {name for name in before if before[name] != after.get(name)} == {"a_image.tif", "dataset.toml"}


def test_files_of_other_images_are_not_overwritten(tmp_path):
    fb.save_dataset({"a": PAIR, "b": {"image": RAW}}, tmp_path)
    toml = (tmp_path / "dataset.toml").read_text()
    assert 'without = ["labels"]' in toml
    (tmp_path / "dataset.toml").write_text(toml.replace('without = ["labels"]', 'labels = "a_labels.tif"'))
    before = files_of(tmp_path)
    with pytest.raises(DatasetError, match=r"already contains a_labels\.tif"):
        fb.add_to_dataset(tmp_path, "a", PAIR, overwrite=True)
    assert files_of(tmp_path) == before


def test_a_disk_that_is_full_leaves_the_old(tmp_path, monkeypatch):
    """The second of two files cannot be written."""
    fb.add_to_dataset(tmp_path, "a", PAIR)
    before = files_of(tmp_path)
    write = writer.write_image

    def full(array, path, *given):
        if path.name.endswith("labels.tif"):
            raise OSError(28, "No space left on device")
        write(array, path, *given)

    monkeypatch.setattr(writer, "write_image", full)
    for name, overwrite in (("a", True), ("b", False)):
        with pytest.raises(OSError, match="No space left"):
            fb.add_to_dataset(tmp_path, name, {"image": RAW + 1, "labels": CELLS}, overwrite=overwrite)
    assert files_of(tmp_path) == before


def test_what_a_folder_says_of_itself_stays(tmp_path):
    fb.save_dataset(
        {"a": PAIR, "b": PAIR}, tmp_path, provenance="corrected", provenance_note="by two people", membranes="dark",
        values={"labels": {70000: "ignore"}}, split={"test": ["b"]}, files={"b": {"membranes": "bright"}},
    )  # fmt: skip
    saved = fb.add_to_dataset(tmp_path, "c", {**PAIR, "classes": (RAW > 9).astype(np.uint8)}, provenance="manual")
    told = saved.description
    assert (told.provenance, told.provenance_note, told.membranes) == ("corrected", "by two people", "dark")
    assert told.values.labels == {70000: "ignore"}
    assert told.values.classes == {0: "background", 1: "membrane", 255: "ignore"}
    assert [item.provenance for item in saved] == ["corrected", "corrected", "manual"]
    assert saved.names("test") == ["b"]
    assert saved["b"].description.membranes == "bright"


def test_the_old_order_of_folder_and_images_works_and_warns(tmp_path):
    old: tuple = (tmp_path, {"a": {"image": RAW}})
    words = r"save_dataset\(path, object\) was renamed to save_dataset\(object, path\)"
    with pytest.warns(RenamedWarning, match=words):
        saved = fb.save_dataset(*old)
    assert saved.names() == ["a"]
