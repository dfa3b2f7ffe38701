"""Class ``Fiji``: start or join a Fiji in this process, and close it."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

import jpype

from fijibridge.errors import SessionError
from fijibridge.fiji import tables, windows
from fijibridge.fiji.jvm import attachment, imglyb_jar, lifetime, startup
from fijibridge.fiji.jvm.lifetime import Mode
from fijibridge.fiji.menu.call import Calls
from fijibridge.fiji.session.annotation import Annotation
from fijibridge.fiji.session.images import Images
from fijibridge.fiji.session.interaction import Interaction
from fijibridge.fiji.session.matches import Matches
from fijibridge.fiji.session.rois import Rois
from fijibridge.fiji.session.tables import Tables
from fijibridge.fiji.session.training import Training
from fijibridge.imagej.installations import Java
from fijibridge.observers import add_watcher, remove_watcher
from fijibridge.renames import renamed_keywords


class Fiji(Images, Rois, Tables, Matches, Annotation, Interaction, Training):
    """A running Fiji, returned by :meth:`start` and :meth:`attach`.

    Attributes
    ----------
    flavor : str
        ``"fiji"``, ``"imagej2"`` or ``"embedded"`` (plain ImageJ).
    version : str
        Versions of ImageJ2 and ImageJ, such as ``"2.17.0/1.54p"``; ``"1.54p"`` if this is plain ImageJ.
    mode : str
        ``"headless"`` or ``"interactive"``.
    java : fijibridge.imagej.installations.Java
        The Java installation that runs Fiji.

    Notes
    -----
    A process has one JVM, which cannot be restarted. Closing the session closes its windows; Python keeps running, and
    :meth:`start` with the same arguments opens a new session on the same JVM.

    If a training is started in this process without observers, Fiji shows its curves and a validation picture.

    All methods may be called from any thread. Methods identify an open image by its title, by a pattern with ``*`` and
    ``?`` that matches one title, or by its ImageJ id (a negative number). None means the active image.
    """

    def __init__(self, flavor: str, mode: Mode, java: Java, gateway: Any):
        super().__init__(flavor, mode, java, gateway)
        self._calls = Calls(self)
        self.version = self._version()

    @classmethod
    @renamed_keywords(memory="heap")
    def start(
        cls, where: str | os.PathLike[str] | None = None, *, mode: Mode | None = None, heap: str | None = None
    ) -> Fiji:
        """Start Fiji in this process.

        Parameters
        ----------
        where
            Fiji folder, or Maven coordinates such as ``"sc.fiji:fiji:2.17.0"`` or ``"net.imagej:imagej"``;
            ``"embedded"`` means plain ImageJ, which is small and starts quickly, but lacks Fiji's plugins. By default,
            the Fiji found in the folder ``FIJI_HOME`` or in one of the usual folders; if there is none, the newest Fiji
            from Maven, ``"sc.fiji:fiji"``.
        mode
            ``"interactive"`` (with windows) or ``"headless"`` (without). By default, interactive if there is a display.
        heap
            Size of the JVM's heap, such as ``"8g"``. By default, the heap grows up to Java's own limit, which is a
            quarter of the RAM.

        Returns
        -------
        Fiji
            The current session if this Fiji is already running in this mode, else a new session.

        Raises
        ------
        StartError
            If Fiji cannot be started, or this process already runs a different Fiji or runs Fiji in a different mode.
            A different Fiji is never started instead.
        """
        lifetime.refuse_forked()
        with _sessions.lock:
            mode = lifetime.checked_mode(mode)
            wanted = lifetime.resolved(where)
            if startup.is_running():
                lifetime.refuse_another(wanted, mode, heap)
            else:
                lifetime.start(wanted, mode, heap)
            assert lifetime.state.running is not None
            lifetime.revive(lifetime.state.running)
            session = _sessions.of(lifetime.state.running)
        # after the lock is released, because the event thread may be waiting for the lock
        if mode == "interactive":
            startup.initialise_events()
            lifetime.open_window()  # the user may have closed it
        return session._entered()

    @classmethod
    def attach(cls, ij: Any = None) -> Fiji:
        """Join the Fiji or ImageJ that already runs in this process.

        Use this method if ImageJ was started by other code: by a script that called ``imagej.init(...)``, by Fiji's own
        Python mode, by napari-imagej, or by ``scyjava.start_jvm``. :meth:`close` leaves this ImageJ open, and removes
        only the listeners and the menu that the session added.

        Parameters
        ----------
        ij
            The gateway that ``imagej.init`` returned. By default, the existing SciJava context of this process; if
            there is no context, plain ImageJ.

        Returns
        -------
        Fiji
            The current session if there is one, else a new session.

        Raises
        ------
        StartError
            If no JVM with ImageJ runs in this process, or `ij` belongs to a different ImageJ2.
        """
        lifetime.refuse_forked()
        with _sessions.lock:
            running = lifetime.state.running
            if running is not None and running.ours:
                lifetime.revive(running)
                attachment.refuse_another(ij, running)
            else:
                running = lifetime.join(attachment.find(ij, running))
                attachment.report_missing_options()
            session = _sessions.of(running)
        if running.mode == "interactive":
            startup.initialise_events()
        return session._entered()

    def _entered(self) -> Fiji:
        """Add the verbs to the menu, and return the session."""
        if self.mode == "interactive":
            # AWT's thread inherits the class loader of the first thread that calls it, so this thread must have one
            windows.on_event_thread(startup.prepare_thread)
        self._calls.enter()
        return self

    def _version(self) -> str:
        self._ready()
        ij1 = str(jpype.JClass("ij.IJ").getVersion()).split("/")[-1]
        if self._gateway is None:
            return ij1
        version = str(self._gateway.getVersion())
        return version if version.endswith(f"/{ij1}") else f"{version}/{ij1}"

    def _update(self, running: lifetime.Running) -> None:
        """Use the new gateway if other code has started ImageJ2 since this session began, or ImageJ2 was restarted."""
        if self._gateway is not running.gateway:
            self._gateway, self.flavor = running.gateway, running.flavor
            self.version = self._version()

    def close(self) -> None:
        """Close all images and windows without asking to save; the JVM and Python keep running.

        An ImageJ joined by :meth:`attach` stays open with all its windows.
        """
        if self.closed:
            return
        self._calls.leave()
        self.closed = True
        remove_watcher(self.watch)
        self._events.close()
        tables.unfollow_all()
        if lifetime.state.running is not None and lifetime.state.running.ours:
            lifetime.close_everything(self.mode == "interactive")

    def __enter__(self) -> Fiji:
        """Return the session; it is closed at the end of the ``with`` block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        from fijibridge import displays

        images = [] if self.closed else windows.open_images()[:_MOST_SHOWN]
        return displays.page(repr(self), displays.pictures(filter(None, map(windows.thumbnail, images))))

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.mode
        return f"<Fiji {self.flavor} {self.version}, {state}, Java {self.java.version} from {self.java.source}>"

    @property
    def ij(self) -> Any:
        """The ImageJ2 gateway of pyimagej.

        Raises
        ------
        SessionError
            If this is plain ImageJ, which has no gateway, or ImageJ2 was quit.
        """
        if self._gateway is None:
            raise SessionError("plain ImageJ has no ImageJ2 gateway: use Fiji.start() in a new Python process")
        if lifetime.is_disposed(self._gateway.getContext()):
            ours = lifetime.state.running is not None and lifetime.state.running.ours
            again = "Fiji.start() with the same arguments" if ours else "imagej.init(), then Fiji.attach()"
            raise SessionError(f"ImageJ2 was quit, so its services are gone: call {again}")
        imglyb_jar.say_what_is_lacking()
        return self._gateway


_MOST_SHOWN = 24
"""Maximum number of open images that a notebook shows for a session."""


class _Sessions:
    """The sessions of this process, of which at most one is open.

    Attributes
    ----------
    latest : Fiji or None
        The open session, or the last one that was closed.
    lock : threading.RLock
        Held while a session is started or joined.
    """

    def __init__(self) -> None:
        self.latest: Fiji | None = None
        self.lock = threading.RLock()

    def of(self, running: lifetime.Running) -> Fiji:
        """Return the open session of the running JVM; open a new session if there is none."""
        startup.prepare_thread()
        if self.latest is None or self.latest.closed:
            self.latest = Fiji(running.flavor, running.mode, running.java, running.gateway)
            add_watcher(self.latest.watch)
        self.latest._update(running)
        return self.latest


_sessions = _Sessions()


def current() -> Fiji:
    """Return the current session; if other code started ImageJ, join it.

    This also works in Fiji's script editor.

    Raises
    ------
    SessionError
        If no Fiji is running in this process.
    """
    session = _sessions.latest
    if session is not None and not session.closed and not _joined_was_quit():
        return session
    if startup.is_running() and (lifetime.state.running is None or not lifetime.state.running.ours):
        return Fiji.attach()
    raise SessionError("no Fiji is running in this process: start one with fijibridge.Fiji.start()")


def _joined_was_quit() -> bool:
    """Tell whether the joined ImageJ2 was quit. The code that started it may then have created another ImageJ2."""
    running = lifetime.state.running
    if running is None or running.ours or running.gateway is None:
        return False
    return lifetime.is_disposed(running.gateway.getContext())
