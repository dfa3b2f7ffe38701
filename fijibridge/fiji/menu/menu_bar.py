"""Registration of the verbs as ImageJ commands and as items of the menu Plugins > FijiBridge."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Set
from typing import Any

import jpype

from fijibridge.fiji.jvm.reflection import accessible, private_field
from fijibridge.fiji.windows import on_event_thread
from fijibridge.verbs.registry import Verb, all_verbs

log = logging.getLogger("fijibridge")

NAME = "FijiBridge"
"""Label of the menu."""

_ENTRY = 'ij.plugin.FijiBridge("{}")'
_GROUPS = (20, 30, 90, 100)
"""Lowest ``order`` in each group of the menu: prediction, cells, the program, and the user's own verbs."""


class Menu:
    """The commands of all verbs in a running ImageJ.

    Parameters
    ----------
    interactive
        True if ImageJ has windows, and so a menu.
    """

    def __init__(self, interactive: bool):
        self._interactive = interactive
        self._entered = False
        self._watched: tuple[Any, Any] | None = None
        self._opening: Any = None
        self._replaced: dict[str, str] = {}
        self._hidden: list[Any] = []
        # Verbs may be registered on any thread. The lock is never held while waiting for the event thread, which may
        # need it, too.
        self._lock = threading.RLock()

    def enter(self) -> None:
        """Add the registered verbs to ImageJ, replacing those added earlier."""
        with self._lock:
            self._entered = True
        self.refresh()

    def refresh(self) -> None:
        """Add the verbs again, unless they were removed by :meth:`leave`."""
        all_verbs()  # load them without the lock: loading may register verbs, and call this method on another thread
        with self._lock:
            if not self._entered:
                return
            verbs = all_verbs()
            commands = _commands()
            for verb in verbs:
                before = commands.put(verb.command, _ENTRY.format(verb.name))
                if before is not None and not _is_ours(before):
                    self._replaced[verb.command] = str(before)
            _remove_ours(commands, {verb.command for verb in verbs})  # keep current ones: a macro may be calling one
            if self._interactive:
                self._watch()
        if self._interactive:
            on_event_thread(lambda: self._fill(all_verbs() if self._entered else []))

    def leave(self) -> None:
        """Remove the verbs, and restore installed scripts with the same names that they replaced."""
        with self._lock:
            self._entered = False
            self._stop_watching()
            commands = _commands()
            _remove_ours(commands, set())
            for name, entry in self._replaced.items():
                commands.put(name, entry)
            self._replaced.clear()
        if self._interactive:
            on_event_thread(lambda: self._fill([]))

    def _watch(self) -> None:
        """Add the verbs again when the main window opens, or becomes active without them.

        ImageJ loses the verbs when it rebuilds its menus: Help > Refresh Menus does this and ends with a dialog, after
        which the main window becomes active. The code that started ImageJ may open the main window later. Called with
        the lock held, so that each window gets only one listener.
        """
        self._await_window()
        frame = jpype.JClass("ij.IJ").getInstance()
        if frame is None or (self._watched is not None and self._watched[0].equals(frame)):
            return
        names = "Opened", "Closing", "Closed", "Iconified", "Deiconified", "Deactivated"
        methods: dict[str, Any] = dict.fromkeys((f"window{name}" for name in names), lambda event: None)
        methods["windowActivated"] = lambda event: None if _ours(_commands()) else self.refresh()
        listener = jpype.JProxy("java.awt.event.WindowListener", dict=methods)
        frame.addWindowListener(listener)
        self._watched = frame, listener

    def _await_window(self) -> None:
        if self._opening is not None:
            return
        opened = int(jpype.JClass("java.awt.event.WindowEvent").WINDOW_OPENED)

        def dispatched(event: Any) -> None:
            frame = jpype.JClass("ij.IJ").getInstance()
            if int(event.getID()) == opened and frame is not None and frame.equals(event.getSource()):
                self.refresh()

        self._opening = jpype.JProxy("java.awt.event.AWTEventListener", dict={"eventDispatched": dispatched})
        mask = jpype.JClass("java.awt.AWTEvent").WINDOW_EVENT_MASK
        jpype.JClass("java.awt.Toolkit").getDefaultToolkit().addAWTEventListener(self._opening, mask)

    def _stop_watching(self) -> None:
        if self._watched is not None:
            frame, listener = self._watched
            frame.removeWindowListener(listener)
            self._watched = None
        if self._opening is not None:
            jpype.JClass("java.awt.Toolkit").getDefaultToolkit().removeAWTEventListener(self._opening)
            self._opening = None

    def _fill(self, verbs: list[Verb]) -> None:
        """Fill the submenu with the verbs; if there are none, restore its previous items."""
        plugins = jpype.JClass("ij.Menus").getImageJMenu("Plugins")
        if plugins is None:
            return
        items = [plugins.getItem(i) for i in range(int(plugins.getItemCount()))]
        submenu = jpype.JClass("java.awt.Menu")
        menu = next((i for i in items if isinstance(i, submenu) and str(i.getLabel()) == NAME), None)
        if menu is not None and str(menu.getName()) != _OURS:  # items of installed scripts, which call these verbs too
            self._hidden = [menu.getItem(i) for i in range(int(menu.getItemCount()))]
            menu.setName(_OURS)
        if not verbs:
            self._restore(plugins, menu)
            return
        if menu is None:
            menu = plugins.add(submenu(NAME))
            menu.setName(_OURS)
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

    def _restore(self, plugins: Any, menu: Any) -> None:
        if menu is None:
            return
        menu.removeAll()
        if not self._hidden:
            plugins.remove(menu)
            return
        for item in self._hidden:
            menu.add(item)
        menu.setName(NAME)
        self._hidden = []


_OURS = "fijibridge"
"""Name (not label) of the AWT menu while it contains our items."""


def _commands() -> Any:
    """Return ImageJ's table of commands; without windows, ImageJ loads it only when the first command runs."""
    menus = jpype.JClass("ij.Menus")
    if menus.getCommands() is None:
        # IJ.run does the same before the first command
        init = accessible(jpype.JClass("ij.IJ").class_.getDeclaredMethod("init"))
        try:
            init.invoke(None)
        except jpype.JClass("java.lang.reflect.InvocationTargetException"):
            _read_commands()
    return menus.getCommands()


def _read_commands() -> None:
    """Fill the table of commands of a plain ImageJ with neither windows nor ij1-patcher, which creates no menus."""
    log.warning(
        "this ImageJ runs without windows and without ij1-patcher: fijibridge's commands and most of ImageJ's work, "
        "but Edit > Invert and some others need net.imagej:ij1-patcher on the class path and the JVM option "
        "--add-opens=java.base/java.lang=ALL-UNNAMED"
    )
    properties = jpype.JClass("java.util.Properties")()
    properties.load(jpype.JClass("ij.IJ").class_.getResourceAsStream("/IJ_Props.txt"))
    table = jpype.JClass("java.util.Hashtable")()
    for value in properties.values():
        entry = re.fullmatch(r'"(?P<label>[^"[]+)(\[\w+\])?"\s*,\s*(?P<plugin>[\w.]+(\(".*"\))?)', str(value).strip())
        if entry is not None:
            table.put(entry["label"], entry["plugin"])
    private_field(jpype.JClass("ij.Menus"), "pluginsTable").set(None, table)


def _ours(commands: Any) -> list[str]:
    return [str(e.getKey()) for e in commands.entrySet() if _is_ours(e.getValue())]


def _is_ours(entry: Any) -> bool:
    return str(entry).startswith("ij.plugin.FijiBridge(")


def _remove_ours(commands: Any, but: Set[str]) -> None:
    for name in set(_ours(commands)) - but:
        commands.remove(name)
