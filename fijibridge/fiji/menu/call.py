"""Calls of verbs as ImageJ commands, from the menu, a macro or a script."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Any

import jpype

from fijibridge.errors import Cancelled, FijiBridgeError
from fijibridge.fiji import macros
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.reflection import private_field
from fijibridge.fiji.menu import dialog, macro_recorder
from fijibridge.fiji.menu.host import FijiHost, Session
from fijibridge.fiji.menu.menu_bar import Menu
from fijibridge.renames import rename_attributes
from fijibridge.verbs.dialog_fields import wrapped
from fijibridge.verbs.invocation import prepared
from fijibridge.verbs.macro_options import read_options, with_variables
from fijibridge.verbs.parameters import INPUTS, OVERWRITE
from fijibridge.verbs.registry import Call, Verb, on_change, verb_named
from fijibridge.verbs.results import Result

log = logging.getLogger("fijibridge")

rename_attributes(__name__, {"perform_here": "fiji.session.python_mode:perform_here"})


class Caller(IntEnum):
    """Caller of a command."""

    person = classes.PERSON
    script = classes.SCRIPT
    macro = classes.MACRO
    python = classes.PYTHON


_MACROS = (Caller.macro, Caller.python)


class Calls:
    """The verbs as commands of one session.

    Parameters
    ----------
    fiji
        The session in which the verbs work.
    """

    def __init__(self, fiji: Session):
        self._fiji = fiji
        self._interactive = fiji.mode == "interactive"
        self._menu = Menu(self._interactive)
        self._callee = jpype.JProxy("java.util.function.Function", dict={"apply": self._called})
        self._stop_listening: Callable[[], None] | None = None

    def enter(self) -> None:
        """Make the verbs ImageJ commands; call again if ImageJ's main window was reopened."""
        classes.plugin().callee = self._callee
        if not self._interactive:
            macros.keep_images()  # else ImageJ loses images that are shown during IJ.run
        self._menu.enter()
        if self._stop_listening is None:
            self._stop_listening = on_change(self._menu.refresh)

    def leave(self) -> None:
        """Remove the commands."""
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        self._menu.leave()
        macros.release_images()
        classes.plugin().callee = None

    # --- a call -------------------------------------------------------------------------------------

    def _called(self, arguments: Any) -> Any:
        """Execute a command, and return the Java exception that ends the caller, or None."""
        name, caller = str(arguments[0]), Caller(int(arguments[1]))
        command = name
        try:
            verb = verb_named(name)
            command = verb.command
            self._perform(verb, caller)
        except BaseException as error:  # Java would print the error, and the caller would continue
            why = self._failed(command, caller, error)
            return None if why is None else _end(caller, why)
        return None

    def _perform(self, verb: Verb, caller: Caller) -> None:
        """Read the options of a call, and run the verb."""
        options = None if caller is Caller.person else jpype.JClass("ij.Macro").getOptions()
        if caller not in _MACROS:
            jpype.JClass("ij.IJ").resetEscape()  # a macro resets it at its start
        if options is None and verb.parameters and self._interactive and caller is not Caller.python:
            self._ask(verb, caller)
            return
        given: Mapping[str, str] = {} if options is None else read_options(str(options))
        if caller in _MACROS:
            given = with_variables(given, _variables_of(_macro_of(caller)))
        host = self._host(caller is Caller.person)
        values = prepared(verb, given, host)
        if verb.long and caller is Caller.person:
            self._begin(verb, values, host)
        else:
            self._work(verb, values, host, caller)

    def _ask(self, verb: Verb, caller: Caller) -> None:
        """Show the dialog until its values are valid, and run the verb."""
        texts = dialog.offered(verb)
        while True:
            texts = dialog.ask(verb, texts)
            host = self._host(caller is Caller.person)
            try:
                values = prepared(verb, texts, host)
                dialog.remember(verb, texts)
                if verb.long and caller is Caller.person:
                    self._begin(verb, values, host)
                else:
                    jpype.JClass("ij.IJ").resetEscape()
                    self._work(verb, values, host, caller)
                return
            except Cancelled:
                raise
            except FijiBridgeError as error:
                jpype.JClass("ij.IJ").showMessage(verb.command, wrapped(_message(verb.command, error)))

    def _host(self, person: bool) -> FijiHost:
        """Return the host of a call; for a call from the menu, it asks before replacing unsaved changes."""
        return FijiHost(self._fiji, ask=dialog.may_replace if person and self._interactive else None)

    def _work(self, verb: Verb, values: Mapping[str, Any], host: FijiHost, caller: Caller) -> None:
        """Run a verb while the caller waits, and show its results."""
        escape = jpype.JClass("ij.IJ").escapePressed
        call = Call(self._fiji.progress, self._fiji.status, lambda: bool(escape()))
        results = self._run(verb, values, call)
        with host.reserved(results, _overwrites(verb, values)):
            self._record(verb, values, host, caller, host.replaces)
            _give(results, host)
        # only now, because ImageJ does not record windows that a running command opens
        macro_recorder.stop(verb.command)

    def _begin(self, verb: Verb, values: Mapping[str, Any], host: FijiHost) -> None:
        """Run a long verb on a new thread, which also shows its results or its error."""

        def work() -> None:
            try:
                results = self._run(verb, values, Call(self._fiji.progress, self._fiji.status))
                with host.reserved(results, _overwrites(verb, values)):
                    _give(results, host)
            except BaseException as error:
                if not self._fiji.closed:
                    self._failed(verb.command, Caller.person, error)

        self._record(verb, values, host, Caller.person, _overwrites(verb, values))
        macro_recorder.stop(verb.command)
        self._fiji.status(f"{verb.command.removesuffix('...')} has started")
        threading.Thread(target=work, name=f"fijibridge-{verb.name}", daemon=True).start()

    def _run(self, verb: Verb, values: Mapping[str, Any], call: Call) -> list[Result]:
        try:
            return verb.run(values, call)
        finally:
            if not self._fiji.closed:
                self._fiji.progress(1, 1)

    def _record(self, verb: Verb, values: Mapping[str, Any], host: FijiHost, caller: Caller, replaces: bool) -> None:
        """Record a call with its named options if ImageJ's recorder is open."""
        if not macro_recorder.on_for(caller is Caller.person):
            return
        inputs = {p.name for p in verb.parameters if p.kind in INPUTS}
        written = {name: host.named.get(name) if name in inputs else value for name, value in values.items()}
        macro_recorder.record(verb, written | _recorded_overwrite(verb, replaces))

    # --- a script in Fiji's menu --------------------------------------------------------------------

    def perform_for_script(self, verb: Verb, given: Mapping[str, Any], person: bool = False) -> dict[str, str]:
        """Run a verb while a script in Fiji's menu waits, and return the names of its inputs."""
        host = self._host(person)
        values = prepared(verb, given, host)
        escape = jpype.JClass("ij.IJ").escapePressed
        results = self._run(verb, values, Call(self._fiji.progress, self._fiji.status, lambda: bool(escape())))
        with host.reserved(results, _overwrites(verb, values)):
            _give(results, host)
        more = _recorded_overwrite(verb, host.replaces)
        return host.named | {name: str(value).lower() for name, value in more.items()}

    # --- errors -------------------------------------------------------------------------------------

    def message(self, command: str, error: BaseException) -> str:
        """Return the message of an error; if the error is unexpected, write its traceback to Fiji's log."""
        if not isinstance(error, FijiBridgeError):
            log.debug("%s failed", command, exc_info=error)
            self._fiji.log("".join(traceback.format_exception(error)))
        return _message(command, error)

    def _failed(self, command: str, caller: Caller, error: BaseException) -> str | None:
        """Report that a command failed, and return the message with which the caller ends.

        The message is empty if the call was cancelled. None means that the caller continues.
        """
        macro_recorder.stop(command)
        if caller is Caller.python:
            macros.note_cause(error)
        if isinstance(error, Cancelled):
            self._fiji.status("cancelled")
            return None if caller is Caller.person and self._interactive else ""
        message = self.message(command, error)
        if caller is Caller.person and self._interactive:
            self._fiji.status("")
            jpype.JClass("ij.IJ").showMessage(command, wrapped(message))
            return None
        return wrapped(message) if caller is Caller.macro and self._interactive else message


def _end(caller: Caller, why: str) -> Any:
    """Abort the calling macro, or return the exception that ends the calling script."""
    macro = jpype.JClass("ij.Macro")
    running = _macro_of(caller)
    if running is not None:
        try:
            classes.interpreter().end(running, why)
        except jpype.JClass("java.lang.RuntimeException") as error:
            return error
        finally:
            macros.restore_images()  # now, because a Java script that runs the macro does not call us afterwards
        return None
    if caller in _MACROS:  # ImageJ knows only a macro that another thread started later
        if why:
            jpype.JClass("ij.IJ").showMessage("Macro Error", why)
        return classes.failure()(macro.MACRO_CANCELED)
    if caller is Caller.person:
        return jpype.JClass("java.lang.RuntimeException")(why or macro.MACRO_CANCELED)
    # what IJ.run does at its end, which the exception skips
    macro.setOptions(None)
    private_field(jpype.JClass("ij.IJ"), "macroRunning").setBoolean(None, False)
    return classes.failure()(why or macro.MACRO_CANCELED)


def _message(command: str, error: BaseException) -> str:
    """Return the message of an error, prefixed with the command."""
    if not isinstance(error, FijiBridgeError):
        return f"{command}: {type(error).__name__}: {error} (its traceback is in the log)"
    text = str(error) or type(error).__name__
    return text if text.startswith(command) else f"{command}: {text}"


def _overwrites(verb: Verb, values: Mapping[str, Any]) -> bool:
    """Return the value of the option that replaces images with unsaved changes; other verbs do not have it."""
    return OVERWRITE in verb.options and bool(values.get(OVERWRITE.name, False))


def _recorded_overwrite(verb: Verb, replaces: bool) -> dict[str, bool]:
    """Return the option with which a recorded call replaces images with unsaved changes, too."""
    return {OVERWRITE.name: True} if replaces and OVERWRITE in verb.options else {}


def _give(results: list[Result], host: FijiHost) -> None:
    for result in results:
        host.give(result)


def _macro_of(caller: Caller) -> Any:
    """Return the interpreter of the calling macro; None if there is none, or ImageJ does not know it."""
    if caller is Caller.python:
        return macros.macro_here()
    macro = jpype.JClass("ij.macro.Interpreter").getInstance() if caller is Caller.macro else None
    return None if isinstance(macro, classes.interpreter()) else macro  # one of ours belongs to another thread


def _variables_of(macro: Any) -> Callable[[str], str | None]:
    """Return a function that returns the value of a macro's variable as text."""

    def held(name: str) -> str | None:
        value = None if macro is None else macro.getVariableAsString(name)
        return None if value is None else str(value)

    return held
