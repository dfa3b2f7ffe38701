"""Images, cells, tables and measurements between another JVM and Python: the same as with a JVM in this process."""

from __future__ import annotations

import pickle

import jpype
import numpy as np
import pytest

import fijibridge as fb
from fijibridge.colors import palette
from fijibridge.fiji.imageplus import from_imageplus, to_imageplus
from fijibridge.rois import Roi
from tests.worker.conftest import ScriptFailed

pytestmark = pytest.mark.jvm

# Groovy and Python alike, so that both JVMs make the same image
MAKE = {
    "8-bit": "createImage('bild', '8-bit ramp', 13, 11, 1)",
    "16-bit stack": "createImage('bild', '16-bit ramp', 13, 11, 4)",
    "32-bit": "createImage('bild', '32-bit ramp', 1, 1, 1)",
    "RGB": "createImage('bild', 'RGB ramp', 13, 11, 3)",
    "hyperstack": "createHyperStack('bild', 13, 11, 2, 3, 4, 16)",
    "float channels": "createHyperStack('bild', 13, 11, 3, 1, 1, 32)",
}
CALIBRATED = """
imp.getCalibration().pixelWidth = 0.25
imp.getCalibration().pixelHeight = 0.5
imp.getCalibration().pixelDepth = 2.0
imp.getCalibration().xOrigin = 3.0
imp.getCalibration().setUnit('micron')
imp.getCalibration().frameInterval = 1.5
imp.getStack().setSliceLabel('first', 1)
imp.setProperty('Info', 'from a microscope')
imp.setProp('by', 'me')
"""


@pytest.mark.parametrize("kind", MAKE)
def test_an_image_of_another_jvm_is_the_image_of_ours(clean, jvm, run, kept, kind):
    jvm(f"def imp = IJ.{MAKE[kind]}\n{CALIBRATED}\nimp.show(); null")
    got = kept("bild")
    code = f"imp = ij.IJ.{MAKE[kind]}\n{CALIBRATED}"
    there: dict = {"ij": jpype.JPackage("ij")}
    exec(code, there)
    expected = from_imageplus(there["imp"])
    assert_same(got, expected)


def assert_same(got, expected, ids=False):
    assert got.identical(expected.assign_attrs(got.attrs)), (got, expected)
    for axis in expected.coords:
        assert got.coords[axis].attrs == expected.coords[axis].attrs
    one, other = fb.imagej_info(got), fb.imagej_info(expected)
    other.pop("session")
    assert one.pop("id") < 0
    other.pop("id")
    assert one == other
    assert got.dtype == expected.dtype


def test_looks_signed_values_and_calibrated_grey_values(clean, jvm, run, kept):
    jvm(
        """
        def composite = new CompositeImage(IJ.createHyperStack('komposit', 9, 8, 2, 1, 1, 8), 1)
        composite.setLuts([java.awt.Color.RED, java.awt.Color.GREEN].collect { LUT.createLutFromColor(it) } as LUT[])
        composite.setDisplayRange(3, 77)
        composite.show()
        def od = IJ.createImage('od', '8-bit ramp', 9, 8, 1)
        od.getCalibration().setFunction(Calibration.STRAIGHT_LINE, [1.0, 0.5] as double[], 'OD')
        od.show()
        def signed = IJ.createImage('signed', '16-bit ramp', 9, 8, 1)
        signed.getCalibration().setSigned16BitCalibration()
        signed.setDisplayRange(32768, 40000)
        signed.show()
        null
        """
    )
    composite = fb.imagej_info(kept("komposit"))
    assert composite["mode"] == "composite"
    assert [tuple(lut.colors[255]) for lut in composite["luts"]] == [(255, 0, 0), (0, 255, 0)]
    assert composite["display_ranges"][0] == (3.0, 77.0)
    function = {"function": 0, "coefficients": [1.0, 0.5], "unit": "OD"}
    assert fb.imagej_info(kept("od"))["calibration_function"] == function
    signed = kept("signed")
    assert signed.dtype == np.int16
    assert signed.values.min() == -32768
    assert fb.imagej_info(signed)["display_ranges"] == [(0.0, 7232.0)]


@pytest.mark.parametrize("kind", MAKE)
def test_what_python_gives_back_is_the_image_again(clean, jvm, run, kept, kind):
    jvm(f"def imp = IJ.{MAKE[kind]}\n{CALIBRATED}\nimp.setDisplayRange(2, 50); imp.show(); null")
    before = kept("bild")
    run("Give_Back...", image="bild", name="zur\u00fcck \u6771")
    after = kept("zur\u00fcck \u6771")
    assert_same(after, from_imageplus(to_imageplus(before, "zur\u00fcck \u6771")))


def test_what_python_shows_is_what_it_shows_in_its_own_fiji(clean, jvm, run, kept):
    """Also where ImageJ has no such type, and twice under one name: in the same window."""
    jvm("IJ.createImage('a', '16-bit ramp', 9, 8, 3).show(); null")
    run("Give_Back...", image="a", name="b")
    number = jvm("WindowManager.getImage('b').getID()")
    jvm("WindowManager.getImage('a').getProcessor().set(0, 0, 7); WindowManager.getImage('b').setRoi(1, 2, 3, 4); null")
    run("Give_Back...", image="a", name="b")
    assert jvm("WindowManager.getImage('b').getID()") == number
    assert jvm("WindowManager.getImage('b').getRoi().getBounds().width") == 3
    got = kept("b")
    assert got.values[0, 0, 0] == 7
    assert_same(got, from_imageplus(to_imageplus(got, "b")))
    assert jvm("WindowManager.getImageTitles() as List") == ["a", "b"]


@pytest.mark.parametrize("stack", [False, True])
def test_cells_are_a_label_image_or_the_areas_of_an_overlay(jvm, run, tmp_path, stack):
    jvm(
        """
        def imp = IJ.createImage('zellen \u00e4', '8-bit black', 20, 15, stack ? 3 : 1)
        imp.getCalibration().pixelWidth = 0.5
        imp.getCalibration().setUnit('um')
        imp.show()
        def overlay = new Overlay()
        [new Roi(1, 2, 4, 5), new OvalRoi(8, 3, 6, 6), new Line(0, 0, 5, 5)].eachWithIndex { roi, i ->
            roi.setName(['7', 'new', 'line'][i])
            if (stack) roi.setPosition(i + 1)
            overlay.add(roi)
        }
        imp.setOverlay(overlay)
        null
        """,
        stack=stack,
    )
    run("Keep_Cells...", cells="overlay", image="zellen \u00e4", path=str(tmp_path / "cells"))
    cells = pickle.loads((tmp_path / "cells").read_bytes())
    rois = [Roi.rectangle(1, 2, 4, 5, name="7"), Roi.oval(8, 3, 6, 6, name="8")]
    if stack:
        rois = [roi.at(i) for i, roi in enumerate(rois, start=1)]
    expected = fb.rois_to_labels(rois, (3, 15, 20) if stack else (15, 20))
    np.testing.assert_array_equal(cells.values, expected)
    assert fb.pixel_size(cells)["x"] == 0.5
    jvm("def c = IJ.createImage('c', '16-bit black', 20, 15, 1); c.getProcessor().set(3, 4, 700); c.show(); null")
    run("Keep_Cells...", cells="c", path=str(tmp_path / "cells"))
    cells = pickle.loads((tmp_path / "cells").read_bytes())
    assert np.argwhere(cells.values).tolist() == [[4, 3]]
    assert cells.max() == 700


@pytest.mark.parametrize(("counts", "place"), [((2, 1, 3), [0, 0, 3]), ((2, 3, 1), [0, 3, 0])])
def test_cells_of_a_series_lie_on_its_frames_both_ways(jvm, run, tmp_path, counts, place):
    """Of channels, slices and frames; the planes of cells are the slices, or the frames where there is but one."""
    jvm("IJ.createHyperStack('a', 9, 8, *counts, 8).show(); null", counts=counts)
    run("Odd_Results...", image="a", kind="series")
    lies = "WindowManager.getImage('a').getOverlay().get(1).with { [getCPosition(), getZPosition(), getTPosition()] }"
    assert jvm(lies) == place
    run("Keep_Cells...", cells="overlay", image="a", path=str(tmp_path / "cells"))
    cells = pickle.loads((tmp_path / "cells").read_bytes())
    assert cells.values.reshape(3, -1).sum(axis=1).tolist() == [63, 0, 63]


def test_results_of_every_kind_reach_fiji(jvm, run):
    jvm(
        """
        IJ.createImage('\u00fc 1', '8-bit black', 20, 15, 1).show()
        IJ.setProperty('fijibridge.table.Both', null)
        printed()
        null
        """
    )
    for _ in range(2):
        run("Results...", image="\u00fc 1")
    columns = """
        def table = name == 'Results' ? ResultsTable.getResultsTable() : IJ.getProperty('fijibridge.table.' + name)
        table.getHeadings().collectEntries { h -> [h, (0..<table.size()).collect { table.getStringValue(h, it) }] }
    """
    both = jvm(columns, name="Both")
    assert both == {
        "label": ["3", "5"] * 2, "true": ["4", "NaN"] * 2, "size": ["1.5000", "NaN"] * 2,
        "outcome": ["matched", "missed \u00e4"] * 2
    }  # fmt: skip
    assert jvm(columns, name="Results") == {"label": ["3", "5"]}
    overlay = """
        WindowManager.getImage('\u00fc 1').getOverlay().toArray().collect {
            [it.getName(), it.getBounds().x, it.getBounds().width, Integer.toHexString(it.getStrokeColor().getRGB())]
        }
    """
    first, second = jvm(overlay)
    assert first == ["3", 1, 3, "ff102030"]
    assert second[:3] == ["5", 5, 2]
    assert second[3] not in ("ff102030", "ffffff00")
    assert jvm("WindowManager.getImage('Curves').getTitle()") == "Curves"
    assert jvm("printed()").splitlines() == ["gr\u00fc\u00dfe \u6771"] * 2


def test_a_plot_takes_no_image_away(jvm, run):
    jvm("['a', 'Curves'].each { IJ.createImage(it, '8-bit black', 20, 15, 1).show() }; null")
    for _ in range(2):
        run("Results...", image="a")
    titles = jvm("WindowManager.getIDList().collect { WindowManager.getImage(it).getTitle() }")
    assert sorted(titles) == ["Curves", "Curves-1", "a"]
    assert jvm("WindowManager.getImage('Curves').getWidth()") == 20


def test_imagej_measures_as_it_does_in_this_process(clean, jvm, run, cells, tmp_path):
    """Also in a stack, slice by slice, and in a channel."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 5000, (2, *cells.shape)).astype(np.uint16)
    labels = np.stack([cells, np.roll(cells, 4, axis=1)])
    image = fb.as_image(pixels, "zyx", pixel_size={"z": 2, "y": 0.5, "x": 0.5}, unit="um")
    clean.show(image, name="image")
    clean.show(fb.as_image(labels, "zyx"), name="labels")
    for title in ("image", "labels"):
        path = str(tmp_path / f"{title}.tif")
        jpype.JClass("ij.IJ").saveAsTiff(clean._find(title).duplicate(), path)
        jvm("def imp = IJ.openImage(path); imp.setTitle(title); imp.show(); null", path=path, title=title)
    names = "area mean min_max centroid perimeter shape feret median stack_position"
    run("Measure_Cells...", cells="labels", image="image", measurements=names)
    expected = clean.measure(clean.array("labels"), "image", names.split())
    columns = jvm(
        """
        def table = ResultsTable.getResultsTable()
        table.getHeadings().collectEntries { h -> [h, table.getColumn(h) as List] }
        """
    )
    assert list(columns) == list(expected.columns)
    for name in expected.columns:
        np.testing.assert_allclose(columns[name], expected[name], rtol=1e-12, err_msg=name)


COLUMNS = """
    def table = IJ.getProperty('fijibridge.table.' + name)
    table.getHeadings().collectEntries { h -> [h, (0..<table.size()).collect { table.getStringValue(h, it) }] }
"""


def test_nothing_found_is_a_result_too(jvm, run, kept):
    """No cell, no outline, no row; and what was drawn before is gone."""
    jvm(
        """
        def imp = IJ.createImage('a', '16-bit ramp', 20, 15, 1)
        imp.setOverlay(new Overlay(new Roi(1, 2, 3, 4)))
        imp.show()
        null
        """
    )
    run("Odd_Results...", image="a", kind="nothing")
    assert kept("none").values.max() == 0
    assert jvm("WindowManager.getImage('a').getOverlay().size()") == 0
    assert jvm(COLUMNS, name="None") == {}
    run("Odd_Results...", image="a", kind="unmeasured")
    assert jvm("ResultsTable.getResultsTable().size()") == 0
    for kind, words in (("curves", "nothing to plot"), ("texts", "a plot needs numbers")):
        with pytest.raises(ScriptFailed, match=words):
            run("Odd_Results...", image="a", kind=kind)


def test_numbers_that_are_none_texts_and_large_labels(jvm, run, kept):
    jvm("IJ.createImage('a', '16-bit ramp', 20, 15, 1).show(); null")
    run("Odd_Results...", image="a", kind="table")
    assert jvm(COLUMNS, name="Odd") == {
        "label": ["1", "2", "3"], "size": ["NaN", "Infinity", "-Infinity"],
        "\u6771 \U0001f642": ["", "\u00e4\t1", "x"],
    }  # fmt: skip
    run("Odd_Results...", image="a", kind="labels")
    labels = kept("many").values
    assert sorted(np.unique(labels)) == [0, 65536, 70001]
    colors = jvm(
        """
        def picture = WindowManager.getImage('many').getOverlay().get(0).getProcessor()
        [[0, 0], [1, 1]].collect { picture.getPixel(it[0], it[1]) & 0xffffff }
        """
    )
    expected = [palette()[(n - 1) % 255 + 1] for n in (65536, 70001)]
    assert colors == [int(r) << 16 | int(g) << 8 | int(b) for r, g, b in expected]


def test_virtual_stacks_and_locked_images(jvm, run, kept, tmp_path):
    jvm(
        """
        IJ.saveAsTiff(IJ.createImage('a', '16-bit ramp', 30, 20, 4), path)
        def imp = new ij.plugin.FileInfoVirtualStack(new ij.io.TiffDecoder(dir, name).getTiffInfo()[0], false).with {
            new ImagePlus('virtual', it)
        }
        imp.show()
        imp.lock()
        null
        """,
        path=str(tmp_path / "a.tif"), dir=str(tmp_path) + "/", name="a.tif",
    )  # fmt: skip
    assert jvm("WindowManager.getImage('virtual').getStack().isVirtual()")
    got = kept("virtual")
    assert got.shape == (4, 20, 30)
    planes = jvm("def s = WindowManager.getImage('virtual').getStack(); (1..4).collect { s.getPixels(it) as List }")
    np.testing.assert_array_equal(got.values.reshape(4, -1), np.array(planes) & 0xFFFF)
    jvm("WindowManager.getImage('virtual').unlock(); null")


def test_a_stack_of_several_blocks(jvm, run):
    jvm("IJ.createImage('a', '8-bit ramp', 3000, 2000, 7).show(); null")
    jvm("(1..7).each { WindowManager.getImage('a').getStack().getPixels(it)[12345] = it * 10 }; null")
    run("Give_Back...", image="a", name="b")
    assert jvm("""
        def stacks = ['a', 'b'].collect { WindowManager.getImage(it).getStack() }
        (1..7).collect { i -> Arrays.equals(stacks[0].getPixels(i) as byte[], stacks[1].getPixels(i) as byte[]) }
    """) == [True] * 7  # fmt: skip
    assert jvm("WindowManager.getImage('b').getStack().getPixels(7)[12345]") == 70
