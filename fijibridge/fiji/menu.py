"""The verbs among ImageJ's commands, and in its menu Plugins > FijiBridge."""

from __future__ import annotations

import threading
from collections.abc import Set
from typing import Any

import jpype

from fijibridge.fiji.windows import on_event_thread
from fijibridge.verbs.registry import Verb, all_verbs

NAME = "FijiBridge"
"""Of the menu."""

_ENTRY = 'ij.plugin.FijiBridge("{}")'
_GROUPS = (20, 30, 90, 100)
"""Where a new part of the menu begins, by the order of verbs: prediction, cells, the program, those of the user."""

_entering = threading.RLock()
"""Verbs come from any thread; it is not held while the event thread is waited for, which may want it too."""


class Menu:
    """The commands of all verbs in a running ImageJ.

    Parameters
    ----------
    interactive
        Whether there are windows, and with them a menu.
    """

    def __init__(self, interactive: bool):
        self._interactive = interactive
        self._watched: tuple[Any, Any] | None = None

    def enter(self) -> None:
        """Enter the verbs that there are, in place of those that were entered before."""
        all_verbs()  # which reads them first, and must not wait meanwhile for who enters them
        with _entering:
            verbs = all_verbs()
            commands = _commands()
            for verb in verbs:
                commands.put(verb.command, _ENTRY.format(verb.name))
            _remove_ours(commands, {verb.command for verb in verbs})  # never all of them: a macro may be calling one
        if self._interactive:
            on_event_thread(lambda: _fill(all_verbs()))
            self._watch()

    def leave(self) -> None:
        """Take the verbs out again."""
        if self._watched is not None:
            frame, listener = self._watched
            frame.removeWindowListener(listener)
            self._watched = None
        with _entering:
            _remove_ours(_commands(), set())
        if self._interactive:
            on_event_thread(lambda: _fill([]))

    def _watch(self) -> None:
        """Look whether the commands are still there when the person comes back to the main window.

        ImageJ forgets them where it makes its menus anew, as for Help > Refresh Menus, and says so in a dialog.
        """
        frame = jpype.JClass("ij.IJ").getInstance()
        if frame is None or (self._watched is not None and self._watched[0].equals(frame)):
            return
        names = "Opened", "Closing", "Closed", "Iconified", "Deiconified", "Deactivated"
        methods: dict[str, Any] = dict.fromkeys((f"window{name}" for name in names), lambda event: None)
        methods["windowActivated"] = lambda event: None if _ours(_commands()) else self.enter()
        listener = jpype.JProxy("java.awt.event.WindowListener", dict=methods)
        frame.addWindowListener(listener)
        self._watched = frame, listener


def _commands() -> Any:
    """Return ImageJ's table of commands, which it reads for the first command only where there are no windows."""
    menus = jpype.JClass("ij.Menus")
    if menus.getCommands() is None:
        init = jpype.JClass("ij.IJ").class_.getDeclaredMethod("init")  # as IJ.run does before the first command
        init.setAccessible(True)
        init.invoke(None)
    return menus.getCommands()


def _ours(commands: Any) -> list[str]:
    return [str(e.getKey()) for e in commands.entrySet() if str(e.getValue()).startswith("ij.plugin.FijiBridge(")]


def _remove_ours(commands: Any, but: Set[str]) -> None:
    for name in set(_ours(commands)) - but:
        commands.remove(name)


def _fill(verbs: list[Verb]) -> None:
    """Fill our part of the Plugins menu; without verbs it goes."""
    plugins = jpype.JClass("ij.Menus").getImageJMenu("Plugins")
    if plugins is None:
        return
    items = [plugins.getItem(i) for i in range(int(plugins.getItemCount()))]
    menu = next((i for i in items if isinstance(i, jpype.JClass("java.awt.Menu")) and str(i.getLabel()) == NAME), None)
    if not verbs:
        if menu is not None:
            plugins.remove(menu)
        return
    if menu is None:
        menu = plugins.add(jpype.JClass("java.awt.Menu")(NAME))
    menu.removeAll()
    frame = jpype.JClass("ij.IJ").getInstance()
    group = None
    for verb in verbs:
        here = sum(verb.order >= begin for begin in _GROUPS)
        if group is not None and here != group:
            menu.addSeparator()
        group = here
        item = jpype.JClass("java.awt.MenuItem")(verb.title)
        item.setActionCommand(verb.command)
        item.addActionListener(frame)
        menu.add(item)
