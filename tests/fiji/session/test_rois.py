"""ROIs both ways, with ImageJ's own pixels."""

from __future__ import annotations

import jpype
import numpy as np
import pytest

import fijibridge as fb
from fijibridge.errors import RoiError
from fijibridge.fiji import rois as fiji_rois


def test_rois_both_ways(clean):
    tissue = fb.synthetic_epithelium((80, 90), cell_size=16, seed=3)
    clean.show(tissue.image, name="t")
    rois = fb.labels_to_rois(tissue.labels)
    clean.add_rois(rois)
    back = clean.rois()
    assert [r.name for r in back] == [r.name for r in rois]
    assert (fb.rois_to_labels(back, tissue.image.shape) == tissue.labels.values).all()
    clean._find("t").setOverlay(None)
    with pytest.raises(RoiError, match="no ROI in"):
        clean.rois()
    clean.run_macro("makeOval(10, 20, 30, 25);")
    (selection,) = clean.rois()
    assert (selection.kind, selection.bounds) == ("oval", (10, 20, 40, 45))
    with pytest.raises(RoiError, match="the overlay"):
        clean.rois(source="overlay")


@pytest.mark.parametrize(
    "macro",
    [
        "makeRectangle(3, 4, 20, 10);",
        "makeOval(3, 4, 21, 10);",
        "makeOval(0, 0, 7, 7);",
        "makePolygon(2, 2, 30, 5, 20, 35, 5, 20);",
        "makeSelection('freehand', newArray(2, 30, 20, 5), newArray(2, 5, 35, 20));",
        "makePolygon(2.3, 2.7, 30.1, 5.9, 20.5, 35.5, 5.01, 20.2);",
        "makeRectangle(3, 4, 20, 10); setKeyDown('alt'); makeOval(6, 6, 8, 6);",
        "makePolygon(-5, -5, 60, 20, 10, 60);",
        "makeEllipse(5, 8, 33, 30, 0.5);",
        "makeEllipse(2.5, 20.5, 37.5, 20.5, 0.31);",
        "makeRotatedRectangle(8, 8, 30, 25, 11);",
        "makeRectangle(5.3, 4.6, 12.2, 9.7);",
    ],
)
def test_masks_are_imagejs_own_pixel_by_pixel(clean, macro):
    clean.show(np.zeros((40, 40), np.uint8), name="a")
    clean.run_macro(macro)
    (roi,) = clean.rois(source="image")
    clean.run_macro("setForegroundColor(255, 255, 255); setColor(255); fill();")
    assert (fb.rois_to_mask([roi], (40, 40)) == (clean.array("a") > 0)).all()


def test_slices_of_a_hyperstack_both_ways(clean):
    """A ROI's z on a hyperstack with channels is not its position in the stack."""
    labels = np.zeros((3, 10, 10), int)
    labels[2, 2:5, 2:5], labels[0, 6:8, 6:8] = 7, 7
    stack = np.zeros((2, 3, 10, 10), np.uint8)
    stack[0] = np.arange(3)[:, None, None] * 10
    clean.show(stack, name="h")
    clean.add_rois(fb.labels_to_rois(labels), "h")
    assert [int(r.getZPosition()) for r in clean._find("h").getOverlay().toArray()] == [1, 3]
    back = clean.rois(source="overlay", title="h")
    assert [r.position for r in back] == [1, 3]
    assert (fb.rois_to_labels(back, labels.shape) == labels).all()
    table = clean.measure(back, "h", ["area", "mean"])
    assert table[["slice", "Area", "Mean"]].to_numpy().tolist() == [[1, 4, 0], [3, 9, 20]]


@pytest.mark.parametrize("axes", ["tyx", "tcyx", "cyx", "tczyx"])
def test_cells_of_a_series_lie_on_its_frames_both_ways(clean, axes):
    """Also where ImageJ has but one slice: its measuring finds them, and they come back as they were."""
    labels = np.zeros((3, 10, 10), np.uint16)
    labels[0, 1:4, 1:4], labels[1, 2:5, 2:5], labels[2, 6:9, 6:9], labels[2, 1:3, 1:3] = 7, 7, 7, 9
    planes, counts = (np.arange(1, 4) * 10).reshape(3, 1, 1), {"t": 3, "c": 2, "z": 3, "y": 10, "x": 10}
    if axes == "cyx":
        counts["c"] = 3
    shape = tuple(counts[axis] for axis in axes)
    pixels = np.broadcast_to(planes, (3, 10, 10)).astype(np.uint8)
    pixels = np.broadcast_to(pixels[:, None] if axes == "tcyx" else pixels, shape)
    clean.show(fb.as_image(pixels, axes), name="s")
    clean.show_labels(labels, over="s")
    imp = clean._find("s")
    lie = [fiji_rois.plane_of(imp, roi) for roi in imp.getOverlay().toArray()]
    assert lie == [1, 2, 3, 3]
    assert clean.measure("overlay", "s", ["mean"])["Mean"].tolist() == [10, 20, 30, 30]
    assert (fb.rois_to_labels(clean.rois("overlay", "s"), labels.shape) == labels).all()
    assert (clean.corrected_cells(labels, "s", "overlay") == labels).all()
    assert fiji_rois.plane_of(imp, fiji_rois.named_roi(imp, "7", 2)) == 2
    clean.select("s", "9")
    assert {"tyx": imp.getT, "tcyx": imp.getT, "cyx": imp.getC, "tczyx": imp.getZ}[axes]() == 3


FILMS = [("tcyx", 0), ("tcyx", 1), ("tzyx", 0), ("tyx", 0), ("zyx", 0), ("tczyx", 1)]


@pytest.mark.parametrize(("axes", "channel"), FILMS)
def test_a_cell_drawn_on_each_plane_is_truth_of_that_plane(clean, tmp_path, axes, channel):
    """ImageJ stores channel, slice and frame, of which some are 1 or 0, or a single number."""
    counts = {"t": 3, "c": 2, "z": 4, "y": 10, "x": 12}
    image = fb.as_image(np.zeros([counts[d] for d in axes], np.uint8), axes)
    clean.show(image, name="film")
    imp = clean._find("film")
    imp.setDisplayMode(3 if channel else 1)  # in the composite mode, ROIs belong to all channels
    expected = np.zeros([counts[d] for d in axes if d != "c"], np.uint16)
    planes = list(np.ndindex(*expected.shape[:-2]))
    overlay = jpype.JClass("ij.gui.Overlay")()
    for n, plane in enumerate(planes):
        at = {"t": 0, "z": 0} | dict(zip([d for d in axes if d in "tz"], plane, strict=True))
        imp.setPosition(counts["c"] if "c" in axes else 1, at["z"] + 1, at["t"] + 1)
        roi = jpype.JClass("ij.gui.Roi")(n % 10, 2, 1, 3)
        roi.setPosition(imp)  # as the ROI Manager does
        overlay.add(roi)
        expected[plane][2:5, n % 10] = n + 1
    imp.setOverlay(overlay)
    dataset = clean.save_training_set(tmp_path / "set", ["film"])
    assert (dataset["film"].labels().values == expected).all()
    rois = clean.rois("overlay", "film")
    assert (fb.rois_to_labels(rois, image) == expected).all()
    assert clean.measure("overlay", "film", ["area"])["Area"].tolist() == [3.0] * len(planes)


def test_cells_that_are_drawn_on_a_frame_are_cells_of_that_frame(clean):
    clean.show(fb.as_image(np.zeros((3, 2, 10, 10), np.uint8), "tcyx"), name="s")
    imp = clean._find("s")
    imp.setT(2)
    clean.run_macro("makeRectangle(1, 1, 3, 3); run('Add Selection...');")
    cells = clean.corrected_cells(np.zeros((3, 10, 10), int), "s", "overlay")
    assert cells.values.reshape(3, -1).sum(axis=1).tolist() == [0, 9, 0]


def test_roiset_that_imagej_opens_measures_the_same_areas(clean, tmp_path):
    """ImageJ's own code reads the zip: RoiDecoder on each entry."""
    import zipfile

    tissue = fb.synthetic_epithelium((100, 100), seed=2)
    fb.write_rois(fb.labels_to_rois(tissue.labels), tmp_path / "RoiSet.zip")
    areas = {}
    with zipfile.ZipFile(tmp_path / "RoiSet.zip") as archive:
        for entry in archive.namelist():
            raw = jpype.JArray(jpype.JByte)(np.frombuffer(archive.read(entry), np.int8))
            roi = jpype.JClass("ij.io.RoiDecoder").openFromByteArray(raw)
            areas[int(str(roi.getName()))] = int(roi.getStatistics().pixelCount)
    ids, pixels = np.unique(tissue.labels.values, return_counts=True)
    assert areas == dict(zip(ids.tolist(), pixels.tolist(), strict=True))


def test_outlines_are_imagejs_own(clean):
    """ThresholdToSelection, ImageJ's own tracer: the same pixels, and for one part the same vertices in its order.

    Where pixels touch only at corners, ImageJ joins some and some not, depending on what it traced before.
    """
    from scipy import ndimage

    rng = np.random.default_rng(0)
    compared = 0
    for _ in range(120):
        labels = (ndimage.gaussian_filter(rng.random((24, 26)), 3) > 0.49).astype(np.uint8)
        clean.show(labels * np.uint8(255), name="mask")
        clean.run_macro("setThreshold(255, 255); run('Create Selection');")
        (its,) = clean.rois(source="image", title="mask")
        (ours,) = fb.labels_to_rois(labels)
        assert (fb.rois_to_mask([its], labels.shape) == labels).all()
        mine, theirs = ([path.tolist() for path in roi.paths()] for roi in (ours, its))
        if not _corner_contacts(labels):
            assert sorted(sorted(path) for path in mine) == sorted(sorted(path) for path in theirs)
            if len(mine) == 1:
                assert mine == theirs
                compared += 1
        clean.run_macro("close();")
    assert compared > 10


def _corner_contacts(labels: np.ndarray) -> bool:
    a, b, c, d = labels[:-1, :-1], labels[:-1, 1:], labels[1:, :-1], labels[1:, 1:]
    return bool(((a == d) & (b == c) & (a != b)).any())


def test_roi_manager(window):
    window("""
        tissue = fb.synthetic_epithelium((80, 80), cell_size=16)
        fiji.show(tissue.image, name="t")
        rois = fb.labels_to_rois(tissue.labels)
        fiji.add_rois(rois)
        manager = jpype.JClass("ij.plugin.frame.RoiManager").getInstance()
        assert manager.getCount() == len(rois)
        back = fiji.rois(source="manager")
        assert [r.name for r in back] == [r.name for r in rois]
        assert (fb.rois_to_labels(back, (80, 80)) == tissue.labels.values).all()
        fiji.run_macro("roiManager('reset'); makeRectangle(1, 2, 3, 4); roiManager('add');")
        assert [r.bounds for r in fiji.rois()] == [(1, 2, 4, 6)]
    """)  # fmt: skip


def test_the_roi_manager_opens_our_zip_and_measures_the_same_areas(window, tmp_path):
    window(f"""
        tissue = fb.synthetic_epithelium((80, 80), cell_size=16)
        fb.write_rois(fb.labels_to_rois(tissue.labels), {str(tmp_path / "RoiSet.zip")!r})
        fiji.show(np.zeros((80, 80), np.uint8), name="t")
        macro = "roiManager('open', getArgument()); run('Set Measurements...', 'area display redirect=None');"
        fiji.run_macro(macro + "roiManager('deselect'); roiManager('measure');", {str(tmp_path / "RoiSet.zip")!r})
        pixels = np.bincount(tissue.labels.values.reshape(-1))[1:]
        table = jpype.JClass("ij.measure.ResultsTable").getResultsTable()
        areas = np.array(table.getColumn("Area")[:])
        assert len(areas) == len(pixels) and (areas == pixels).all()
    """)  # fmt: skip


def test_rois_stay_on_their_own_slice_and_die_with_the_session(window):
    window("""
        fiji.show(np.zeros((12, 12), np.uint8), name="a")
        fiji.show(np.zeros((5, 12, 12), np.uint8), name="st")
        fiji.run_macro("selectImage('st'); setSlice(4);")
        fiji.add_rois([fb.Roi.rectangle(1, 1, 3, 3)], "a")
        assert [r.position for r in fiji.rois(source="manager")] == [0]
        fiji.close()
        again = fb.Fiji.start(WHERE, mode="interactive")
        try:
            print(again.rois(source="manager"))
        except fb.FijiBridgeError:
            pass
        else:
            raise SystemExit("the ROIs of the closed session are still there")
        again.show(np.zeros((12, 12), np.uint8), name="b")
        again.add_rois([fb.Roi.rectangle(1, 1, 3, 3)])
        assert jpype.JClass("ij.plugin.frame.RoiManager").getInstance().isVisible()
    """)  # fmt: skip


def test_ten_thousand_cells_into_overlay_and_manager(window):
    window("""
        labels = np.kron(np.arange(1, 10001).reshape(100, 100), np.ones((8, 8), int))
        labels[::8] = 0
        labels[:, ::8] = 0
        fiji.show(labels.astype(np.float32), name="raw")
        rois = fb.labels_to_rois(labels)
        fiji.add_rois(rois)
        settle()  # the windows answer
        manager = jpype.JClass("ij.plugin.frame.RoiManager").getInstance2()
        assert manager.getCount() == 10000 and fiji._find("raw").getOverlay().size() == 10000
        assert fiji.rois() == fiji.rois("overlay")
        assert (fb.rois_to_labels(fiji.rois(), labels.shape) == labels).all()
    """)  # fmt: skip


def test_selecting(window):
    window("""
        fiji.show(np.zeros((3, 40, 40), np.uint8), name="a")
        fiji.show(np.zeros((40, 40), np.uint8), name="b")
        fiji.select("a", fb.Roi.rectangle(3, 4, 5, 6, name="7", position=2))
        wait(lambda: fiji.image().name == "a")
        (roi,) = fiji.rois("image")
        assert roi.bounds == (3, 4, 8, 10) and fiji._find("a").getCurrentSlice() == 2
        part = fiji.image("a", region="roi")
        assert part.shape == (3, 6, 5) and fb.as_image(part).coords["x"].values[0] == 3
    """)  # fmt: skip
