"""The report, as a file and in a real browser."""

from __future__ import annotations

import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

import fijibridge as fb
from fijibridge.app.cli import main
from fijibridge.colors import OUTCOME_COLORS
from fijibridge.errors import ImageError
from fijibridge.reports.segmentation import PROVENANCE, Case, write_report


def case(name: str = "one", **changed) -> Case:
    drawn = fb.synthetic_epithelium((96, 128), cell_size=20, seed=1)
    prob = (np.asarray(fb.membrane_target(drawn.labels, membrane_width=3)) == 1).astype(np.float32)
    prob[30:36, 20:70] = 0
    pred = fb.label_cells(prob, "threshold")
    return Case(name, **{"image": drawn.image, "true": drawn.labels, "pred": pred, "prob": prob, **changed})


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    table = write_report(
        folder / "report.html",
        [
            case("<script>alert(1)</script>", provenance="algorithm", note="by <i>somebody</i>"),
            case("two", provenance="manual"),
        ],
        before=pd.DataFrame({"image": ["two", "total"], "f1": [0.25, 0.25]}),
        png=folder / "report.png",
    )
    return folder, table


def test_it_says_what_the_functions_say(written):
    folder, table = written
    page = (folder / "report.html").read_text(encoding="utf-8")
    m = fb.match_labels(case().true, case().pred)
    assert m.merges
    assert f"{m.tp} of {m.n_true}, {m.n_pred} predicted" in page
    assert table["f1"].tolist() == [m.f1] * 3
    assert page.count(f"<td>{m.f1:.4f}</td>") >= 5
    assert f"<td>0.2500</td><td>{m.f1:.4f}</td><td>{m.f1 - 0.25:.4f}</td>" in page
    assert "closing it regains" in page
    for kind in ("algorithm", "manual"):
        assert PROVENANCE[kind] in page


def test_it_is_one_file_that_runs_nothing(written):
    page = (written[0] / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"<script|<link|https?://|<iframe", page)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "by &lt;i&gt;somebody&lt;/i&gt;" in page
    assert set(re.findall(r'src="([^,]*),', page)) == {"data:image/png;base64", "data:image/svg+xml;base64"}


@pytest.mark.browser
def test_a_browser_shows_it(written, tmp_path):
    """Headless Chromium: all pictures are loaded, the first layer is shown, in the colours of the outcomes."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on the path")
    shot = tmp_path / "shot.png"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1200,6000"]
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    page = (written[0] / "report.html").as_uri()
    subprocess.run(
        [browser, *options, profile, f"--screenshot={shot}", page], check=True, capture_output=True, timeout=120
    )
    seen = np.asarray(Image.open(shot).convert("RGB"))
    for kind in ("matched", "merged"):
        key = tuple(int(OUTCOME_COLORS[kind][i : i + 2], 16) for i in (1, 3, 5))
        assert (seen == key).all(axis=-1).sum() > 100, f"the key of {kind} is not on the page"
    picture = np.asarray(Image.open(_layer(written[0] / "report.html", tmp_path)).convert("RGB"))
    rows = np.unique(picture.reshape(-1, 3), axis=0)
    shown = {tuple(c) for c in np.unique(seen.reshape(-1, 3), axis=0).tolist()}
    assert np.mean([tuple(c) in shown for c in rows.tolist()]) > 0.95, "the outcomes are not what is seen first"
    done = subprocess.run(
        [browser, *options, profile, "--dump-dom", page], check=True, capture_output=True, text=True, timeout=120
    )
    assert "<title>Predicted cells against true ones</title>" in done.stdout
    assert done.stdout.count("<h2") == 4


def _layer(page, folder):
    """Take the first picture of outcomes out of the page."""
    import base64

    data = re.search(r'<div class="pictures"><img src="data:image/png;base64,([^"]*)"', page.read_text()).group(1)
    (folder / "layer.png").write_bytes(base64.b64decode(data))
    return folder / "layer.png"


def test_the_png_has_the_outcomes(written):
    picture = np.asarray(Image.open(written[0] / "report.png").convert("RGB")).astype(int)
    bluish = (picture[..., 2] > picture[..., 0] + 40) & (picture[..., 2] > picture[..., 1])
    assert bluish.sum() > 500, "merged cells are blue"


def test_a_volume_shows_the_slice_with_most_wrong_cells(tmp_path):
    true = np.zeros((5, 40, 40), np.uint16)
    true[0:2, 5:15, 5:15], true[3, 5:15, 5:15], true[3, 20:30, 5:15], true[0:5, 20:35, 20:35] = 1, 2, 3, 4
    pred = np.where(np.isin(true, (1, 4)), true, 0)
    write_report(tmp_path / "r.html", [case(image=true, true=true, pred=pred, prob=None)])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "slice 4 of 5, the one with the most wrong cells" in page
    assert "The origin of the truth is not recorded" in page


def test_colours_dollars_and_lost_pixels_are_shown(tmp_path):
    colours = np.zeros((3, 96, 128))
    colours[0, :, 40:] = 1
    colours[0, 0, 0] = np.nan
    odd = case(r"$\\foo$_x", image=fb.as_image(colours, dims="cyx"))
    write_report(tmp_path / "r.html", [odd], png=tmp_path / "r.png", membrane_threshold=0.3)
    assert (tmp_path / "r.png").stat().st_size > 1000
    with pytest.raises(ImageError, match=r"ends in '\.foo'"):
        write_report(tmp_path / "s.html", [odd], png=tmp_path / "r.foo")


@pytest.mark.parametrize(
    ("cases", "words"),
    [
        ([], "no images to report on"),
        ([case(), case()], "two images are named 'one'"),
        ([case(provenance="guessed")], "'guessed'; expected one of"),
        ([case(pred=np.zeros((3, 3), int))], "one: .*shape"),
        ([case(image=np.zeros((3, 3)))], r"one: the image has shape \(3, 3\)"),
        ([case("total")], "named 'total'"),
    ],
)
def test_what_is_refused_leaves_no_file(tmp_path, cases, words):
    with pytest.raises(ImageError, match=words):
        write_report(tmp_path / "r.html", cases)
    assert not list(tmp_path.iterdir())


def test_from_the_command_line(tmp_path, monkeypatch, capsys):
    one = case()
    tifffile.imwrite(tmp_path / "a_image.tif", one.image.values)
    tifffile.imwrite(tmp_path / "a_labels.tif", one.true.values.astype(np.uint16))
    tifffile.imwrite(tmp_path / "a_cells.tif", one.pred.astype(np.uint16))
    (tmp_path / "dataset.toml").write_text(
        'format = 1\nimage = "*_image.tif"\nlabels = "{name}_labels.tif"\nprovenance = "corrected"\n'
    )

    def run(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["fijibridge", "report", str(tmp_path), "--pred", str(tmp_path), *words])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out

    first = run("--out", str(tmp_path / "1.html"), "--csv", str(tmp_path / "old.csv"))
    assert "truth: corrected" in first
    run("--out", str(tmp_path / "2.html"), "--before", str(tmp_path / "old.csv"), "--png", str(tmp_path / "2.png"))
    assert "Compared with the older table" in (tmp_path / "2.html").read_text(encoding="utf-8")
    assert (tmp_path / "2.png").stat().st_size > 1000
    assert PROVENANCE["corrected"] in (tmp_path / "1.html").read_text(encoding="utf-8")
