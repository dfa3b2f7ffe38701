from __future__ import annotations

import os
import textwrap
from typing import Annotated

import numpy as np
import pytest

from fijibridge.errors import OptionError, RenamedWarning, VerbError
from fijibridge.verbs import Call, Cells, Image, Param, Say, all_verbs, unregister, verb, verb_named
from fijibridge.verbs.registry import on_change
from tests.conftest import ROOT

BUILT_IN = [
    "save_training_set", "plan", "train_u_net", "stop_training", "predict", "predict_folder", "label_cells",
    "match_labels", "measure_cells", "show_errors", "about",
]  # fmt: skip


def test_the_verbs_of_fijibridge_in_the_order_of_the_menu():
    assert [made.name for made in all_verbs()] == BUILT_IN
    for made in all_verbs():
        assert made.summary.endswith((".", "..."))
        assert all(parameter.help for parameter in made.parameters), made.name


def test_a_function_becomes_a_verb_and_stays_a_function():
    def count(call: Call, image: Image, limit: Annotated[float, Param("at least", low=0)] = 1) -> str:
        """Count bright pixels.

        All of them.
        """
        return str(int((image >= limit).sum()))

    made_of = verb("Count Pixels...", order=33)(count)
    assert made_of is count
    made = verb_named("count_pixels")
    assert (made.title, made.command) == ("Count Pixels...", "FijiBridge Count Pixels...")
    assert (made.help, made.summary) == ("Count bright pixels.\n\nAll of them.", "Count bright pixels.")
    assert [p.name for p in made.parameters] == ["image", "limit"]
    assert made["limit"].low == 0
    assert verb_named("FijiBridge Count Pixels...") is verb_named("Count Pixels...") is made
    names = [one.name for one in all_verbs()]
    assert names.index("label_cells") < names.index("count_pixels") < names.index("match_labels")
    assert made.run({"image": np.arange(5), "limit": 2.0}, Call()) == [Say("3")]
    unregister("count_pixels")
    with pytest.raises(VerbError, match="verb 'count_pixels' does not exist; expected one of save_training_set, plan"):
        verb_named("count_pixels")


def test_defined_again_it_is_the_new_one_but_another_function_is_refused():
    def define(answer):
        def again() -> str:
            return answer

        verb("Again")(again)

    define("one")
    define("two")
    assert verb_named("again").run({}, Call()) == [Say("two")]

    def other() -> str:
        return "three"

    with pytest.raises(VerbError, match="another verb has the title 'Again'"):
        verb("Again")(other)
    assert verb_named("again").run({}, Call()) == [Say("two")]


def test_the_verbs_of_fijibridge_are_not_replaced(python):
    """Not even by a function of the same name, defined before they were loaded."""
    done = python(
        """
        from fijibridge.errors import OptionError, RenamedWarning, VerbError
        from fijibridge.verbs import verb, verb_named
        def predict() -> str:
            return "mine"
        try:
            verb("Predict...")(predict)
        except VerbError as error:
            print(error)
        print(verb_named("predict").function.__module__)
        """
    )
    assert done.stdout.split("\n")[:2] == [
        "another verb has the title 'Predict...'; choose another title",
        "fijibridge.verbs.prediction",
    ]


@pytest.mark.parametrize("title", ["", "...", "1st", "A/B", "A.. ", "A>B..."])
def test_titles_that_a_menu_cannot_have(title):
    with pytest.raises(VerbError, match=r"of a verb is .*; expected letters"):
        verb(title)(lambda: None)


def test_who_shows_verbs_is_told_when_they_change():
    told = []
    stop = on_change(lambda: told.append(len(all_verbs())))
    before = len(all_verbs())

    @verb("Told")
    def told_verb() -> None: ...

    unregister("told")
    assert told == [before + 1, before]
    stop()
    verb("Told")(told_verb)
    assert len(told) == 2


def test_arrays_are_labels_where_the_function_says_so():
    from fijibridge.verbs import ShowImage, ShowLabels

    def as_cells(image: Image) -> Cells:
        return image

    def as_picture(image: Image) -> Image:
        return image

    kinds = {}
    for title, function in (("Cells", as_cells), ("Picture", as_picture)):
        verb(title)(function)
        (kinds[title],) = verb_named(title).run({"image": np.eye(3, dtype=int)}, Call())
    assert isinstance(kinds["Cells"], ShowLabels)
    assert isinstance(kinds["Picture"], ShowImage)
    assert kinds["Picture"].name == "Picture"


def _distribution(folder, name, module, code):
    (folder / f"{name}-1.0.dist-info").mkdir(parents=True)
    (folder / f"{name}-1.0.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    entry = f"[fijibridge.verbs]\n{name} = {module}\n"
    (folder / f"{name}-1.0.dist-info" / "entry_points.txt").write_text(entry)
    (folder / f"{name}.py").write_text(textwrap.dedent(code))


def test_packages_bring_verbs_and_a_broken_one_does_no_harm(python, tmp_path):
    _distribution(
        tmp_path, "good", "good",
        """
        from fijibridge.verbs import verb
        @verb("Of A Package")
        def of_a_package() -> str:
            return "here"
        """,
    )  # fmt: skip
    _distribution(tmp_path, "bad", "bad:nothing", "import no_such_module")
    code = """
        import logging
        logging.basicConfig(format="%(message)s")
        from fijibridge.verbs import Call, all_verbs, verb_named
        print(verb_named("of_a_package").run({}, Call()))
        print(len(all_verbs()))
    """
    done = python(code, PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    assert done.stdout.splitlines() == ["[Say(text='here')]", str(len(BUILT_IN) + 1)]
    assert done.stderr.count("cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'") == 1


def test_asking_for_verbs_loads_neither_torch_nor_java(python):
    python(
        """
        import sys
        from fijibridge.verbs import all_verbs
        assert len(all_verbs()) > 9
        heavy = {"torch", "lightning", "jpype", "scyjava", "matplotlib"} & set(sys.modules)
        assert not heavy, heavy
        """
    )


def test_reading_parameters_loads_neither_torch_nor_java_nor_arrays(python):
    python(
        """
        import sys
        from fijibridge.verbs import all_verbs
        assert sum(len(verb.parameters) for verb in all_verbs()) > 50
        heavy = {"torch", "lightning", "jpype", "scyjava", "matplotlib", "pydantic", "numpy"} & set(sys.modules)
        assert not heavy, heavy
        """
    )


def test_a_renamed_parameter_keeps_its_old_name_and_warns():
    def drawn(line_width: Annotated[float, Param(was=("width", "w"))] = 3) -> str:
        return f"{line_width:g}"

    verb("Drawn...")(drawn)
    made = verb_named("drawn")
    assert made.read({"line_width": "5"}) == {"line_width": 5}
    for old in ("width", "w"):
        with pytest.warns(
            RenamedWarning, match=rf"the option {old} of FijiBridge Drawn\.\.\. was renamed to line_width"
        ):
            assert made.read({old: "5"}) == {"line_width": 5}
    with pytest.raises(OptionError, match="width was renamed to line_width, and both are given: leave width out"):
        made.read({"width": "5", "line_width": "6"})
    with pytest.raises(OptionError, match="option 'size' does not exist; expected one of line_width"):
        made.read({"size": "5"})
