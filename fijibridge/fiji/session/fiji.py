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
        ``"2.17.0/1.54p"`` of ImageJ2 and ImageJ, ``"1.54p"`` for the embedded one.
    mode : str
        ``"headless"`` or ``"interactive"``.
    java : fijibridge.imagej.installations.Java
        The Java it runs on.

    Notes
    -----
    A process has one JVM, which cannot be started twice. Closing the session closes its windows; Python lives on, and
    :meth:`start` with the same arguments opens a new session on the same JVM.

    Trainings that begin in this process without observers are shown: curves, and a validation picture.

    All methods may be called from any thread. Where a method takes an open image, it is named by its title, by a
    pattern with ``*`` and ``?`` that fits one title, by its ImageJ id (a negative number), or by None, the active one.
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
            A folder, or Maven coordinates such as ``"sc.fiji:fiji:2.17.0"`` or ``"net.imagej:imagej"``. ``"embedded"``:
            plain ImageJ, small and quick, without Fiji's plugins. By default your Fiji (``FIJI_HOME``, the usual
            places), else the newest one from Maven, ``"sc.fiji:fiji"``.
        mode
            ``"interactive"`` with windows, ``"headless"`` without; by default with windows if there is a display.
        heap
            Size of the JVM's heap, such as ``"8g"``; by default Java's own limit, a quarter of the memory.

        Returns
        -------
        Fiji
            The running session if there is one of that kind.

        Raises
        ------
        StartError
            If it cannot be started, or another kind or mode is running. Nothing else is started in its place.
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
        # without the lock, because the event thread may be waiting for it
        if mode == "interactive":
            startup.initialise_events()
            lifetime.open_window()  # the user may have closed it
        return session._entered()

    @classmethod
    def attach(cls, ij: Any = None) -> Fiji:
        """Join the Fiji or ImageJ that already runs in this process.

        Somebody else started it: a script by ``imagej.init(...)``, Fiji's own Python mode, napari-imagej, or
        ``scyjava.start_jvm``. It stays theirs: :meth:`close` leaves it open, and removes only what this session added,
        its listeners and its menu.

        Parameters
        ----------
        ij
            The gateway from ``imagej.init``. By default the SciJava context of this process is looked up, and plain
            ImageJ is joined if there is none. Nothing is created.

        Returns
        -------
        Fiji
            The running session if there is one.

        Raises
        ------
        StartError
            If no JVM with ImageJ runs in this process, or `ij` is another ImageJ2.
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
            # AWT's thread has the class loader of its first caller, or none
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
        """Take the gateway of an ImageJ2 that was started after this session, in plain ImageJ or after a quit."""
        if self._gateway is not running.gateway:
            self._gateway, self.flavor = running.gateway, running.flavor
            self.version = self._version()

    def close(self) -> None:
        """Close all images and windows without asking to save; the JVM and Python live on.

        An ImageJ that was joined by :meth:`attach` stays open with all its windows.
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
        """Return the session; it is closed at the end of the block."""
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
            In plain ImageJ, which has none, and after ImageJ2 was quit.
        """
        if self._gateway is None:
            raise SessionError("plain ImageJ has no ImageJ2 gateway: start a Fiji, Fiji.start()")
        if lifetime.is_disposed(self._gateway.getContext()):
            ours = lifetime.state.running is not None and lifetime.state.running.ours
            again = "Fiji.start() with the same arguments opens it" if ours else "imagej.init(), then Fiji.attach()"
            raise SessionError(f"ImageJ2 was quit, its services are gone: {again}")
        imglyb_jar.say_what_is_lacking()
        return self._gateway


_MOST_SHOWN = 24
"""Images that a notebook shows of a session."""


class _Sessions:
    """The session of this process, the last one if it was closed.

    Attributes
    ----------
    latest : Fiji or None
    lock : threading.RLock
        Held while a session is started or joined.
    """

    def __init__(self) -> None:
        self.latest: Fiji | None = None
        self.lock = threading.RLock()

    def of(self, running: lifetime.Running) -> Fiji:
        """Return the session in a JVM, a new one if the last was closed."""
        startup.prepare_thread()
        if self.latest is None or self.latest.closed:
            self.latest = Fiji(running.flavor, running.mode, running.java, running.gateway)
            add_watcher(self.latest.watch)
        self.latest._update(running)
        return self.latest


_sessions = _Sessions()


def current() -> Fiji:
    """Return the running session, also in Fiji's own script editor; join an ImageJ that somebody else started.

    Raises
    ------
    SessionError
        If none is running.
    """
    session = _sessions.latest
    if session is not None and not session.closed and not _joined_was_quit():
        return session
    if startup.is_running() and (lifetime.state.running is None or not lifetime.state.running.ours):
        return Fiji.attach()
    raise SessionError("no Fiji is running in this process: start one with fijibridge.Fiji.start()")


def _joined_was_quit() -> bool:
    """Say whether the ImageJ2 that was joined was quit; whoever started it may have made another one."""
    running = lifetime.state.running
    if running is None or running.ours or running.gateway is None:
        return False
    return lifetime.is_disposed(running.gateway.getContext())
