"""Inputs that verbs take from ImageJ, and results that they show there."""

from __future__ import annotations

from contextlib import closing
from typing import Annotated

import jpype
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import fijibridge as fb
from fijibridge.errors import MacroError
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.menu.call import _recorded_overwrite
from fijibridge.fiji.menu.host import FijiHost
from fijibridge.verbs import Cells, Image, Offer, Param, ShowImage, verb_named


def test_the_active_image_is_taken_if_none_is_named(clean, raw, model):
    clean.run_macro(f'p = "{model}"; run("FijiBridge Predict...", "model=&p device=cpu");')
    assert clean.titles() == ["raw.tif", "raw_prob"]
    again = clean.ids()
    clean.run_macro(f'selectImage("raw.tif"); run("FijiBridge Predict...", "model=[{model}] device=cpu");')
    assert clean.titles() == ["raw.tif", "raw_prob"], "the result of that name is replaced"
    assert clean.ids() == again


def test_cells_are_labelled_outlined_measured_and_matched(clean):
    tissue = fb.synthetic_epithelium((96, 96), cell_size=24, photons=400, weak_membranes=0, seed=1)
    truth = tissue.labels
    prob = xr.DataArray(np.asarray(fb.membrane_target(truth, 3) == 1, np.float32), dims=("y", "x"))
    clean.show(prob, name="tissue_prob")
    clean.show_labels(truth, name="truth")
    clean.run_macro("""
        t = 0.6;
        run("FijiBridge Label Cells...", "image=tissue_prob method=threshold threshold=&t grow=false");
        run("FijiBridge Match Labels...", "true=truth predicted=tissue_cells over=tissue_prob");
        run("FijiBridge Match Labels...", "true=truth predicted=truth");
        run("FijiBridge Measure Cells...", "cells=tissue_cells image=tissue_prob measurements=[area mean]");
    """)
    cells = fb.label_cells(prob, method="threshold", threshold=0.6, grow=False)
    assert (clean.image("tissue_cells").values == cells.values).all()
    matching = fb.match_labels(truth, cells)
    table = clean.table("Matches")
    assert table["image"].tolist() == ["tissue_prob", "truth"], "a row is added by each call"
    assert table["matched"].tolist() == [matching.tp, fb.match_labels(truth, truth).tp]
    assert set(clean.tables()) == {"Results", "Matches", "Matches cells"}
    outlined = {roi.name: roi for roi in clean.rois("overlay", "tissue_prob")}
    assert {str(i) for i in np.unique(cells)[1:]} <= set(outlined)
    measured = clean.table("Results")
    ids, pixels = np.unique(cells.values[cells.values > 0], return_counts=True)
    assert measured["label"].tolist() == ids.tolist()
    assert measured["Area"].tolist() == pixels.tolist()


def test_drawn_areas_are_cells(clean, raw):
    clean.add_rois([fb.Roi.rectangle(3, 4, 6, 5, name="7"), fb.Roi.rectangle(20, 20, 8, 9, name="drawn")], "raw.tif")
    clean.run_macro('run("FijiBridge Measure Cells...", "cells=overlay image=raw.tif measurements=area");')
    assert clean.table()["label"].tolist() == [7, 8]
    assert clean.table()["Area"].tolist() == [30 * 0.25, 72 * 0.25]
    with pytest.raises(MacroError, match="cells: the ROI Manager has no areas"):
        clean.run_macro('run("FijiBridge Measure Cells...", "cells=[ROI Manager] image=raw.tif");')
    with pytest.raises(MacroError, match="true: the cells in the overlay belong to an image"):
        clean.run_macro('run("FijiBridge Match Labels...", "true=overlay predicted=overlay");')


@pytest.mark.parametrize("drawn", ["true", "predicted"])
def test_drawn_areas_are_matched_with_a_label_image(clean, drawn):
    labels = np.zeros((40, 50), np.uint16)
    labels[3:9, 4:12] = 7
    clean.show_labels(labels, name="labels")
    clean.add_rois([fb.Roi.rectangle(4, 3, 8, 6, name="7"), fb.Roi.rectangle(20, 20, 8, 9, name="8")], "labels")
    other = "predicted" if drawn == "true" else "true"
    clean.run_macro(f'run("FijiBridge Match Labels...", "{drawn}=overlay {other}=labels");')
    table = clean.table("Matches")
    assert (table["matched"].tolist(), table["GT" if drawn == "true" else "predicted"].tolist()) == ([1], [2])


def test_what_a_verb_returns_is_shown(clean, raw, own):
    def several(image: Image, shift: Annotated[int, Param("to the right", "px", low=0)] = 1) -> list[object]:
        mask = (image > 200).astype(np.uint8).rename("bright")
        return [mask, pd.DataFrame({"n": [int(mask.sum())]}), [fb.Roi.rectangle(shift, 0, 2, 2, name="r")]]

    def everything(image: Image) -> Cells:
        return xr.ones_like(image).astype(np.uint16)  # which has the name of the image

    own("Several...", several)
    own("Everything...", everything)
    clean.run_macro('run("FijiBridge Several...", "image=raw.tif shift=4");')
    clean.run_macro('run("FijiBridge Everything...", "image=raw.tif");')
    clean.run_macro('run("FijiBridge Everything...", "image=raw.tif");')
    assert (clean.array("bright") == (raw.values > 200)).all()
    assert clean.table("Several")["n"].tolist() == [int((raw.values > 200).sum())]
    assert [roi.bounds for roi in clean.rois("overlay", "raw.tif")] == [(4, 0, 6, 2)]
    assert (clean.array("raw.tif") == raw.values).all(), "what no verb made is not replaced"
    assert clean.titles() == ["raw.tif", "bright", "raw_everything"]
    assert clean.image("raw_everything").dtype == np.uint16
    assert clean.run_macro('run("FijiBridge Several...", "image=raw.tif"); return getTitle();') == "bright"
    assert clean.run_macro('run("FijiBridge Everything...", "image=raw.tif"); return getTitle();') == "raw_everything"


def test_two_calls_at_once_choose_different_titles(clean):
    """A title is taken from when a call chose it, not only once its image is open."""
    one, other = (classes.places()(jpype.JClass("java.util.ArrayList")(), False, None) for _ in range(2))
    titles = [str(call.find("x")) for call in (one, other, one)]
    one.close()
    other.close()
    with closing(classes.places()(jpype.JClass("java.util.ArrayList")(), False, None)) as later:
        titles.append(str(later.find("x")))
    assert titles == ["x", "x-1", "x", "x"]


def test_an_image_that_takes_a_chosen_title_meanwhile_is_not_replaced(clean, own):
    def late(image: Image) -> xr.DataArray:
        return image.rename("late")

    own("Late...", late)
    clean.show(np.zeros((4, 5), np.uint8), name="raw")
    host = FijiHost(clean)
    results = [ShowImage(clean.image("raw").rename("late"), "late")]
    verb = verb_named("late")
    host.take(verb["image"], "raw", {})
    with host.reserved(results):
        clean.show(np.full((4, 5), 7, np.uint8), name="late")  # as a cell of a notebook may do
        host.give(results[0])
    assert (clean.array("late") == 7).all()
    assert clean.titles() == ["raw", "late", "late-1"]


def test_a_value_offered_to_no_parameter_is_an_error_before_anything_is_shown(clean, raw, own):
    def offering(image: Image, verb: str, parameter: str) -> list[object]:
        return [image, Offer(verb, parameter, "x")]

    own("Offering...", offering)
    for to, why in (("predict models", "offers models to FijiBridge Predict"), ("walk model", "'walk' does not exist")):
        verb, parameter = to.split()
        with pytest.raises(MacroError, match=why):
            clean.run_macro(f'run("FijiBridge Offering...", "image=raw.tif verb={verb} parameter={parameter}");')
    assert clean.titles() == ["raw.tif"]


def test_an_option_of_the_verbs_own_is_not_recorded_as_ours(own):
    def ours(image: Image) -> Image:
        return image

    def theirs(image: Image, overwrite: bool = False) -> Image:
        return image

    own("Ours...", ours)
    own("Theirs...", theirs)
    assert _recorded_overwrite(verb_named("ours"), True) == {"overwrite": True}
    assert _recorded_overwrite(verb_named("ours"), False) == {}
    assert _recorded_overwrite(verb_named("theirs"), True) == {}
