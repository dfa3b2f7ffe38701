"""Groovy scripts, one for each verb, with which a Fiji that Python did not start calls verbs.

``python -m fijibridge.worker.scripts FOLDER`` writes them without paths, as in ``scripts/Plugins/FijiBridge``.

They have no ``#@`` parameters: SciJava would open a dialog for each one that a macro leaves out, and would share its
last value with every script that has a parameter of that name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from fijibridge.verbs import Parameter, Verb, all_verbs
from fijibridge.verbs.dialog_fields import described, help_page, is_wide

BRIDGE = Path(__file__).with_name("bridge.groovy")
"""Groovy file that all scripts load from here."""

_SCRIPT = """\
// {summary}
// Made by fijibridge from its verb {name}: "fijibridge install-scripts" writes python and bridge.
def version = {version}, python = {python}, bridge = new File({bridge})
def verb = [
    name: {quoted}, command: {command}, long: {long},
    summary: {text},
    help: {help},
    parameters: [{parameters}],
]
if (bridge.isFile()) {{
    def loader = ij.IJ.getProperty('fijibridge ' + bridge.path)
    if (loader?.changed != bridge.lastModified())
        loader = new GroovyShell(this.class.classLoader, new Binding(python: python)).evaluate(bridge)
    return loader.call(verb, version, binding)
}}
// without the bridge: end a macro, a script or SciJava's module by an error
def message = python ? "the Python environment of FijiBridge is gone, there is no ${{bridge}}: install fijibridge again"
    : 'this script was copied, but it must be installed, to know its Python'
message += ", and run 'fijibridge install-scripts PATH_TO_FIJI'"
def macro = ij.Macro.getOptions() == null ? null : ij.macro.Interpreter.getInstance()
if (macro != null) Thread.start {{ try {{ macro.abort(message) }} catch (RuntimeException ended) {{ }} }}.join()
else ij.IJ.error('FijiBridge', message)
ij.Macro.abort()
// SciJava only logs what a script throws; but it asks such an exception for its cause
throw new javax.script.ScriptException(message) {{
    synchronized Throwable getCause() {{ throw new Exception(getMessage()) }}
}}
"""


def scripts(python: str = "", bridge: str = "", version: str = "") -> dict[str, str]:
    """Return all scripts by the names of their files.

    Parameters
    ----------
    python, bridge
        Paths of the environment's Python and of :data:`BRIDGE` in it. A script without them asks to be installed.
    version
        Version of fijibridge; the bridge compares it with that of the worker.
    """
    return {file_name(verb): script(verb, python, bridge, version) for verb in all_verbs()}


def file_name(verb: Verb) -> str:
    """Return the name of a verb's script, which is its label in Fiji's menu: blanks are written as ``_``.

    Examples
    --------
    >>> from fijibridge.verbs import verb_named
    >>> file_name(verb_named("train_u_net"))
    'FijiBridge_Train_U-Net....groovy'
    """
    return verb.command.replace(" ", "_") + ".groovy"


def script(verb: Verb, python: str = "", bridge: str = "", version: str = "") -> str:
    """Return the Groovy script of a verb, with the texts of its dialog."""
    lines = "".join(f"\n        {_field(parameter)}," for parameter in verb.parameters)
    return _SCRIPT.format(
        summary=_ascii(verb.summary), name=verb.name, version=_quoted(version), python=_quoted(python),
        bridge=_quoted(bridge), quoted=_quoted(verb.name), command=_quoted(verb.command), long=_flag(verb.long),
        text=_quoted(verb.summary), help=_quoted(help_page(verb)), parameters=f"{lines}\n    " if lines else "",
    )  # fmt: skip


def _field(parameter: Parameter) -> str:
    """Return the description of a parameter for the bridge, as a Groovy map."""
    usual = "null" if parameter.required else _quoted(parameter.text(parameter.default))
    return (
        f"[name: {_quoted(parameter.name)}, kind: {_quoted(parameter.kind)}, title: {_quoted(parameter.title)}, "
        f"unit: {_quoted(parameter.unit)}, usual: {usual}, optional: {_flag(parameter.optional)}, "
        f"wide: {_flag(is_wide(parameter))}, choices: {_list(parameter.choices)}, "
        f"told: {_quoted(described(parameter))}]"
    )


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _ascii(text: str) -> str:
    """Return a text in ASCII, which Java reads in any encoding."""
    return text.replace("µ", "u").encode("ascii", "replace").decode()


def _quoted(text: str) -> str:
    """Return a text as a Groovy literal in ASCII."""
    escaped = json.dumps(text)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{escaped}'"


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(_quoted, texts)) + "]"


if __name__ == "__main__":
    for name, text in scripts().items():
        Path(sys.argv[1], name).write_text(text, encoding="ascii")
