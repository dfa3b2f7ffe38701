"""Command run: any verb, including those of other packages, on files."""

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

from fijibridge.app.cli.options import dressed, plain, signed
from fijibridge.verbs import Call, Offer, Say, Verb, all_verbs, perform

Out = Annotated[Path, typer.Option(help="folder for the results")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="replace files of the same names in --out")]


class Verbs(TyperGroup):
    """Group with a command for each verb, looked up when needed because packages may add verbs."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands, in the order of the menu."""
        return [command_name(verb) for verb in all_verbs()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command by name; None if there is none."""
        found = next((verb for verb in all_verbs() if command_name(verb) == cmd_name), None)
        return None if found is None else _command(found)


runs = typer.Typer(
    cls=Verbs, add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True,
    help="Call a verb of Fiji's menu on files; without a verb, list all verbs.",
)  # fmt: skip


@runs.callback(invoke_without_command=True)
def _listed(
    ctx: typer.Context, listed: Annotated[bool, typer.Option("--list", help="list the verbs and exit")] = False
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
    """Return whether a verb returns text or nothing, so that there are no files to write."""
    return typing.get_type_hints(verb.function).get("return") in (Say, Offer, str, type(None))


def _command(verb: Verb) -> Any:
    def called(**given: Any) -> None:
        run_verb(verb, {name: plain(value) for name, value in given.items()})

    options = [option for parameter in verb.parameters for option in signed(parameter)]
    own = {option.name for option in options}
    if not only_says(verb):
        more = [("out", Out, inspect.Parameter.empty), ("overwrite", Overwrite, False)]
        options += [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for name, kind, default in more
            if name not in own and "out" not in own
        ]
    single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    single.command(name=command_name(verb), help=verb.help)(dressed(called, options, verb.parameters))
    return typer.main.get_command(single)


def run_verb(verb: Verb, given: dict[str, Any]) -> None:
    """Call a verb on files with a progress bar; Ctrl-C stops it.

    A verb with its own parameter ``out`` is responsible for this folder; other results are written there too.

    Raises
    ------
    FijiBridgeError
        If options are invalid, or the verb raises this error.
    """
    from fijibridge.app.console import bar, console
    from fijibridge.app.file_host import FileHost

    known = {parameter.name for parameter in verb.parameters}
    host = FileHost(given.get("out"), overwrite="out" in known or bool(given.get("overwrite")))
    values = {name: value for name, value in given.items() if name in known and value is not None}
    with bar(verb.title.removesuffix("...")) as shown:
        call = Call(progress=shown.progress, say=shown.now)
        with stopped_by_ctrl_c(call):
            perform(verb, values, host, call)
    if host.written:
        console.print(f"{', '.join(path.name for path in host.written)} in {host.out}", soft_wrap=True)


@contextmanager
def stopped_by_ctrl_c(call: Call) -> Iterator[None]:
    """Ask a call to stop at the first Ctrl-C, and abort it at the second."""
    before = signal.getsignal(signal.SIGINT)

    def ask(number: int, frame: Any) -> None:
        if call.stop.is_set():
            raise KeyboardInterrupt
        call.stop.set()
        call.say("stopping; press Ctrl-C again to abort")

    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
