from __future__ import annotations

import numpy as np
import pytest

from fijibridge.cells.matching.matches import match_labels
from fijibridge.cells.segmentation.labelling import label_cells
from fijibridge.cells.segmentation.tuning import GRIDS, tune_segmentation
from fijibridge.cells.synthetic import synthetic_epithelium
from fijibridge.cells.targets.from_labels import membrane_target
from fijibridge.errors import ImageError, RenamedWarning
from fijibridge.image import as_image


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    probs, truths = {}, {}
    for seed, name in enumerate("ab"):
        truth = synthetic_epithelium((90, 100), cell_size=18, seed=seed).labels
        prob = 0.6 * (membrane_target(truth.values, 2) == 1) + rng.uniform(0, 0.35, truth.shape)
        probs[name], truths[name] = as_image(prob, pixel_size=0.2, unit="um"), truth
    return probs, truths


def test_each_row_is_what_label_cells_and_match_labels_say(images):
    probs, truths = images
    grid = {"threshold": (0.3, 0.5), "h": [1, 3], "min_size": (0, 40), "grow": (True, 2.0)}
    tuning = tune_segmentation(probs, truths, parameters=grid, metric="pq")
    assert len(tuning.table) == 16
    for row in tuning.table.to_dict("records"):
        chosen = {name: row[name] for name in grid}
        found = [match_labels(truths[n], label_cells(probs[n], "watershed", **chosen)) for n in "ab"]
        assert (row["matched"], row["GT"], row["predicted"]) == tuple(
            sum(getattr(m, a) for m in found) for a in ("tp", "n_true", "n_pred")
        )
    assert tuning.score == tuning.table["pq"].max()
    best = [match_labels(truths[n], label_cells(probs[n], **tuning.best)).tp for n in "ab"]
    assert sum(best) == tuning.table.loc[tuning.table["pq"].idxmax(), "matched"]


def test_of_equal_combinations_the_middle_one(images):
    """One square cell pair behind a membrane of 0.6: every threshold from 0.2 to 0.6 finds it."""
    prob = np.full((20, 21), 0.1)
    prob[:, 10] = 0.6
    truth = np.ones((20, 21), int)
    truth[:, 10:] = 2
    tried = (0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.65)
    tuning = tune_segmentation([prob], [truth], "threshold", {"threshold": tried, "min_size": 3})
    assert tuning.best == {"method": "threshold", "threshold": 0.4, "min_size": 3}
    assert tuning.varied == ("threshold",)
    assert tuning.flatness == (
        "f1 1.0000 at threshold 0.4; 5 of 7 combinations are within 0.01 (threshold 0.2 to 0.6)."
    )


def test_an_optimum_at_the_end_is_told():
    prob = np.full((20, 21), 0.1)
    prob[:, 10] = 0.6
    truth = np.ones((20, 21), int)
    truth[:, 10:] = 2
    tuning = tune_segmentation([prob], [truth], "threshold", {"threshold": (0.7, 0.5)})
    assert tuning.best["threshold"] == 0.5
    assert "at the end of the values tried" in tuning.flatness


def test_the_order_of_the_values_does_not_matter(images):
    probs, truths = images
    rising, mixed = (
        tune_segmentation(probs, truths, "threshold", {"threshold": tried})
        for tried in ((0.1, 0.3, 0.4, 0.5, 0.95), (0.4, 0.95, 0.3, 0.5, 0.1))
    )
    assert mixed.flatness == rising.flatness
    assert mixed.best == rising.best
    assert rising.flatness.count("end of the values tried") == 0


def test_regions_and_defaults(images):
    probs, truths = images
    region = np.zeros(truths["a"].shape, np.uint8)
    region[:, :50] = 1
    part = tune_segmentation(probs, truths, "agglomeration", {"beta": 0.5}, regions={"a": region, "b": None})
    whole = tune_segmentation(probs, truths, "agglomeration", {"beta": 0.5})
    assert part.table["GT"].iloc[0] < whole.table["GT"].iloc[0]
    default = tune_segmentation({"a": probs["a"]}, {"a": truths["a"]}, "threshold")
    assert default.table["threshold"].tolist() == list(GRIDS["threshold"]["threshold"])


@pytest.mark.parametrize("method", GRIDS)
def test_what_is_tried_by_default_is_not_worse_than_the_defaults(images, method):
    probs, truths = ({"a": both["a"][:50, :50]} for both in images)
    default = match_labels(truths["a"], label_cells(probs["a"], method))
    tuning = tune_segmentation(probs, truths, method)
    assert tuning.score >= default.f1
    assert (tuning.table["predicted"] > 1).any()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "f2"}, "metric 'f2'"),
        ({"method": "magic"}, "magic"),
        ({"parameters": {"tresh": 1}}, "not a parameter of label_cells"),
        ({"parameters": {"beta": 0.5}}, "not a parameter of the method 'watershed'"),
        ({"method": "minima", "parameters": {"h": 2}}, "h is 2; expected a probability"),
        ({"parameters": {"h": ()}}, "no values to try"),
        ({"probs": {}, "truths": {}}, "no images"),
        ({"truths": {"a": np.ones((9, 9), int)}}, "only in one of probs and truths"),
        ({"probs": np.zeros((9, 9))}, "a list or a mapping"),
    ],
)
def test_bad_input(arguments, words):
    given = {"probs": {"b": np.zeros((9, 9))}, "truths": {"b": np.ones((9, 9), int)}, **arguments}
    with pytest.raises(ImageError, match=words):
        tune_segmentation(**given)


def test_border_is_the_old_name_of_edge_cells(images):
    probs, truths = ({"a": both["a"][:50, :50]} for both in images)
    with pytest.warns(RenamedWarning, match="parameter 'border' of tune_segmentation was renamed to 'edge_cells'"):
        tuning = tune_segmentation(probs, truths, "threshold", {"border": ("keep", "remove")})
    assert tuning.table["edge_cells"].tolist() == ["keep", "remove"]


def test_the_plot_shows_the_table(images, tmp_path):
    from fijibridge.reports.plots import plot_tuning

    probs, truths = images
    grid = {"threshold": (0.3, 0.4, 0.5), "h": (1, 2), "min_size": (0, 20)}
    for name, tried in (("many", grid), ("one", {"threshold": (0.4,)}), ("grow", {"grow": (True, False)})):
        plot_tuning(tune_segmentation(probs, truths, parameters=tried), tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
