"""The verb run: any verb, those of other packages too, on files."""

from __future__ import annotations

import inspect
import signal
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fijibridge.app.cli.base import app
from fijibridge.app.cli.options import dressed, plain, signed
from fijibridge.verbs import Call, Say, Verb, all_verbs, perform

Out = Annotated[Path, typer.Option(help="folder for what it finds")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="files of the same names in --out may be lost")]


class Verbs(TyperGroup):
    """A command for each verb that there is when it is asked for: a package may bring some."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, in the order of the menu."""
        return [command_name(verb) for verb in all_verbs()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of that name, None if there is none."""
        found = next((verb for verb in all_verbs() if command_name(verb) == cmd_name), None)
        return None if found is None else _command(found)


runs = typer.Typer(
    cls=Verbs, add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True,
    help="Call a verb, as Fiji's menu has them, on files; without one, list them.",
)  # fmt: skip
app.add_typer(runs, name="run")


@runs.callback(invoke_without_command=True)
def _listed(
    ctx: typer.Context, listed: Annotated[bool, typer.Option("--list", help="list the verbs and end")] = False
) -> None:
    if not listed and ctx.invoked_subcommand is not None:
        return
    from fijibridge.app.console import console

    verbs = all_verbs()
    wide = max(len(command_name(verb)) for verb in verbs)
    for verb in verbs:
        console.print(f"{command_name(verb):<{wide}}  {verb.summary}", soft_wrap=True)
    raise typer.Exit


def command_name(verb: Verb) -> str:
    """Return the name of a verb in a shell."""
    return verb.name.replace("_", "-")


def only_says(verb: Verb) -> bool:
    """Whether a verb says that it returns words, or nothing, so that there is nothing to be written."""
    return typing.get_type_hints(verb.function).get("return") in (Say, str, type(None))


def _command(verb: Verb) -> Any:
    def called(**given: Any) -> None:
        run_verb(verb, {name: plain(value) for name, value in given.items()})

    options = [signed(parameter) for parameter in verb.parameters]
    own = {option.name for option in options}
    if not only_says(verb):
        more = [("out", Out, inspect.Parameter.empty), ("overwrite", Overwrite, False)]
        options += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, kind, default in more
            if name not in own and "out" not in own
        ]
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name=command_name(verb), help=verb.help)(dressed(called, options))
    return typer.main.get_command(single)


def run_verb(verb: Verb, given: dict[str, Any]) -> None:
    """Call a verb on files, showing how far it is; Ctrl-C stops it.

    A verb with a parameter ``out`` of its own looks after that folder itself, and what it shows is written there too.

    Raises
    ------
    FijiBridgeError
        Whatever is wrong with the options, or the verb raises.
    """
    from fijibridge.app.console import bar, console
    from fijibridge.app.file_host import OnFiles

    known = {parameter.name for parameter in verb.parameters}
    host = OnFiles(given.get("out"), overwrite="out" in known or bool(given.get("overwrite")))
    values = {name: value for name, value in given.items() if name in known and value is not None}
    with bar(verb.title.removesuffix("...")) as shown:
        call = Call(progress=shown.progress, say=shown.now)
        with stopped_by_ctrl_c(call):
            perform(verb, values, host, call)
    if host.written:
        console.print(f"{', '.join(path.name for path in host.written)} in {host.out}", soft_wrap=True)


@contextmanager
def stopped_by_ctrl_c(call: Call) -> Iterator[None]:
    """Let Ctrl-C ask a call to stop; a second one breaks it off."""
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        if call.stop.is_set():
            raise KeyboardInterrupt
        call.stop.set()
        call.say("stops as soon as it can; Ctrl-C again breaks it off")

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
