"""What happens when a person, a macro or a script calls a verb as a command of ImageJ."""

from __future__ import annotations

import json
import logging
import threading
import traceback
from collections.abc import Callable, Mapping
from enum import IntEnum
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import jpype

from fijibridge.errors import Cancelled, FijiBridgeError, OptionError
from fijibridge.fiji import macros
from fijibridge.fiji.jvm import classes
from fijibridge.fiji.jvm.reflection import private_field
from fijibridge.fiji.menu import dialog
from fijibridge.fiji.menu.entries import Menu
from fijibridge.fiji.menu.host import FijiHost
from fijibridge.java import compiler
from fijibridge.verbs.dialog_fields import wrapped
from fijibridge.verbs.invocation import prepared
from fijibridge.verbs.macro_options import read_options, read_request, with_variables, write_request
from fijibridge.verbs.parameters import INPUTS, OVERWRITE
from fijibridge.verbs.registry import Call, Verb, on_change, verb_named
from fijibridge.verbs.results import Result

if TYPE_CHECKING:
    from fijibridge.fiji.session.fiji import Fiji

log = logging.getLogger("fijibridge")


class Caller(IntEnum):
    """Who called a command."""

    person = classes.PERSON
    script = classes.SCRIPT
    macro = classes.MACRO
    python = classes.PYTHON


_MACROS = (Caller.macro, Caller.python)


class Calls:
    """The verbs as commands of a running Fiji.

    Parameters
    ----------
    fiji
        The session that they work in.
    """

    def __init__(self, fiji: Fiji):
        self._fiji = fiji
        self._interactive = fiji.mode == "interactive"
        self._menu = Menu(self._interactive)
        self._callee = jpype.JProxy("java.util.function.Function", dict={"apply": self._called})
        self._stop_listening: Callable[[], None] | None = None

    def enter(self) -> None:
        """Make the verbs commands, also after ImageJ's main window was opened anew."""
        classes.plugin().callee = self._callee
        if not self._interactive:
            macros.keep_images()  # else an image that is shown within IJ.run is shown nowhere
        self._menu.enter()
        if self._stop_listening is None:
            self._stop_listening = on_change(self._menu.enter)

    def leave(self) -> None:
        """Take the commands out again."""
        if self._stop_listening is not None:
            self._stop_listening()
            self._stop_listening = None
        self._menu.leave()
        macros.release_images()
        classes.plugin().callee = None

    # --- a call -------------------------------------------------------------------------------------

    def _called(self, arguments: Any) -> Any:
        """Perform a command, and return the exception of Java's by which what called it is to end, if it is."""
        name, caller = str(arguments[0]), Caller(int(arguments[1]))
        command = name
        try:
            verb = verb_named(name)
            command = verb.command
            self._perform(verb, caller)
        except BaseException as error:  # nothing may leave for Java, which would print it and go on
            why = self._failed(command, caller, error)
            return None if why is None else _end(caller, why)
        return None

    def _perform(self, verb: Verb, caller: Caller) -> None:
        """Find out what a verb is to do, and do it."""
        options = None if caller is Caller.person else jpype.JClass("ij.Macro").getOptions()
        if caller not in _MACROS:
            jpype.JClass("ij.IJ").resetEscape()  # a macro does it itself
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
        """Let a person fill the dialog until it can be done."""
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
                jpype.JClass("ij.IJ").showMessage(verb.command, wrapped(_told(verb.command, error)))

    def _host(self, person: bool) -> FijiHost:
        """Return the host of a call; a person is asked before what they changed is replaced."""
        return FijiHost(self._fiji, ask=dialog.may_replace if person and self._interactive else None)

    def _work(self, verb: Verb, values: Mapping[str, Any], host: FijiHost, caller: Caller) -> None:
        """Perform a verb while the caller waits, and show what it found."""
        escape = jpype.JClass("ij.IJ").escapePressed
        call = Call(self._fiji.progress, self._fiji.status, lambda: bool(escape()))
        results = self._run(verb, values, call)
        _prepare(verb, values, results, host)
        self._record(verb, values, host, caller)
        _give(results, host)
        _leave_to_us(verb.command)  # only now: while a command goes on, windows that it opens are not recorded

    def _begin(self, verb: Verb, values: Mapping[str, Any], host: FijiHost) -> None:
        """Perform a verb that takes long in a thread of its own, and show there what it found, or why it failed."""

        def work() -> None:
            try:
                results = self._run(verb, values, Call(self._fiji.progress, self._fiji.status))
                _prepare(verb, values, results, host)
                _give(results, host)
            except BaseException as error:
                if not self._fiji.closed:
                    self._failed(verb.command, Caller.person, error)

        self._record(verb, values, host, Caller.person)
        _leave_to_us(verb.command)
        self._fiji.status(f"{verb.command.removesuffix('...')} has begun")
        threading.Thread(target=work, name=f"fijibridge-{verb.name}", daemon=True).start()

    def _run(self, verb: Verb, values: Mapping[str, Any], call: Call) -> list[Result]:
        try:
            results = verb.run(values, call)
        finally:
            if not self._fiji.closed:
                self._fiji.progress(1, 1)
        if verb.name == "train_u_net":
            for other in ("predict", "predict_folder"):
                dialog.offer(verb_named(other), "model", str(values["out"]))
        return results

    def _record(self, verb: Verb, values: Mapping[str, Any], host: FijiHost, caller: Caller) -> None:
        """Write a call into the recorder, if it is open: as it is read, where the dialog's own would write labels."""
        if not bool(jpype.JClass("ij.IJ").recording()):
            return
        recorder = jpype.JClass("ij.plugin.frame.Recorder")
        if caller is not Caller.person and not bool(recorder.recordInMacros):
            return
        inputs = {p.name for p in verb.parameters if p.kind in INPUTS}
        written = {name: host.named.get(name) if name in inputs else value for name, value in values.items()}
        if host.replaced:
            written[OVERWRITE.name] = True
        try:
            line = dialog.recorded(verb, written, bool(recorder.scriptMode()))
        except OptionError as error:
            line = f"// {verb.command}: {error}\n"
        recorder.recordString(line)

    # --- a script in Fiji's menu --------------------------------------------------------------------

    def perform_for_script(self, verb: Verb, given: Mapping[str, Any], person: bool = False) -> dict[str, str]:
        """Perform a verb while a script of Fiji's menu waits, and return what its inputs are called."""
        host = self._host(person)
        values = prepared(verb, given, host)
        escape = jpype.JClass("ij.IJ").escapePressed
        results = self._run(verb, values, Call(self._fiji.progress, self._fiji.status, lambda: bool(escape())))
        _prepare(verb, values, results, host)
        _give(results, host)
        return host.named | ({OVERWRITE.name: "true"} if host.replaced else {})

    def told(self, command: str, error: BaseException) -> str:
        """Return what is told of an error; the traceback of one that nobody expected is in Fiji's log."""
        if not isinstance(error, FijiBridgeError):
            log.debug("%s failed", command, exc_info=error)
            self._fiji.log("".join(traceback.format_exception(error)))
        return _told(command, error)

    # --- what goes wrong ----------------------------------------------------------------------------

    def _failed(self, command: str, caller: Caller, error: BaseException) -> str | None:
        """Tell that a command failed, and return why what called it must end; an empty text if that was asked for."""
        _leave_to_us(command)
        if caller is Caller.python:
            macros.note_cause(error)
        if isinstance(error, Cancelled):
            self._fiji.status("cancelled")
            return None if caller is Caller.person and self._interactive else ""
        told = self.told(command, error)
        if caller is Caller.person and self._interactive:
            self._fiji.status("")
            jpype.JClass("ij.IJ").showMessage(command, wrapped(told))
            return None
        return wrapped(told) if caller is Caller.macro and self._interactive else told


def _end(caller: Caller, why: str) -> Any:
    """End the macro that called, or return the exception that ends the script."""
    macro = jpype.JClass("ij.Macro")
    running = _macro_of(caller)
    if running is not None:
        try:
            classes.interpreter().end(running, why)
        except jpype.JClass("java.lang.RuntimeException") as error:
            return error
        finally:
            macros.restore_images()  # before what runs the macro goes on: scripts of Java's do not ask us
        return None
    if caller in _MACROS:  # ImageJ lost sight of it, while another one ran in another thread
        if why:
            jpype.JClass("ij.IJ").showMessage("Macro Error", why)
        return classes.failure()(macro.MACRO_CANCELED)
    if caller is Caller.person:
        return jpype.JClass("java.lang.RuntimeException")(why or macro.MACRO_CANCELED)
    # what IJ.run does at its end, which is not reached
    macro.setOptions(None)
    private_field(jpype.JClass("ij.IJ"), "macroRunning").setBoolean(None, False)
    return classes.failure()(why or macro.MACRO_CANCELED)


def _told(command: str, error: BaseException) -> str:
    """Return what is told of an error."""
    if not isinstance(error, FijiBridgeError):
        return f"{command}: {type(error).__name__}: {error} (its traceback is in the log)"
    told = str(error) or type(error).__name__
    return told if told.startswith(command) else f"{command}: {told}"


def _prepare(verb: Verb, values: Mapping[str, Any], results: list[Result], host: FijiHost) -> None:
    """Find out where images are to be shown, before any is."""
    host.overwrite = OVERWRITE in verb.options and bool(values.get(OVERWRITE.name, False))
    host.prepare(results)


def _give(results: list[Result], host: FijiHost) -> None:
    for result in results:
        host.give(result)


def _macro_of(caller: Caller) -> Any:
    """Return the interpreter of the macro that called; None if none did, or nobody knows which one."""
    if caller is Caller.python:
        return macros.macro_here()
    macro = jpype.JClass("ij.macro.Interpreter").getInstance() if caller is Caller.macro else None
    return None if isinstance(macro, classes.interpreter()) else macro  # else it is one of another thread


def _leave_to_us(command: str) -> None:
    """Keep the recorder from writing a command by itself when it is over."""
    if not bool(jpype.JClass("ij.IJ").recording()):
        return
    recorder = jpype.JClass("ij.plugin.frame.Recorder")
    if str(recorder.getCommand()) == command:
        recorder.disableCommandRecording()


def _variables_of(macro: Any) -> Callable[[str], str | None]:
    """Return what looks up the variables of a macro, as texts."""

    def held(name: str) -> str | None:
        value = None if macro is None else macro.getVariableAsString(name)
        return None if value is None else str(value)

    return held


def perform_here(asked: str) -> str:
    """Answer a script in the menu of the Fiji that this process started: Fiji's Python mode.

    Parameters
    ----------
    asked
        JSON with ``what``: ``"hello"``; ``"classes"`` with ``target``, see :mod:`fijibridge.java.compiler`; ``"read"``
        and ``"write"``, see :mod:`fijibridge.verbs.macro_options`; or
        ``"perform"`` with ``verb`` and ``given``, values by name.

    Returns
    -------
    str
        JSON, one of ``{"done": ...}``, ``{"error": message}``, ``{"cancelled": true}``. ``"hello"`` says the version,
        or nothing if there is no session.
    """
    request = json.loads(str(asked))
    what = request.pop("what")
    try:
        from fijibridge.fiji.session.fiji import current

        fiji = current()
    except FijiBridgeError as error:
        return json.dumps({"done": {}} if what == "hello" else {"error": str(error)})
    command = str(request.get("verb"))
    done: dict[str, Any]
    try:
        if what == "hello":
            done = {"version": version("fijibridge")}
        elif what == "classes":
            done = compiler.answer(request["target"])
        else:
            verb = verb_named(command)
            command = verb.command
            if what == "perform":
                person = bool(request.get("person", False))
                done = {"named": fiji._calls.perform_for_script(verb, request["given"], person)}
            else:
                done = {"read": read_request, "write": write_request}[what](request)
    except Cancelled:
        return json.dumps({"cancelled": True})
    except BaseException as error:  # nothing may leave for scyjava, which would print it and answer nothing
        return json.dumps({"error": fiji._calls.told(command, error)})
    return json.dumps({"done": done})
