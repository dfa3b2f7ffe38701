"""ROIs of every kind of ImageJ: nothing is lost on the way, and their pixels are ImageJ's own."""

from __future__ import annotations

import jpype
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import fijibridge as fb
from fijibridge.errors import RoiError
from fijibridge.fiji import rois as fiji_rois
from fijibridge.rois import Roi
from tests.examples import examples

SIZE = 48
place = st.integers(-6, SIZE + 6)
sub_pixel = st.floats(-6, SIZE + 6, width=32).map(lambda v: round(v * 64) / 64)
half = st.integers(-6, 2 * SIZE + 6).map(lambda v: v / 2)
length = st.integers(1, 40)


def points(least: int, coordinate=place, most: int = 8):
    return st.lists(st.tuples(coordinate, coordinate), min_size=least, max_size=most, unique=True)


def java_ints(values):
    return jpype.JArray(jpype.JInt)([int(v) for v in values])


def java_floats(values):
    return jpype.JArray(jpype.JFloat)([float(v) for v in values])


def polygon(vertices, kind, sub_pixel=False):
    x, y = zip(*vertices, strict=True)
    made = java_floats if sub_pixel else java_ints
    return jpype.JClass("ij.gui.PolygonRoi")(made(x), made(y), len(x), getattr(jpype.JClass("ij.gui.Roi"), kind))


def rounded(box, arc):
    roi = jpype.JClass("ij.gui.Roi")(*box)
    roi.setCornerDiameter(arc)
    return roi


def spline(vertices, kind):
    roi = polygon(vertices, kind, sub_pixel=True)
    roi.fitSpline()
    return roi


def wide(roi, width):
    roi.setStrokeWidth(float(width))
    return roi


def composite(a, b, how):
    shape = jpype.JClass("ij.gui.ShapeRoi")
    return getattr(shape(a), how)(shape(b))


box = st.tuples(place, place, length, length)
KINDS = {
    "rectangle": box.map(lambda b: ("ij.gui.Roi", b)),
    "sub-pixel rectangle": st.tuples(sub_pixel, sub_pixel, st.floats(1, 30), st.floats(1, 30)).map(
        lambda b: ("ij.gui.Roi", tuple(map(float, b)))
    ),
    "oval": box.map(lambda b: ("ij.gui.OvalRoi", b)),
    "rounded": st.tuples(box, st.integers(1, 30)).map(lambda a: (rounded, a)),
    "polygon": points(3).map(lambda p: (polygon, (p, "POLYGON"))),
    "sub-pixel polygon": points(3, sub_pixel).map(lambda p: (polygon, (p, "POLYGON", True))),
    "freehand": points(3).map(lambda p: (polygon, (p, "FREEROI"))),
    "traced": points(3).map(lambda p: (polygon, (p, "TRACED_ROI"))),
    "spline": points(3).map(lambda p: (spline, (p, "POLYGON"))),
    "ellipse": st.tuples(place, place, place, place, st.floats(0.1, 1)).map(
        lambda a: ("ij.gui.EllipseRoi", tuple(map(float, a)))
    ),
    "rotated rectangle": st.tuples(place, place, place, place, st.integers(2, 20)).map(
        lambda a: ("ij.gui.RotatedRectRoi", tuple(map(float, a)))
    ),
    "composite": st.tuples(box, box, st.sampled_from(["or_", "not_", "xor", "and_"])).map(
        lambda a: (lambda a, b, how: composite(a_roi(a), a_oval(b), how), a)
    ),
    "line": st.tuples(place, place, place, place).map(lambda a: ("ij.gui.Line", tuple(map(float, a)))),
    "wide line": st.tuples(points(2, most=2), st.integers(2, 9)).map(lambda a: (a_wide_line, a)),
    "polyline": points(2).map(lambda p: (polygon, (p, "POLYLINE"))),
    "sub-pixel freeline": points(2, sub_pixel).map(lambda p: (polygon, (p, "FREELINE", True))),
    "wide polyline": st.tuples(points(2, st.integers(6, 40)), st.integers(2, 7)).map(
        lambda a: (lambda p, w: wide(polygon(p, "POLYLINE"), w), a)
    ),
    "spline-fitted polyline": points(3).map(lambda p: (spline, (p, "POLYLINE"))),
    "points": points(1).map(lambda p: (a_points, (p,))),
    "sub-pixel points": points(1, sub_pixel, most=3).map(lambda p: (sub_pixel_points, (p,))),
    "tiny ellipse": st.tuples(half, half, half, half, st.floats(0.1, 1)).map(
        lambda a: ("ij.gui.EllipseRoi", tuple(map(float, a)))
    ),
    "tiny sub-pixel rectangle": st.tuples(half, half, st.floats(0.25, 2), st.floats(0.25, 2)).map(
        lambda b: ("ij.gui.Roi", tuple(map(float, b)))
    ),
    "tiny oval": st.tuples(place, place, st.integers(1, 4), st.integers(1, 4)).map(lambda b: ("ij.gui.OvalRoi", b)),
    "half-pixel polygon": points(3, half).map(lambda p: (polygon, (p, "POLYGON", True))),
    "half-pixel line": st.tuples(half, half, half, half).map(lambda a: ("ij.gui.Line", tuple(map(float, a)))),
    "half-pixel rotated rectangle": st.tuples(half, half, half, half, st.integers(1, 6)).map(
        lambda a: ("ij.gui.RotatedRectRoi", tuple(map(float, a)))
    ),
}

# Found by long random runs. ImageJ stores the vertices of an ellipse, but computes them again when it reads one. This
# spline is a sliver, whose pixels the last bits of its points decide.
FOUND = {
    "ellipse": [
        ("ij.gui.EllipseRoi", (0.0, 0.0, 2.0, 18.0, 0.5)),
        ("ij.gui.EllipseRoi", (0.0, 14.0, 1.0, -6.0, 1.0)),  # a vertex is the centre of a pixel
    ],
    "spline": [(spline, ([(29, 8), (34, 23), (41, 44)], "POLYGON"))],
}


def a_roi(box):
    return jpype.JClass("ij.gui.Roi")(*box)


def a_oval(box):
    return jpype.JClass("ij.gui.OvalRoi")(*box)


def a_wide_line(ends, width):
    return wide(jpype.JClass("ij.gui.Line")(*(float(v) for end in ends for v in end)), width)


def a_points(vertices):
    x, y = zip(*vertices, strict=True)
    return jpype.JClass("ij.gui.PointRoi")(java_ints(x), java_ints(y), len(x))


def sub_pixel_points(vertices):
    x, y = zip(*vertices, strict=True)
    return jpype.JClass("ij.gui.PointRoi")(java_floats(x), java_floats(y), len(x))


def make(recipe):
    maker, arguments = recipe
    return jpype.JClass(maker)(*arguments) if isinstance(maker, str) else maker(*arguments)


def pixels_of_imagej(roi):
    image = jpype.JClass("ij.process.ByteProcessor")(SIZE, SIZE)
    image.setColor(255)
    image.fill(roi)
    return np.array(image.getPixels()[:], np.int8).reshape(SIZE, SIZE) != 0


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_keeps_its_bytes_and_has_imagejs_pixels(fiji, kind):
    @given(KINDS[kind])
    @examples(60)
    def check(recipe):
        java = make(recipe)
        if kind == "composite" and java.getBounds().isEmpty():
            return  # nothing was left of it
        stored = jpype.JClass("ij.io.RoiEncoder").saveAsByteArray(java)
        decode = jpype.JClass("ij.io.RoiDecoder").openFromByteArray
        decoded = decode(stored)  # what a file would give
        roi = Roi.from_bytes(bytes(stored))
        # ImageJ does not always store what it has read as it was, but always in the same way
        assert fiji_rois.from_java(fiji_rois.to_java([roi])) == fiji_rois.from_java([decode(stored)])
        if "spline" not in kind and "rotated" not in kind:  # computed anew when decoded
            bounds = decoded.getBounds()
            assert roi.bounds == (bounds.x, bounds.y, bounds.x + bounds.width, bounds.y + bounds.height)
        mine, its = fb.rois_to_mask([roi], (SIZE, SIZE)), pixels_of_imagej(decoded)
        assert (mine == its).all(), f"{roi}: {np.argwhere(mine != its)[:5].tolist()} of {its.sum()} differ"

    for recipe in FOUND.get(kind, ()):
        check = example(recipe)(check)
    check()


def test_what_a_roi_carries(fiji):
    java = polygon([(1, 1), (9, 1), (9, 7)], "POLYGON")
    java.setName("cell 7")
    java.setPosition(2, 3, 4)
    java.setGroup(9)  # which sets a colour of its own
    java.setFillColor(jpype.JClass("java.awt.Color")(1, 2, 3))  # which takes that away
    java.setStrokeColor(jpype.JClass("java.awt.Color")(10, 20, 30, 128))
    java.setStrokeWidth(2.5)
    java.setProperty("source", "by hand")
    (roi,) = fiji_rois.from_java([java])
    assert (roi.name, roi.hyperstack_position, roi.position) == ("cell 7", (2, 3, 4), 3)
    assert (roi.stroke_color, roi.fill_color, roi.stroke_width, roi.group) == ("#0a141e80", "#010203ff", 2.5, 9)
    assert roi.properties == {"source": "by hand"}
    (back,) = fiji_rois.to_java([roi])
    assert str(back.getName()) == "cell 7"
    assert (back.getCPosition(), back.getZPosition(), back.getTPosition()) == (2, 3, 4)
    assert back.getStrokeColor().getRGB() == java.getStrokeColor().getRGB()
    assert str(back.getProperty("source")) == "by hand"


def test_what_python_changes_imagej_sees(fiji):
    roi = Roi.rectangle(1, 2, 3, 4, name="a")
    styled = roi.styled(stroke="red", fill="#00ff0080", width=3, properties={"k": "v"}).renamed("longer name")
    (java,) = fiji_rois.to_java([styled.at(z=2, c=1)])
    assert str(java.getName()) == "longer name"
    assert (java.getStrokeWidth(), java.getZPosition()) == (3.0, 2)
    assert int(java.getFillColor().getRGB()) & 0xFFFFFFFF == 0x8000FF00
    assert str(java.getProperty("k")) == "v"
    assert fiji_rois.from_java([java])[0].name == "longer name"
    (grouped,) = fiji_rois.to_java([roi.styled(group=5)])  # a group brings its own colour
    assert grouped.getGroup() == 5


def test_counters_of_points(fiji):
    java = jpype.JClass("ij.gui.PointRoi")(3.0, 4.0)
    java.setCounter(2)
    java.addPoint(7.0, 8.0)
    (roi,) = fiji_rois.from_java([java])
    assert roi.kind == "point"
    assert roi.counters[1] == 2
    assert fiji_rois.from_java(fiji_rois.to_java([roi])) == [roi]


@pytest.mark.parametrize("kind", ["text", "image", "angle", "arrow"])
def test_kinds_without_pixels_travel_and_say_so(fiji, kind):
    java = {
        "text": lambda: jpype.JClass("ij.gui.TextRoi")(3, 4, "hello"),
        "image": lambda: jpype.JClass("ij.gui.ImageRoi")(3, 4, jpype.JClass("ij.process.ByteProcessor")(5, 6)),
        "angle": lambda: polygon([(1, 1), (9, 1), (9, 7)], "ANGLE"),
        "arrow": lambda: jpype.JClass("ij.gui.Arrow")(1.0, 2.0, 9.0, 9.0),
    }[kind]()
    (roi,) = fiji_rois.from_java([java])
    assert roi.kind == kind
    (again,) = fiji_rois.to_java([roi])
    assert again.getClass() == java.getClass()
    assert again.getBounds().equals(java.getBounds())
    with pytest.raises(RoiError):
        fb.rois_to_mask([roi], (20, 20))


def test_outlines_of_labels_are_stored_as_imagej_stores_them(fiji):
    labels = np.random.default_rng(0).integers(0, 4, (30, 30)).astype(np.uint32)
    labels[0, 0] = 123456
    rois = fb.labels_to_rois(labels)
    assert fiji_rois.from_java(fiji_rois.to_java(rois)) == rois
    for roi, java in zip(rois, fiji_rois.to_java(rois), strict=True):
        mask = java.getMask()
        filled = (
            java.getBounds().width * java.getBounds().height
            if mask is None
            else int(np.count_nonzero(mask.getPixels()[:]))
        )
        assert filled == (labels == int(roi.name)).sum()


def test_points_on_slices_of_their_own(fiji):
    stack = jpype.JClass("ij.IJ").createImage("s", "8-bit black", 20, 20, 4)
    points = jpype.JClass("ij.gui.PointRoi")(3.0, 4.0)
    stack.setSlice(2)
    points.addPoint(stack, 7.0, 8.0)
    stack.setSlice(4)
    points.addPoint(stack, 9.0, 8.0)
    (roi,) = fiji_rois.from_java([points])
    assert roi.point_positions[1:] == [2, 4]
    mask = fb.rois_to_mask([roi], (4, 20, 20))
    assert mask[1, 8, 7]
    assert mask[3, 8, 9]
    assert not mask[1, 8, 9]
