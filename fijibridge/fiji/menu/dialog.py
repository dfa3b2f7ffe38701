"""Dialog of a verb: ImageJ's GenericDialog with a field for each parameter, filled with the last values used."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import jpype

from fijibridge.errors import Cancelled
from fijibridge.fiji import rois, windows
from fijibridge.verbs.dialog_fields import (
    LINE,
    MANAGER,
    NARROW,
    NONE,
    OVERLAY,
    described,
    help_page,
    is_wide,
    preference,
)
from fijibridge.verbs.macro_options import write_options
from fijibridge.verbs.parameters import INPUTS, PATHS, Kind, Parameter
from fijibridge.verbs.registry import Verb

_WIDE = 40
"""Width of a field for a path, in columns."""
_MANY = 9
"""Number of short fields at which two are placed in each row, so that the dialog fits a small screen."""
_HELP_LINES = 4
_HINT = "Click a field to see its help here."

_NEVER = "\0"
_TRUE, _FOUND = ("truth", "_gt", "label", "cells"), ("cells", "label", "seg")
"""Words in the titles of label images that were drawn by hand, or computed."""


# --- initial values ---------------------------------------------------------------------------------


def offered(verb: Verb) -> dict[str, str]:
    """Return the initial text of each field: the last value used, else the default; for images, an open one."""
    texts = {}
    free = _open_images()
    active = str(_titles().get(_active(), ""))
    if active in free:
        free.remove(active)
        free.insert(0, active)
    # parameters of kind image first, so that the active image becomes the main input
    for parameter in sorted(verb.parameters, key=lambda p: p.kind is not Kind.image):
        last = str(jpype.JClass("ij.Prefs").get(preference(verb, parameter), _NEVER))
        if parameter.kind in INPUTS:
            texts[parameter.name] = _offered_image(parameter, last, free)
        elif last != _NEVER and (parameter.kind is not Kind.choice or last in parameter.choices):
            texts[parameter.name] = last
        else:
            texts[parameter.name] = "" if parameter.required else parameter.text(parameter.default)
    return texts


def _offered_image(parameter: Parameter, last: str, free: list[str]) -> str:
    """Return the last image used if it is open, else an image that no other field contains."""
    choices = _choices(parameter)
    if parameter.optional:
        return last if last in choices else NONE
    known = parameter.kind is Kind.cells and last in choices
    likely = _named_as_cells(parameter, free) if parameter.kind is Kind.cells else []
    chosen = last if known else next(iter([*likely, *free, *choices]), "")
    if chosen in free:
        free.remove(chosen)
    return chosen


def _named_as_cells(parameter: Parameter, titles: list[str]) -> list[str]:
    """Return the titles that suggest label images, the most likely first."""
    words = _TRUE if parameter.name.startswith("true") else _FOUND
    ranks = {t: next((n for n, word in enumerate(words) if word in t.lower()), len(words)) for t in titles}
    return sorted((t for t in titles if ranks[t] < len(words)), key=lambda t: ranks[t])


def remember(verb: Verb, texts: Mapping[str, str]) -> None:
    """Save the values in ImageJ's preferences for the next dialog; defaults are not saved."""
    prefs = jpype.JClass("ij.Prefs")
    for parameter in verb.parameters:
        text = texts[parameter.name]
        usual = not parameter.required and text == parameter.text(parameter.default)
        prefs.set(preference(verb, parameter), None if usual or parameter.kind is Kind.image else text)
    prefs.savePreferences()


def offer(verb: Verb, parameter: str, text: str) -> None:
    """Set the initial value of a field in the next dialog of a verb."""
    jpype.JClass("ij.Prefs").set(preference(verb, verb[parameter]), text)


def _titles() -> dict[int, str]:
    """Return the names of the open images by id: the title, or the id as text if several images have that title."""
    titles = {int(imp.getID()): str(imp.getTitle()) for imp in windows.open_images()}
    return {i: t if list(titles.values()).count(t) == 1 else str(i) for i, t in titles.items()}


def _open_images() -> list[str]:
    return list(_titles().values())


def _active() -> int:
    imp = windows.current_image()
    return 0 if imp is None else int(imp.getID())


def _choices(parameter: Parameter) -> list[str]:
    """Return the choices of a list."""
    if parameter.kind in INPUTS:
        found = _open_images()
        if parameter.kind is Kind.cells:
            found += _drawn()
        return [NONE, *found] if parameter.optional else found
    return [NONE, *parameter.choices] if parameter.optional else list(parameter.choices)


def _drawn() -> list[str]:
    """Return the sources of drawn cells: the ROI Manager first if it contains ROIs, else last."""
    manager = rois.manager()
    filled = manager is not None and int(manager.getCount()) > 0
    return [MANAGER, OVERLAY] if filled else [OVERLAY, MANAGER]


# --- the dialog -------------------------------------------------------------------------------------


def ask(verb: Verb, texts: Mapping[str, str]) -> dict[str, str]:
    """Ask for a verb's parameters, and return the text of each.

    Parameters
    ----------
    verb
        The verb.
    texts
        Initial text of each field.

    Raises
    ------
    Cancelled
        If the user cancels the dialog.
    """
    dialog = jpype.JClass("ij.gui.GenericDialog")(verb.command.removesuffix("..."))
    dialog.addMessage(textwrap.fill(verb.summary, LINE))
    form = _Form(dialog, verb, texts)
    dialog.addHelp(help_page(verb))
    dialog.showDialog()
    if dialog.wasCanceled():
        raise Cancelled("cancelled")
    return form.texts()


class _Form:
    """The fields of a dialog, read directly.

    ImageJ's ``getNext...`` methods would record their own macro options, and read invalid numbers as NaN.
    """

    def __init__(self, dialog: Any, verb: Verb, texts: Mapping[str, str]):
        self._dialog = dialog
        self._fields: dict[Parameter, Any] = {}
        short = sum(not is_wide(p) for p in verb.parameters)
        beside = False
        for parameter in verb.parameters:
            narrow = short >= _MANY and not is_wide(parameter)
            if narrow and beside:
                dialog.addToSameRow()
            beside = narrow and not beside
            self._fields[parameter] = self._add(parameter, texts[parameter.name])
        # padded to the width of the help texts, because the size of a label is fixed when the dialog opens
        dialog.addMessage("\n".join([_HINT.ljust(LINE + LINE // 3), *[" "] * (_HELP_LINES - 1)]))
        self._help = dialog.getMessage()
        focused = {"focusLost": lambda event: None, "focusGained": self._focused}
        self._listener = jpype.JProxy("java.awt.event.FocusListener", dict=focused)
        for field in self._fields.values():
            field.addFocusListener(self._listener)

    def _add(self, parameter: Parameter, text: str) -> Any:
        """Add the field of a parameter, and return it."""
        dialog, label = self._dialog, parameter.title
        if parameter.unit and parameter.kind is Kind.text:
            label += f" ({parameter.unit})"
        if parameter.kind is Kind.flag:
            dialog.addCheckbox(label, text == "true")
            return dialog.getCheckboxes().lastElement()
        label += ":"
        if parameter.kind in (*INPUTS, Kind.choice):
            choices = _choices(parameter)
            dialog.addChoice(label, choices or [""], text if text in choices else None)
            return dialog.getChoices().lastElement()
        if parameter.kind in (Kind.integer, Kind.number):
            dialog.addNumericField(label, float("nan"), 0, NARROW, parameter.unit)
            field = dialog.getNumericFields().lastElement()
        elif parameter.kind in PATHS:
            add = dialog.addFileField if parameter.kind is Kind.file else dialog.addDirectoryField
            add(label, "", _WIDE)
            field = dialog.getStringFields().lastElement()
        else:
            dialog.addStringField(label, "", _WIDE if is_wide(parameter) else NARROW)
            field = dialog.getStringFields().lastElement()
        field.setText(text)
        return field

    def texts(self) -> dict[str, str]:
        """Return the text of each field; empty for an optional image that was not chosen."""
        return {parameter.name: _text(parameter, field) for parameter, field in self._fields.items()}

    def _focused(self, event: Any) -> None:
        """Show the help text of the focused field below the fields."""
        source = event.getComponent()
        parameter = next((p for p, field in self._fields.items() if field.equals(source)), None)
        text = _HINT if parameter is None else f"{parameter.title}: {described(parameter)}"
        lines = textwrap.wrap(text, LINE)[:_HELP_LINES]
        self._help.setText("\n".join([*lines, *[" "] * (_HELP_LINES - len(lines))]))


def _text(parameter: Parameter, field: Any) -> str:
    if parameter.kind is Kind.flag:
        return "true" if field.getState() else "false"
    if parameter.kind in (*INPUTS, Kind.choice):
        chosen = str(field.getSelectedItem() or "")
        return "" if parameter.optional and chosen == NONE else chosen
    return str(field.getText()).strip()


def may_replace(title: str) -> bool | None:
    """Ask the user whether an open image with unsaved changes may be replaced; None if they cancel."""
    text = (
        f"{title!r} was changed and is not saved.\n"
        "Replace it with the new result (Edit > Undo restores a single plane),\n"
        "or keep it, and open the result in a new window?"
    )
    dialog = jpype.JClass("ij.gui.YesNoCancelDialog")(
        jpype.JClass("ij.IJ").getInstance(), "FijiBridge", text, " Replace ", " Keep Both "
    )
    return None if bool(dialog.cancelPressed()) else bool(dialog.yesPressed())


def recorded(verb: Verb, values: Mapping[str, Any], in_script: bool) -> str:
    """Return a call as a line of a macro or script, for ImageJ's recorder.

    Raises
    ------
    OptionError
        If a value cannot be written in a macro.
    """
    options = write_options(verb, values)
    if not options and verb.parameters:
        options = " "  # without options, the dialog would open when the macro is replayed
    written = jpype.JClass("ij.plugin.frame.Recorder").fixString(options)
    call = f'"{verb.command}", "{written}"' if options or in_script else f'"{verb.command}"'
    return f"IJ.run({call});\n" if in_script else f"run({call});\n"
