"""The Groovy scripts by which a Fiji that Python did not start calls verbs: one for each, made from its parameters.

``python -m fijibridge.fiji.scripts FOLDER`` writes them there, not installed: those in ``scripts/Plugins/FijiBridge``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from fijibridge.verbs import Kind, Parameter, Verb, all_verbs

BRIDGE = Path(__file__).with_name("bridge.groovy")
"""What the scripts share; they load it from here."""

_TYPES = {
    Kind.image: "ImagePlus", Kind.cells: "String", Kind.file: "File", Kind.folder: "File", Kind.new_folder: "File",
    Kind.integer: "Integer", Kind.number: "Double", Kind.choice: "String", Kind.flag: "Boolean", Kind.text: "String",
}  # fmt: skip
_STYLES = {Kind.file: "both", Kind.folder: "directory", Kind.new_folder: "directory"}

_BODY = """
import ij.IJ

// Made by fijibridge from its verb {name}: "fijibridge install-scripts" writes python and bridge.
def version = {version}, python = {python}, bridge = new File({bridge})
if (!bridge.isFile()) {{
    def message = python
        ? "the Python environment of FijiBridge is gone, there is no ${{bridge}}: install fijibridge again, and run "
        : 'this script was copied, but it must be installed, to know its Python: run '
    message += "'fijibridge install-scripts PATH_TO_FIJI'"
    IJ.error('FijiBridge', message)
    throw new RuntimeException(message)
}}
// one worker for all scripts; a bridge that was updated while Fiji runs is loaded anew
def key = 'fijibridge ' + bridge.path
synchronized (IJ) {{
    def loaded = IJ.getProperty(key)
    if (loaded?.changed != bridge.lastModified()) {{
        loaded?.bridge?.close()
        def shell = new GroovyShell(this.class.classLoader, new Binding(python: python))
        IJ.setProperty(key, [changed: bridge.lastModified(), bridge: shell.evaluate(bridge)])
    }}
}}
def values = {names}.collectEntries {{ [it, binding.getVariable(it)] }}
IJ.getProperty(key).bridge.perform({quoted}, version, {images}, {cells}, values)
"""


def scripts(python: str = "", bridge: str = "", version: str = "") -> dict[str, str]:
    """Return all scripts by the names of their files.

    Parameters
    ----------
    python, bridge
        Paths of the environment's Python and of :data:`BRIDGE` in it; scripts without them say that they must be
        installed.
    version
        Of fijibridge, which is compared with that of the worker.
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
    """Return the Groovy script of a verb, its parameters as SciJava's ``#@`` lines."""
    lines = [_line(parameter) for parameter in verb.parameters]
    body = _BODY.format(
        name=verb.name, quoted=_quoted(verb.name), version=_quoted(version), python=_quoted(python),
        bridge=_quoted(bridge), names=_names(verb.parameters),
        images=_names([p for p in verb.parameters if p.kind is Kind.image]),
        cells=_names([p for p in verb.parameters if p.kind is Kind.cells]),
    )  # fmt: skip
    return "\n".join([f"// {_ascii(verb.summary)}", *lines]) + "\n" + body


def _line(parameter: Parameter) -> str:
    """Return what SciJava makes a field of a dialog, a macro option and a script's variable of."""
    kind = parameter.kind
    told = parameter.help
    attributes = [f"label={_attribute(parameter.title + (f' ({parameter.unit})' if parameter.unit else ''))}"]
    as_text = kind in (Kind.integer, Kind.number) and (parameter.optional or parameter.default is None)
    if kind is Kind.image and not parameter.required:
        as_text, told = True, f"{told}. The title of an open image"
    elif kind is Kind.cells:
        told = f"{told}. The title of an open label image, or 'ROI Manager', or 'overlay' for the areas drawn there"
    attributes.append(f"description={_attribute(told)}")
    if kind in _STYLES:
        attributes.append(f'style="{_STYLES[kind]}"')
    if kind in (Kind.integer, Kind.number) and not as_text:
        limits = (("min", parameter.low), ("max", parameter.high))
        attributes += [f"{name}={limit:g}" for name, limit in limits if limit is not None]
    if kind is Kind.choice:
        choices = ["", *parameter.choices] if parameter.optional else parameter.choices
        attributes.append("choices={" + ", ".join(_attribute(choice) for choice in choices) + "}")
    if not parameter.required:
        attributes.append("required=false")
        if parameter.default is not None:
            attributes.append(f"value={_value(parameter, as_text)}")
    return f"#@ {'String' if as_text else _TYPES[kind]} ({', '.join(attributes)}) {parameter.name}"


def _value(parameter: Parameter, as_text: bool) -> str:
    text = parameter.text(parameter.default)
    plain = parameter.kind in (Kind.integer, Kind.number, Kind.flag) and not as_text
    return text if plain else _attribute(text)


def _attribute(text: str) -> str:
    """Return a text as the value of an attribute; SciJava ends it at the next quotation mark."""
    return '"' + _ascii(text).replace("\\", "/").replace('"', "'") + '"'


def _ascii(text: str) -> str:
    """Return a text without what depends on the encoding in which Java reads a file."""
    return text.replace("µ", "u").encode("ascii", "replace").decode()


def _quoted(text: str) -> str:
    """Return a text as Groovy writes it, in ASCII."""
    escaped = json.dumps(text)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"'{escaped}'"


def _names(parameters: list[Parameter]) -> str:
    return "[" + ", ".join(_quoted(parameter.name) for parameter in parameters) + "]"


if __name__ == "__main__":
    for name, text in scripts().items():
        Path(sys.argv[1], name).write_text(text, encoding="ascii")
