"""The verbs of segmentation do what the functions do that they are named after."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.cells.diagnosis.rois import matching_rois
from fijibridge.errors import ImageError, OptionError
from fijibridge.verbs import Call, Measure, Outlines, Say, ShowImage, ShowLabels, ShowTable
from tests.verbs.conftest import Arrays, call


def test_label_cells(host, prob):
    options = {"method": "agglomeration", "threshold": "0.4", "sigma": "0.7", "h": "1", "beta": "0.4", "min_size": "1",
               "max_size": "300", "unit": "um2", "grow_by": "2", "fill_holes": "false",
               "edge_cells": "remove"}  # fmt: skip
    shown, outlines = call("label_cells", host(), image="prob", **options)
    cells = fb.label_cells(prob, "agglomeration", threshold=0.4, sigma=0.7, h=1, beta=0.4, min_size=1, max_size=300,
                           unit="um2", grow=2, fill_holes=False, edge_cells="remove")  # fmt: skip
    assert cells.max() > 5
    assert isinstance(shown, ShowLabels)
    assert shown.labels.identical(cells)
    assert shown.name == "evl_cells"
    assert (outlines.over, outlines.manager) == ("image", False)
    assert (fb.rois_to_labels(outlines.rois, cells.shape) == cells.values).all()


def test_label_cells_by_number_of_the_channel_and_without_outlines(host, prob):
    (shown,) = call("label_cells", host(), image="prob", membrane="2", grow="false", outlines="false")
    assert (shown.labels.values == fb.label_cells(prob, "watershed", membrane=1, grow=False).values).all()
    for wrong, words in (
        ("0", "membrane is '0'; expected the name"),
        ("3", "membrane is '3'; the image has 2 channels"),
        ("nerve", "nerve"),
    ):
        with pytest.raises((OptionError, ImageError), match=words):
            call("label_cells", host(), image="prob", membrane=wrong)


def test_series_of_stacks_have_cells_and_matches_but_no_outlines(prob):
    series = xr.concat([xr.concat([prob[1, :40, :40]] * 2, "z")] * 3, "t")
    host = Arrays(prob=series.rename("series"))
    shown, said = call("label_cells", host, image="prob", method="threshold")
    assert (shown.labels.values == fb.label_cells(series, "threshold").values).all()
    assert said.text.startswith("No outlines")
    host.images["cells"] = shown.labels
    said, cells, matches = call("match_labels", host, true="cells", predicted="cells")
    assert said.text.startswith("No outlines")
    assert matches.table["matched"].item() == len(cells.table) == len(np.unique(shown.labels)) - 1


def test_label_cells_predicts_first_with_a_model(host, tissue, model):
    told = []
    shown, _ = call("label_cells", host(), Call(say=told.append), image="raw", model=str(model), threshold=0.3)
    expected = fb.label_cells(fb.predict(model, tissue.image), "watershed", threshold=0.3)
    assert (shown.labels.values == expected.values).all()
    assert told == ["predicting evl", "labelling evl"]


def test_what_does_not_fit_is_told_before_a_network_works(host, tmp_path):
    """The model is no model: nobody looks at it."""
    (tmp_path / "none.safetensors").write_text("")
    for given, words in (
        ({"method": "threshold", "h": 1}, "h is not a parameter of the method 'threshold'"),
        ({"grow": False, "grow_by": 2}, "leave one out"),
        ({"min_size": 5, "max_size": 2}, "max_size is 2; expected at least min_size"),
    ):
        with pytest.raises((ImageError, OptionError), match=words):
            call("label_cells", host(), image="raw", model=tmp_path / "none.safetensors", **given)


def test_match_labels(host, tissue, cells):
    outlines, of_cells, row = call("match_labels", host(), true="truth", predicted="found", over="raw", thresh="0.6")
    expected = fb.match_labels(tissue.labels, cells, thresh=0.6)
    assert 0 < expected.tp < expected.n_true
    assert row.table.iloc[0].to_dict() == fb.match_table({"evl": expected}).iloc[0].to_dict()
    assert (row.name, row.add) == ("Matches", True)
    assert of_cells.table.equals(expected.cells().drop(columns="color"))
    assert (outlines.over, of_cells.select_in) == ("over", "over")
    assert (list(outlines.rois), outlines.colors) == matching_rois(expected, tissue.labels, cells)
    assert sorted(set(of_cells.table["label"].astype(str))) == sorted({roi.name for roi in outlines.rois})


def test_match_labels_in_a_region_without_an_image(host, tissue, cells):
    region = fb.as_image(np.arange(tissue.labels.size).reshape(tissue.labels.shape) < 5000)
    arrays = host()
    arrays.images["known"] = region
    outlines, _, row = call("match_labels", arrays, true="truth", predicted="found", region="known", table="Mine")
    expected = fb.match_labels(tissue.labels, cells, region=region.values)
    assert expected.n_true < len(np.unique(tissue.labels))
    assert row.table["matched"].tolist() == [expected.tp]
    assert (row.name, row.table["image"].tolist(), outlines.over) == ("Mine", ["evl"], "predicted")


def test_show_errors(host, tissue, cells, prob):
    found = fb.diagnose(tissue.labels, cells, prob=prob, thresh=0.5, membrane_threshold=0.4, membrane_width=3)
    results = call(
        "show_errors", host(), true="truth", predicted="found", prob="prob", membrane_threshold=0.4, over="raw"
    )
    assert [type(result) for result in results] == [ShowImage, Outlines, ShowTable, ShowTable, Say]
    errors, outlines, of_cells, gaps, said = results
    assert (errors.image.values == np.asarray(found.errors)).all()
    assert (errors.name, errors.colors.shape) == ("evl_errors", (256, 3))
    assert of_cells.table.equals(found.cells.drop(columns="color"))
    assert len(gaps.table) == len(found.gaps) > 0
    drawn, _ = matching_rois(found.matching, tissue.labels, cells)
    assert outlines.rois[: len(drawn)] == drawn
    assert set(gaps.table["label"]) <= {roi.name for roi in outlines.rois if roi.kind == "point"}
    assert said.text == found.summary


def test_measure_cells_says_what_is_measured_where(host, cells):
    (result,) = call("measure_cells", host(), cells="found", image="prob", measurements="area, mean", channel="2")
    assert isinstance(result, Measure)
    assert (result.on, tuple(result.measurements), result.channel) == ("image", ("area", "mean"), 1)
    assert len(result.rois) == cells.max()
    (result,) = call("measure_cells", host(), cells="found", image="raw")
    from fijibridge.fiji.analyzer import MEASUREMENTS

    assert (tuple(result.measurements), result.channel) == (MEASUREMENTS, None)
    with pytest.raises(OptionError, match="channel is 2; the image has 1"):
        call("measure_cells", host(), cells="found", image="raw", channel=2)


def test_without_cells_there_is_nothing_to_measure(cells, prob):
    host = Arrays(cells=(cells * 0).rename("a.tif"), prob=prob)
    with pytest.raises(OptionError, match="cells: a has no cells to measure"):
        call("measure_cells", host, cells="cells", image="prob")


def test_cells_are_not_measured_on_an_image_of_another_size(host):
    given = host()
    given.images["raw"] = given.images["raw"][:20]
    with pytest.raises(OptionError, match="expected cells of this image"):
        call("measure_cells", given, cells="found", image="raw")


@pytest.mark.parametrize("kind", ["mask", "grey values"])
def test_what_is_no_label_image_is_no_cells(host, kind):
    given = host()
    if kind == "mask":
        given.images["found"] = (given.images["found"] > 0).astype(np.uint8) * 255
    else:
        given.images["found"] = given.images["raw"]
    with pytest.raises(
        OptionError, match="it is a binary mask" if kind == "mask" else "it looks like an image of grey"
    ):
        call("match_labels", given, true="truth", predicted="found")
