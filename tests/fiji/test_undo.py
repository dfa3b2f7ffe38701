"""Unsaved work is not replaced unasked, and Undo restores a replaced image."""

from __future__ import annotations

import gc

import jpype
import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.errors import ImageError, MacroError, UnsavedError
from fijibridge.fiji import undo
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.monitor import TrainingMonitor
from fijibridge.verbs import Cells, Image, ShowImage, unregister

PAINT = "selectImage('%s'); run('Select None'); setColor(99); drawLine(1, 1, 3, 3); updateDisplay();"


def images():
    rng = np.random.default_rng(0)
    colors = {"c": ["red", "green", "blue"]}
    return {
        "8-bit": rng.integers(0, 255, (6, 8)).astype(np.uint8),
        "16-bit": rng.integers(0, 9999, (6, 8)).astype(np.uint16),
        "signed": rng.integers(-99, 99, (6, 8)).astype(np.int16),
        "32-bit": rng.random((6, 8), np.float32),
        "RGB": fb.as_image(rng.integers(0, 255, (3, 6, 8)).astype(np.uint8), "cyx").assign_coords(colors),
        "stack": rng.integers(0, 255, (4, 6, 8)).astype(np.uint8),
        "composite": fb.as_image(rng.integers(0, 255, (2, 3, 6, 8)).astype(np.uint16), "czyx"),
        "RGB stack": fb.as_image(rng.integers(0, 255, (3, 2, 6, 8)).astype(np.uint8), "czyx").assign_coords(colors),
        "series": fb.as_image(rng.integers(0, 255, (2, 2, 3, 6, 8)).astype(np.float32), "tczyx"),
    }


# --- changed, and not saved -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["8-bit", "stack", "composite"])
def test_what_somebody_painted_is_not_replaced_unasked(clean, tmp_path, kind):
    image = images()[kind]
    clean.show(image, name="a")
    clean.show(image, name="a")
    clean.run_macro(PAINT % "a")
    painted = clean.array("a")
    assert not np.array_equal(painted, np.asarray(image))
    with pytest.raises(UnsavedError, match=r"'a' was changed and is not saved.*overwrite=True"):
        clean.show(image, name="a")
    assert (clean.array("a") == painted).all()
    assert clean.show(image, name="a", new=True) == "a-1"
    assert clean.show(image, name="b") == "b"
    clean.show(image, name="a", overwrite=True)
    assert (clean.array("a") == np.asarray(image)).all()
    clean.run_macro(PAINT % "a")
    clean.run_macro(f"selectImage('a'); saveAs('Tiff', '{tmp_path / 'a.tif'}'); rename('a');")
    clean.show(image, name="a")
    assert (clean.array("a") == np.asarray(image)).all(), "it was saved"


def test_labels_that_were_painted_in_are_not_replaced_unasked(clean, cells):
    clean.show_labels(cells, name="labels")
    clean.show_labels(cells, name="labels")
    clean.run_macro(PAINT % "labels")
    with pytest.raises(UnsavedError, match="labels"):
        clean.show_labels(cells, name="labels")
    clean.show_labels(cells, name="labels", overwrite=True)
    assert (clean.array("labels") == cells).all()


@pytest.mark.parametrize("kind", list(images()))
def test_what_only_python_wrote_is_nobodys_work(clean, kind):
    image = images()[kind]
    clean.show(image, name="a")
    pulled = clean.image("a")
    for _ in range(2):
        pulled.values[..., 1, 2] = 7
        clean.write(pulled)
    assert bool(clean._find("a").changes), "closing its window asks"
    clean.show(image, name="a")
    clean.write(pulled)
    clean.run_macro(PAINT % "a")
    with pytest.raises(UnsavedError):
        clean.show(image, name="a")


def test_what_python_writes_into_somebodys_work_leaves_it_that(clean):
    clean.show(np.zeros((6, 8), np.uint8), name="a")
    clean.run_macro(PAINT % "a")
    part = clean.image("a", region={"y": slice(0, 1)})
    clean.write(part)
    with pytest.raises(UnsavedError):
        clean.show(np.zeros((6, 8), np.uint8), name="a")


def test_measuring_drawing_and_looking_are_no_changes(clean, cells):
    clean.show(cells, name="a", lut="Fire", limits=(0, 5))
    clean.show_labels(cells, over="a", name="labels")
    clean.add_rois(fb.labels_to_rois(cells), "a")
    clean.measure(cells, "a")
    clean.select("a", "9")
    clean.run_macro("selectImage('a'); setMinAndMax(0, 9); run('Grays'); makeOval(1, 1, 4, 4);")
    clean.show(cells, name="a")
    clean.show_labels(cells, name="labels")


# --- and back ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(images()))
def test_a_push_is_undone_and_done_again(clean, kind):
    image = fb.as_image(images()[kind], pixel_size=0.5, unit="um", origin={"y": 2.0})
    clean.show(image, name="a")
    before = clean.image("a")
    with pytest.raises(ImageError, match=r"nothing to undo in 'a'.*it was not replaced or written to"):
        clean.undo("a")
    other = image.copy(data=image.values[..., ::-1, :])
    clean.show(other, name="a")
    clean.add_rois([fb.Roi.rectangle(1, 1, 2, 2, name="x")], "a")
    assert clean.undo("a") == "a"
    assert_same(clean.image("a"), before)
    assert [roi.name for roi in clean.rois("overlay", "a")] == ["x"], "what was drawn since stays"
    clean.undo()
    np.testing.assert_array_equal(clean.array("a"), other.values)
    assert clean.titles() == ["a"]


@pytest.mark.parametrize("kind", list(images()))
def test_what_was_written_is_undone(clean, kind):
    clean.show(images()[kind], name="a")
    before = clean.image("a")
    if "z" in before.dims:
        clean._find("a").setPosition(1, 2, 1)
    new = before.copy(data=before.values[..., ::-1].copy())
    clean.write(new)
    np.testing.assert_array_equal(clean.array("a"), new.values)
    clean.run_macro("selectImage('a'); run('Duplicate...', 'title=d duplicate');")
    np.testing.assert_array_equal(clean.array("d"), new.values, err_msg="ImageJ sees what was written, on all slices")
    clean.close_image("d")
    clean.undo("a")
    assert_same(clean.image("a"), before)
    assert not bool(clean._find("a").changes)
    clean.undo("a")
    np.testing.assert_array_equal(clean.array("a"), new.values)
    part = clean.image("a", region={"y": slice(1, 3)})
    part.values[:] = 1
    clean.write(part)
    clean.undo("a")
    np.testing.assert_array_equal(clean.array("a"), new.values)


def test_another_size_and_kind_are_undone_too(clean):
    all_kinds = images()
    for first, second in (("8-bit", "composite"), ("composite", "32-bit"), ("stack", "RGB"), ("16-bit", "series")):
        clean.show(all_kinds[first], name="a", overwrite=True)
        before = clean.image("a")
        clean.show(np.asarray(all_kinds[second])[..., :5, :7] if second != "RGB" else all_kinds[second], name="a")
        clean.undo("a")
        assert_same(clean.image("a"), before)
        clean.close_image("a")


def test_unsaved_work_that_was_replaced_comes_back_as_such(clean):
    clean.show(np.zeros((6, 8), np.uint8), name="a")
    clean.run_macro(PAINT % "a")
    painted = clean.array("a")
    clean.show(np.ones((6, 8), np.uint8), name="a", overwrite=True)
    clean.undo("a")
    assert (clean.array("a") == painted).all()
    with pytest.raises(UnsavedError):
        clean.show(np.ones((6, 8), np.uint8), name="a")


def test_the_colours_of_many_ids_come_back(clean):
    many = np.arange(48, dtype=np.uint16).reshape(6, 8) * 20
    few = np.arange(48, dtype=np.uint16).reshape(6, 8) % 5
    clean.show_labels(many, name="l")
    painted = [str(roi.getName()) for roi in clean._find("l").getOverlay().toArray()]
    first = clean.image("l")
    clean.show_labels(few, name="l")
    assert clean._find("l").getOverlay() is None
    clean.undo("l")
    assert_same(clean.image("l"), first)
    assert [str(roi.getName()) for roi in clean._find("l").getOverlay().toArray()] == painted
    clean.undo("l")
    assert clean._find("l").getOverlay() is None


@pytest.mark.parametrize("kind", ["8-bit", "16-bit", "signed", "32-bit", "RGB"])
def test_imagejs_own_undo_brings_a_single_plane_back(clean, kind):
    clean.show(images()[kind], name="a")
    before = clean.array("a")
    other = fb.as_image(images()[kind])
    clean.show(other.copy(data=other.values[..., ::-1, :]), name="a")
    clean.run_macro("selectImage('a'); run('Undo');")
    np.testing.assert_array_equal(clean.array("a"), before)
    new = clean.image("a")
    new.values[..., 2:, :] = 3
    clean.write(new)
    clean.run_macro("selectImage('a'); run('Undo');")
    np.testing.assert_array_equal(clean.array("a"), before)


def test_what_was_is_held_by_reference_and_softly(clean):
    stack = np.zeros((3, 6, 8), np.uint8)
    clean.show(stack, name="a")
    imp = clean._find("a")
    first = imp.getStack()
    clean.show(stack + 1, name="a")
    reference = imp.getProperty(undo.BEFORE)
    assert isinstance(reference, jpype.JClass("java.lang.ref.SoftReference"))
    assert reference.get().getStack().equals(first), "no copy"
    assert reference.get().getProperty(undo.BEFORE) is None, "and no chain of all that ever was"
    reference.clear()
    with pytest.raises(ImageError, match="needed the memory"):
        clean.undo("a")
    gc.collect()


def test_a_table_that_was_replaced_comes_back(clean):
    mine = pd.DataFrame({"n": [1.0, 2.0], "text": ["a", "b"]})
    for name in ("Results", "Mine"):
        clean.show_table(mine, name)
        clean.show_table(pd.DataFrame({"other": [3.0]}), name)
        assert clean.undo(name) == name
        pd.testing.assert_frame_equal(clean.table(name), mine)
        clean.undo(name)
        assert clean.table(name)["other"].tolist() == [3.0]
    clean.show(np.zeros((6, 8), np.uint8), name="a")
    clean.run_macro("selectImage('a'); run('Measure');")
    measured = clean.table()
    clean.measure(np.ones((6, 8), int), "a")
    clean.undo("Results")
    pd.testing.assert_frame_equal(clean.table(), measured)


def assert_same(got, expected):
    """Compare pixels, axes, calibration and looks."""
    assert got.identical(expected.assign_attrs(got.attrs))
    for axis in expected.coords:
        assert got.coords[axis].attrs == expected.coords[axis].attrs
    one, other = fb.imagej_info(got), fb.imagej_info(expected)
    assert one | {"id": 0} == other | {"id": 0}


# --- verbs ------------------------------------------------------------------------------------------


@pytest.fixture
def bright():
    """A verb whose results are an image and a label image."""

    @fb.verb("Bright Parts...")
    def bright_parts(image: Image, above: float = 100) -> list:
        """Show what is bright."""
        return [ShowImage(image > above, "bright"), ShowImage(image * 2, "twice")]

    @fb.verb("Own Cells...")
    def own_cells(image: Image) -> Cells:
        """Number all pixels."""
        return (image > 100).astype(np.uint8).rename("own")

    yield
    unregister("bright_parts")
    unregister("own_cells")


def test_a_macro_keeps_what_was_changed_and_says_so(clean, bright, capfd):
    clean.show(np.arange(48, dtype=np.uint8).reshape(6, 8) * 5, name="i")
    call = "selectImage('i'); run('FijiBridge Bright Parts...', 'image=i%s');"
    clean.run_macro(call % "")
    clean.run_macro(call % "")
    assert clean.titles() == ["i", "bright", "twice"]
    first = clean.array("bright")
    clean.run_macro(PAINT % "bright")
    painted = clean.array("bright")
    clean.run_macro(call % " above=50")
    assert clean.titles() == ["i", "bright", "twice", "bright-1"]
    assert (clean.array("bright") == painted).all()
    assert (clean.array("bright-1") > 0).sum() > (first > 0).sum()
    jpype.JClass("java.lang.System").out.flush()
    told = [line for line in capfd.readouterr().out.splitlines() if "bright" in line]
    assert told == [
        "FijiBridge: 'bright' was changed and is not saved: the result is 'bright-1' (overwrite=true replaces it)"
    ]
    clean.run_macro(call % " above=50")
    assert clean.titles() == ["i", "bright", "twice", "bright-1"], "which is replaced the next time"
    clean.run_macro(call % " overwrite=true")
    assert (clean.array("bright") == first).all()
    assert clean.titles() == ["i", "bright", "twice", "bright-1"]
    clean.undo("bright")
    assert (clean.array("bright") == painted).all()


def test_overwrite_replaces_what_the_user_opened_too_but_no_input(clean, bright):
    clean.show(np.full((6, 8), 200, np.uint8), name="i")
    clean.show(np.zeros((3, 3), np.uint8), name="own")
    call = "run('FijiBridge Own Cells...', 'image=%s%s');"
    clean.run_macro(call % ("i", ""))
    assert clean.titles() == ["i", "own", "own-1"]
    clean.run_macro(call % ("i", " overwrite"))
    assert clean.titles() == ["i", "own", "own-1"]
    assert clean.array("own").shape == (6, 8)
    clean.show(np.full((6, 8), 200, np.uint8), name="bright")
    clean.run_macro("run('FijiBridge Bright Parts...', 'image=bright overwrite');")
    assert (clean.array("bright") == 200).all()
    assert "bright-1" in clean.titles()


def test_verbs_that_show_no_image_do_not_know_the_option(clean):
    with pytest.raises(MacroError, match="option 'overwrite' does not exist"):
        clean.run_macro("run('FijiBridge About', 'overwrite=true');")


def test_what_somebody_painted_in_what_a_diagnosis_or_a_training_shows_stays(clean, cells):
    clean.show(cells, name="raw")
    diagnosis = fb.diagnose(cells, np.roll(cells, 2, axis=1))
    for _ in range(2):
        clean.show_diagnosis(diagnosis, cells, np.roll(cells, 2, axis=1), over="raw")
    assert clean.titles() == ["raw", "Diagnosis errors"]
    clean.run_macro(PAINT % "Diagnosis errors")
    clean.show_diagnosis(diagnosis, cells, np.roll(cells, 2, axis=1), over="raw")
    assert clean.titles() == ["raw", "Diagnosis errors", "Diagnosis errors-1"]
    monitor = TrainingMonitor(clean)
    picture = fb.as_image(np.random.default_rng(0).random((2, 20, 30), np.float32), "cyx")
    for _ in range(2):
        monitor._draw_picture(picture)
    assert clean.titles("Training*") == ["Training picture"]
    clean.run_macro(PAINT % "Training picture")
    painted = clean.array("Training picture")
    for _ in range(2):
        monitor._draw_picture(picture)
    assert clean.titles("Training*") == ["Training picture", "Training picture-1"]
    assert (clean.array("Training picture") == painted).all()


def test_two_images_of_a_results_name_stay(clean, bright):
    """Also if a verb made both: nobody knows which one is meant."""
    clean.show(np.full((6, 8), 200, np.uint8), name="i")
    clean.run_macro("run('FijiBridge Own Cells...', 'image=i'); run('Duplicate...', 'title=own');")
    ids = clean.ids("own")
    for number in ids:
        clean._find(number).setProperty("fijibridge.result", "own")
    clean.run_macro("run('FijiBridge Own Cells...', 'image=i overwrite');")
    assert clean.titles() == ["i", "own", "own", "own-1"]


@pytest.mark.parametrize("kind", ["8-bit", "stack"])
def test_what_was_written_and_undone_is_nobodys_work(clean, kind):
    image = images()[kind]
    clean.show(image, name="a")
    pulled = clean.image("a")
    pulled.values[..., 2, 2] += 1
    clean.write(pulled)
    clean.undo("a")
    clean.show(image, name="a")  # nobody changed it
    clean.write(pulled)
    clean.run_macro(PAINT % "a")
    with pytest.raises(UnsavedError):
        clean.show(image, name="a")


def test_a_macro_waits_until_pushed_pixels_are_known(clean):
    """A Java thread computes the checksums of a large image while Python continues."""
    clean.show(np.zeros((60, 1024, 1024), np.uint8), name="large")
    assert classes.pushes().pending() == 1
    clean.run_macro("selectImage('large'); setSlice(60); setPixel(5, 5, 9);")
    assert classes.pushes().pending() == 0
    with pytest.raises(UnsavedError):
        clean.show(np.zeros((60, 1024, 1024), np.uint8), name="large")
