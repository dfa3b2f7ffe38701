"""Notebook displays: complete, escaped, and without needless reads or imports."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from IPython.core.formatters import DisplayFormatter
from PIL import Image

import fijibridge as fb

EVIL = "<script>alert('&')</script>"


class Checked(HTMLParser):
    """Fails on what runs, and on elements that are not closed."""

    EMPTY = ("br", "img", "path", "polyline")

    def __init__(self):
        super().__init__()
        self.open, self.told, self.tags = [], [], []

    def handle_starttag(self, tag, attrs):
        assert tag not in ("script", "iframe", "a", "object"), tag
        assert not any(name.startswith("on") for name, _ in attrs), attrs
        self.tags.append(tag)
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.EMPTY:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.told.append(data)


def shown(thing, kind="text/html"):
    """Return what IPython shows, by its own rules; texts and tags of HTML, or the bytes of a picture."""
    data, _ = DisplayFormatter().format(thing)
    assert "text/plain" in data
    if kind != "text/html":
        return data[kind]
    checked = Checked()
    checked.feed(data[kind])
    assert not checked.open
    return " ".join(checked.told), checked.tags


def picture(png):
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize(
    ("roi", "kind"),
    [
        (fb.Roi.polygon([(1, 1), (50, 1), (50, 40)], name=EVIL), "polygon"),
        (fb.Roi.rectangle(3, 4, 20, 10, name=EVIL, position=3), "rectangle"),
        (fb.Roi.oval(3, 4, 20, 10, name=EVIL), "oval"),
        (fb.Roi.line([(0, 0), (9, 9), (12, 3)], name=EVIL), "polyline"),
        (fb.Roi.points([(5, 5), (7, 90)], name=EVIL), "point"),
        (fb.Roi.points([(5, 5)], name=EVIL), "point"),
        (fb.Roi.polygon([(1, 1), (5, 1), (5, 4)], name=EVIL).styled(stroke="red", properties={EVIL: EVIL}), "polygon"),
    ],
)
def test_a_roi_is_drawn(roi, kind):
    told, tags = shown(roi)
    assert EVIL in told
    assert kind in told
    assert "path" in tags
    assert ("#ff0000" in roi._repr_html_()) == (roi.stroke_color is not None)
    sizes = [float(n) for n in re.search(r'<svg width="(\d+)" height="(\d+)"', roi._repr_html_()).groups()]
    assert max(sizes) <= 164


def test_holes_are_left_open():
    labels = np.zeros((20, 20), int)
    labels[2:18, 2:18] = 1
    labels[5:9, 5:9] = 0
    (roi,) = fb.labels_to_rois(labels)
    html = roi._repr_html_()
    assert html.count(" Z") == 2
    assert "evenodd" in html


def test_a_matching_and_its_table():
    true = np.array([[1, 1, 0, 2, 2, 2]])
    matching = fb.match_labels(true, np.array([[7, 7, 0, 8, 0, 0]]))
    told, _ = shown(matching)
    for words in ("true cells 2", "matched 1", "missed 1", "extra 1", "F1 0.5", "iou of at least 0.5"):
        assert words in told
    nothing, _ = shown(fb.match_labels(true * 0, true * 0))
    assert "precision –" in nothing
    table, tags = shown(fb.match_table({EVIL: matching}))
    assert EVIL in table
    assert "table" in tags


def test_a_plan():
    plan = fb.plan(fb.UNet(depth=2, width=2), [(576, 768)] * 18, patch=(160, 160), stride=10, device="cpu", probe=False)
    told, tags = shown(plan)
    assert "Plan: UNet of depth 2, width 2" in told
    assert "160 px" in told
    assert "47,992" in told
    assert all(note in told for note in plan.notes)
    assert "table" in tags


def test_a_run(tmp_path):
    tissue = fb.synthetic_epithelium((48, 64), cell_size=16, seed=1)
    pair = (tissue.image, fb.membrane_target(tissue.labels, membrane_width=3))
    folder = tmp_path / "<b>run"
    run = fb.train(
        fb.UNet(depth=1, width=2), [pair], validation=[pair], epochs=3, batches=1, batch=1, patch=(32, 32), out=folder
    )
    told, tags = shown(run)
    assert str(folder) in told
    assert run.stopped_because in told
    assert tags.count("polyline") >= 1
    assert "train_loss" in told
    assert len(re.findall(r"<tr", run._repr_html_())) >= 4


def test_a_dataset_and_an_item(tmp_path):
    tissue = fb.synthetic_epithelium((48, 64), cell_size=16, seed=1)
    name = "a&b'c"
    arrays = {"image": tissue.image, "labels": tissue.labels}
    saved = fb.save_dataset({name: arrays, "z": arrays}, tmp_path / "<i>set", provenance="manual")
    told, _ = shown(saved)
    assert name in told
    assert "<i>set" in told
    assert "truth: manual" in told
    told, tags = shown(saved[name])
    assert name in told
    assert tags.count("img") == 2
    assert "48 x 64" in told
    (tmp_path / "<i>set" / f"{name}_labels.tif").unlink()
    told, tags = shown(saved[name])
    assert "(missing)" in told
    assert tags.count("img") == 1


@pytest.mark.parametrize("axes", ["yx", "zyx", "cyx", "tczyx"])
def test_thumbnails_of_images(axes):
    sizes = {"t": 2, "c": 2, "z": 3, "y": 300, "x": 500}
    ramp = np.broadcast_to(np.linspace(0, 1, 500, dtype=np.float32), [sizes[d] for d in axes])
    made = fb.thumbnail(fb.as_image(ramp, axes))
    small = picture(shown(made, "image/png") if isinstance(shown(made, "image/png"), bytes) else made.png)
    assert small.shape == (75, 125)
    assert small[:, 0].max() == 0
    assert small[:, -1].min() == 255
    assert (np.diff(small[0].astype(int)) >= 0).all()


def test_thumbnails_of_labels_colours_and_odd_values():
    labels = np.repeat(np.repeat(np.array([[0, 1], [2, 70000]]), 20, 0), 20, 1)
    small = picture(fb.thumbnail(fb.as_image(labels, name="a_cells")).png)
    colors = {tuple(color) for color in small.reshape(-1, 3)}
    assert len(colors) == 4
    assert tuple(small[0, 0]) == (0, 0, 0)
    rgb = fb.as_image(np.full((3, 10, 10), 7, np.uint8), "cyx").assign_coords(c=["red", "green", "blue"])
    assert (picture(fb.thumbnail(rgb).png) == 7).all()
    odd = np.full((10, 10), np.nan)
    assert picture(fb.thumbnail(odd).png).max() == 0
    odd[0, 0], odd[0, 1] = np.inf, 3.0
    assert picture(fb.thumbnail(odd).png).shape == (10, 10)
    assert picture(fb.thumbnail(np.full((10, 10), 5, np.uint16)).png).shape == (10, 10)
    assert picture(fb.thumbnail(np.eye(8, dtype=bool)).png).max() == 255


def test_only_what_is_shown_of_a_lazy_image_is_read():
    import dask.array as da

    read = []

    def plane(block_info=None):
        read.append(block_info[None]["array-location"][0][0])
        return np.zeros((1, 30, 40), np.uint8)

    volume = da.map_blocks(plane, chunks=((1,) * 11, 30, 40), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    fb.thumbnail(fb.as_image(volume, "zyx"))
    assert set(read) == {5}


def test_importing_loads_nothing_for_displays():
    code = (
        "import sys, fijibridge; print([m for m in ('IPython', 'PIL', 'pandas', 'numpy', 'torch') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_a_session_shows_what_is_open(clean):
    assert "img" not in shown(clean)[1]
    clean.show(np.tile(np.arange(200, dtype=np.uint8), (100, 2)), name=EVIL, lut="Fire")
    clean.show(np.zeros((2, 3, 30, 40), np.uint16), name="stack", mode="composite")
    clean.show(np.zeros((3, 4), np.float32), name="small")
    told, tags = shown(clean)
    assert tags.count("img") == 3
    assert EVIL in told
    assert "400 x 100, 8-bit" in told
    assert "40 x 30 x 2 x 3, 16-bit" in told
    import base64

    first = base64.b64decode(re.search(r"base64,([^\"]+)", clean._repr_html_())[1])
    assert picture(first).shape == (40, 160, 3)
    assert len({tuple(c) for c in picture(first).reshape(-1, 3)}) > 20, "in its colours"
