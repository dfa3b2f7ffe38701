from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fijibridge as fb
from fijibridge.cells.scaling.ceiling import METHODS, _membranes, ceiling
from fijibridge.errors import ImageError
from fijibridge.files import read_image
from fijibridge.reports.plots import plot_ceiling


def grid(size: int, count: int = 4, gap: int = 1) -> np.ndarray:
    """count x count square cells with gaps between them and none around."""
    line = np.zeros(count * (size + gap) - gap, int)
    for i in range(count):
        line[i * (size + gap) : i * (size + gap) + size] = i + 1
    return np.where((line[:, None] > 0) & (line > 0), (line[:, None] - 1) * count + line, 0)


def share(table: pd.DataFrame, method: str, grow: bool) -> dict[int, float]:
    rows = table[(table["method"] == method) & (table["grow"] == grow)]
    return dict(zip(rows["factor"], rows["recall"], strict=True))


def test_at_full_resolution_every_cell_is_matched_and_all_membranes_are_right():
    table = ceiling(grid(9), factors=[1])
    assert (table[["recall", "precision", "f1"]] == 1).all(axis=None)
    assert (table.loc[~table["grow"], "membrane_accuracy"] == 1).all()
    assert (table["membrane_accuracy"] > 0.99).all()


def test_cells_that_touch_are_parted_by_one_pixel():
    touching = grid(9, gap=0)
    assert _membranes(touching).sum() == 36 * 6 - 9
    table = ceiling(touching, factors=[1, 3])
    assert (table.loc[table["grow"], "recall"] == 1).all()


def test_thick_membranes_eat_cells_that_labels_keep():
    """Cells every 10 px at factor 6: most blocks hold membrane, yet most cells have a block of their own."""
    table = ceiling(grid(9, 8), factors=[6])
    assert share(table, "max", grow=True)[6] < 0.4
    assert share(table, "mode", grow=True)[6] > 0.9


def test_growing_brings_back_what_the_blocks_took():
    table = ceiling(grid(9, 8), factors=[4])
    assert share(table, "max", grow=False)[4] < 0.5
    assert share(table, "max", grow=True)[4] == 1
    assert share(table, "mean", grow=False)[4] == 1


def test_columns_counts_and_answer():
    table = ceiling(grid(15, 5), factors=[2, 20])
    assert list(table.columns) == [
        "factor", "method", "grow", "matched", "n_true", "n_pred", "recall", "precision", "f1", "membrane_accuracy",
        "cell_width",
    ]  # fmt: skip
    assert len(table) == 2 * len(METHODS) * 2
    assert (table["n_true"] == 25).all()
    assert table["cell_width"].iloc[0] == pytest.approx(2 * 15 / np.sqrt(np.pi) / 2)
    assert table.attrs["answer"].startswith("Of 25 cells, 99.5 % and more can be matched up to factor 2 with max")


def test_the_answer_stops_at_the_first_factor_that_is_too_large():
    table = ceiling(grid(7, 8), factors=[8, 1], methods=["max"])
    assert "up to factor 1 with max" in table.attrs["answer"]
    assert "the smallest factor is too large" in ceiling(grid(3, 8), factors=[8], methods=["max"]).attrs["answer"]


def test_several_images_are_summed():
    one, two = grid(9), grid(5)
    counts = ["matched", "n_true", "n_pred"]
    both = ceiling([one, two], factors=[3], max_gap=3)[counts]
    alone = [ceiling(image, factors=[3], max_gap=3)[counts] for image in (one, two)]
    assert (both == alone[0] + alone[1]).all(axis=None)
    named = ceiling({"a": one, "b": two}, factors=[3], max_gap=3, region={"b": two > -1, "a": one > -1})
    assert (named[counts] == both).all(axis=None)


def test_what_is_unknown_counts_nowhere():
    cells = grid(15, 4)
    region = np.ones(cells.shape, bool)
    region[:, 32:] = False
    table = ceiling(cells, factors=[2], region=region)
    assert (table["n_true"] == 8).all()
    assert (table["n_pred"] == 8).all()
    assert (table["recall"] == 1).all()


def test_wide_background_is_no_cell_and_is_not_grown_into():
    cells = np.zeros((80, 80), int)
    cells[20:35, 20:35], cells[20:35, 36:51] = 1, 2
    table = ceiling(cells, factors=[2])
    assert (table["n_pred"] == 2).all()
    assert (table["recall"] == 1).all()


def test_volumes_keep_their_slices():
    volume = np.repeat(grid(9)[None], 6, axis=0)
    volume[3] = 0
    volume[4:] = np.where(volume[4:] > 0, volume[4:] + 16, 0)
    table = ceiling(volume, factors=[2])
    assert (table["n_true"] == 32).all()
    assert (table["recall"] == 1).all()


def test_an_image_with_calibration_gives_the_same():
    plain = ceiling(grid(9), factors=[3])
    calibrated = ceiling(fb.as_image(grid(9), pixel_size=0.2, unit="um"), factors=[3])
    pd.testing.assert_frame_equal(plain, calibrated)


def test_ids_of_any_size_give_the_same():
    cells = grid(9).astype(np.uint64)
    large = np.where(cells > 0, cells + np.uint64(2**63), cells)
    pd.testing.assert_frame_equal(ceiling(cells, factors=[3]), ceiling(large, factors=[3]))
    whole = cells[:9, :19]  # no pixel is 0
    whole = np.where(whole == 0, 1, whole)
    pd.testing.assert_frame_equal(ceiling(whole, factors=[3]), ceiling(whole + np.uint64(2**33), factors=[3]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ceiling(np.zeros((9, 9), int)), "no cells"),
        (lambda: ceiling(grid(5), factors=[0]), "integers of at least 1"),
        (lambda: ceiling(grid(5), factors=[]), "integers of at least 1"),
        (lambda: ceiling(grid(5), methods=["best"]), "expected a list of some of"),
        (lambda: ceiling(grid(5), methods="max"), "expected a list of some of"),
        (lambda: ceiling([grid(5)], region=[grid(5), grid(5)]), "expected one region per image"),
        (lambda: ceiling(grid(5), region=np.ones((2, 2))), "crop or resample"),
        (lambda: ceiling((grid(5) > 0) * np.uint8(255)), "binary mask"),
        (lambda: ceiling(np.ones((2, 2, 5, 5), int)), "several come as a list"),
        (lambda: ceiling(fb.as_image(np.array([grid(5)] * 3), dims="tyx")), "select one frame and one channel"),
        (lambda: ceiling(fb.as_image(np.array([grid(5)] * 3), dims="cyx")), "select one frame and one channel"),
    ],
)
def test_what_cannot_be_studied_says_why(call, message):
    with pytest.raises(ImageError, match=message):
        call()


def test_the_plot_is_a_picture(tmp_path):
    plot_ceiling(ceiling(grid(9), factors=[2, 3]), tmp_path / "ceiling.png")
    assert (tmp_path / "ceiling.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture(scope="module")
def cornea(data):
    folder = data / "cornea_alizarine"
    names = [path.name[:2] for path in sorted(folder.glob("*_labels.tif"))]
    read = {what: {n: read_image(folder / f"{n}_{what}").values for n in names} for what in ("labels.tif", "roi.png")}
    return read["labels.tif"], read["roi.png"]


def test_the_known_ceiling_of_max_pooled_membranes(cornea):
    """Matched share of 6,034 cells by components of max-pooled membranes, IoU above 0.5."""
    labels, region = cornea
    table = ceiling(labels, methods=["max"], thresh=float(np.nextafter(0.5, 1)), region=region)
    assert (table["n_true"] == 6034).all()
    plain = {f: round(100 * s, 1) for f, s in share(table, "max", grow=False).items()}
    assert plain == {2: 100.0, 3: 99.9, 4: 96.6, 6: 26.2, 8: 3.2}
    grown = share(table, "max", grow=True)
    known = {2: 1.0, 3: 1.0, 4: 0.999, 6: 0.984, 8: 0.841}  # by another way to grow
    assert grown == pytest.approx(known, abs=0.015)
    assert {f: round(100 * s, 1) for f, s in grown.items() if f < 6} == {2: 100.0, 3: 100.0, 4: 99.9}


def test_shares_and_labels_go_further_than_membranes(cornea):
    labels, region = cornea
    table = ceiling(labels, factors=(6, 8), methods=["mean", "mode"], region=region)
    assert share(table, "mean", grow=True)[6] > 0.99 > 0.984
    assert share(table, "mean", grow=True)[8] > 0.92 > 0.841
    assert share(table, "mode", grow=True)[6] > 0.999
    assert share(table, "mode", grow=True)[8] > 0.997


def test_the_verb_leaves_out_what_its_number_says_is_unknown(tmp_path):
    from typer.testing import CliRunner

    from fijibridge.app.cli import app
    from fijibridge.files import write_image

    labels = grid(9).astype(np.uint16)
    write_image(np.zeros(labels.shape, np.uint8), tmp_path / "a_image.tif")
    write_image(labels, tmp_path / "a_labels.tif")
    text = 'format = 1\nimage = "*_image.tif"\nlabels = "{name}_labels.tif"\n'
    (tmp_path / "dataset.toml").write_text(text + '[values.labels]\n1 = "ignore"\n')
    done = CliRunner().invoke(
        app, ["ceiling", str(tmp_path), "--factors=2", "--methods=mode", "--csv", str(tmp_path / "t.csv")]
    )
    assert done.exit_code == 0, done.output
    assert pd.read_csv(tmp_path / "t.csv")["n_true"].unique().tolist() == [15]


def test_the_verb_prints_table_and_sentence(tmp_path):
    from typer.testing import CliRunner

    from fijibridge.app.cli import app
    from fijibridge.files import write_image

    for name in ("a", "b"):
        write_image(np.zeros((39, 39), np.uint8), tmp_path / f"{name}_image.tif")
        write_image(grid(9).astype(np.uint16), tmp_path / f"{name}_labels.tif")
    patterns = ["--image=*_image.tif", "--labels={name}_labels.tif", "--test=b"]
    written = ["--csv", str(tmp_path / "t.csv"), "--plot", str(tmp_path / "p.png")]
    command = ["ceiling", str(tmp_path), *patterns, "--split=test", "--factors=2,3", "--methods=max,mode", *written]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "Of 16 cells, 99.5 % and more can be matched up to factor 3 with max" in done.output.replace("\n", " ")
    table = pd.read_csv(tmp_path / "t.csv")
    assert (len(table), table["n_true"].unique().tolist()) == (8, [16])
    assert (tmp_path / "p.png").exists()
    assert CliRunner().invoke(app, ["ceiling", str(tmp_path), *patterns, "--factors=2,x"]).exit_code == 2
