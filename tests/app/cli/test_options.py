from __future__ import annotations

from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from fijibridge.app.cli import app
from fijibridge.app.cli.options import help_of, takes
from fijibridge.errors import OptionError, RenamedWarning
from fijibridge.verbs import Call, Image, Param, verb_named
from fijibridge.verbs.parameters import parameters_of
from fijibridge.verbs.prediction import predict_folder
from fijibridge.verbs.segmentation import label_cells
from fijibridge.verbs.training import plan, train


def called(
    call: Call,
    image: Image,
    number: Annotated[float, Param("how much", "px", low=0, high=9)] = 2.5,
    two_words: Annotated[int | None, Param("how many", low=1)] = None,
    way: Literal["as is", "b"] = "as is",
    on: Annotated[bool, Param("whether")] = True,
) -> None: ...


def command(**chosen: Any):
    """Return a function that calls a command made so, and what the command got."""
    got: dict[str, Any] = {}
    own = typer.Typer(add_completion=False)

    @own.command()
    @takes(called, without=("image",), **chosen)
    def made(folder: str, first: int = 1, last: int = 2, **options: Any) -> None:
        got.update(folder=folder, first=first, last=last, **options)

    def run(*arguments: str):
        done = CliRunner().invoke(own, arguments, env={"COLUMNS": "200"})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run, got


def test_options_have_the_verbs_defaults_and_types():
    run, got = command()
    assert run("f").exit_code == 0
    assert got == {"folder": "f", "first": 1, "last": 2, "number": 2.5, "two_words": None, "way": "as is", "on": True}
    assert run("f", "--number=3", "--two-words=4", "--way=b", "--no-on", "--last=5").exit_code == 0
    assert got == {"folder": "f", "first": 1, "last": 5, "number": 3.0, "two_words": 4, "way": "b", "on": False}
    assert type(got["way"]) is str
    assert run("f", "--way=as-is").exit_code == 0
    assert got["way"] == "as is"


def test_what_is_not_given_may_be_none():
    run, got = command(unset=("number", "way", "on"))
    assert run("f", "--on").exit_code == 0
    assert (got["number"], got["way"], got["on"], got["two_words"]) == (None, None, True, None)
    assert "(2.5)" in run("--help").output, "the default is told all the same"


def test_only_some_at_a_place_of_their_own():
    run, got = command(only=("number", "on"), after="first")
    text = run("--help").output
    assert text.index("--first") < text.index("--number") < text.index("--on") < text.index("--last")
    assert run("f").exit_code == 0
    assert set(got) == {"folder", "first", "last", "number", "on"}
    assert run("f", "--way=b").exit_code == 2


def test_all_that_is_wrong_is_told_as_everywhere():
    run, got = command()
    with pytest.raises(OptionError) as error:
        run("f", "--number=10", "--two-words=0")
    assert str(error.value) == (
        "number is 10.0; expected a number from 0 to 9 (px); two_words is 0; expected a whole number of at least 1"
    )
    assert got == {}
    assert run("f", "--way=c").exit_code == 2
    assert run("f", "--number=x").exit_code == 2


def test_help_has_unit_and_range():
    told = {p.name: help_of(p) for p in parameters_of(called, Call)[0]}
    assert told["number"] == "how much (px, from 0 to 9)"
    assert told["two_words"] == "how many (at least 1)"
    assert told["on"] == "whether"


@pytest.mark.parametrize(
    ("name", "verb", "lacking"),
    [
        ("label", label_cells, {"image", "model", "outlines", "manager", "device"}),
        ("train", train, {"folder", "out", "start", "existing"}),
        ("plan", plan, {"folder"}),
        ("predict", predict_folder, {"input", "model", "output", "existing"}),
    ],
)
def test_commands_have_the_options_of_their_verbs(name, verb, lacking):
    context = typer.main.get_command(app).make_context("fijibridge", [name, "--help"], resilient_parsing=True)
    options = {option.name: option for option in context.command.get_command(context, name).params}
    for parameter in parameters_of(verb, Call)[0]:
        if parameter.name in lacking:
            continue
        option = options[parameter.name]
        assert option.help == help_of(parameter)
        assert f"--{parameter.name.replace('_', '-')}" in option.opts
    assert lacking <= {parameter.name for parameter in parameters_of(verb, Call)[0]}


@pytest.mark.parametrize("name", ["thresh", "min_size"])
def test_matching_has_the_options_of_its_verb(name):
    context = typer.main.get_command(app).make_context("fijibridge", ["match", "--help"], resilient_parsing=True)
    (option,) = [o for o in context.command.get_command(context, "match").params if o.name == name]
    assert option.help == help_of(verb_named("match_labels")[name])
    assert option.default == verb_named("match_labels")[name].default


def test_an_option_may_have_its_old_name_but_not_both():
    def sized(call: Call, size: Annotated[int, Param("how large", "px", was=("width",))] = 3) -> None: ...

    own, got = typer.Typer(add_completion=False), {}

    @own.command()
    @takes(sized)
    def made(**options: Any) -> None:
        got.update(options)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(own, arguments, catch_exceptions=False)

    with pytest.warns(RenamedWarning, match="--width was renamed to --size"):
        run("--width=5")
    assert got == {"size": 5}
    run()
    assert got == {"size": 3}
    with pytest.raises(OptionError, match="width was renamed to size, and both are given: leave width out"):
        run("--width=5", "--size=3")


def test_a_required_option_may_have_its_old_name():
    def sized(call: Call, size: Annotated[int, Param("how large", "px", was=("width",))]) -> None: ...

    own, got = typer.Typer(add_completion=False), {}

    @own.command()
    @takes(sized)
    def made(**options: Any) -> None:
        got.update(options)

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(own, arguments, catch_exceptions=False)

    with pytest.warns(RenamedWarning, match="--width was renamed to --size"):
        run("--width=5")
    assert got == {"size": 5}
    run("--size=7")
    assert got == {"size": 7}
    with pytest.raises(OptionError, match="--size is missing; expected a whole number"):
        run()
    assert "(required)" in run("--help").output
