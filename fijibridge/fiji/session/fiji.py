"""A running Fiji, as Python sees it."""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any

from fijibridge.errors import SessionError
from fijibridge.fiji.jvm import attachment, imglyb_jar, lifetime, startup
from fijibridge.fiji.jvm.lifetime import Mode
from fijibridge.fiji.session.trainings import Trainings
from fijibridge.imagej.installations import Java
from fijibridge.observers import add_watcher, remove_watcher

_current: Fiji | None = None
_lock = threading.RLock()


def current() -> Fiji:
    """Return the running session, also from Fiji's own script editor; join an ImageJ that somebody else started.

    Raises
    ------
    SessionError
        If none is running.
    """
    if _current is not None and not _current.closed and not _is_stale():
        return _current
    if startup.is_running() and (lifetime.state.running is None or not lifetime.state.running.ours):
        return Fiji.attach()
    raise SessionError("no Fiji is running in this process: start one with fijibridge.Fiji.start()")


def _is_stale() -> bool:
    """Tell whether the ImageJ2 that was joined was quit; who started it may have made another one meanwhile."""
    running = lifetime.state.running
    joined = running is not None and not running.ours and running.gateway is not None
    return bool(joined and running is not None and lifetime.is_disposed(running.gateway.getContext()))


class Fiji(Trainings):
    """A running Fiji. Made by :meth:`start`, not by its class.

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

    Trainings that begin in this process, and are given no observers, are shown: curves, and a validation picture.

    All methods may be called from any thread. Where a method takes an image of Fiji's, it is named by its title, by a
    pattern with ``*`` and ``?`` that fits one title, by its ImageJ id (a negative number), or by None, the active one.
    """

    def __init__(self, flavor: str, mode: Mode, java: Java, gateway: Any):
        super().__init__(flavor, mode, java, gateway)
        from fijibridge.fiji.menu.call import Calls

        self._calls = Calls(self)
        self.version = self._version()

    @classmethod
    def start(
        cls, where: str | os.PathLike[str] | None = None, *, mode: Mode | None = None, memory: str | None = None
    ) -> Fiji:
        """Start Fiji in this process.

        Parameters
        ----------
        where
            Left out: your Fiji (``FIJI_HOME``, the usual places), else the newest one from Maven,
            ``"sc.fiji:fiji"``. A folder, or Maven coordinates such as ``"sc.fiji:fiji:2.17.0"`` or
            ``"net.imagej:imagej"``. ``"embedded"``: plain ImageJ, small and quick, without Fiji's plugins.
        mode
            ``"interactive"`` with windows, ``"headless"`` without; left out, with windows if there is a display.
        memory
            Largest heap of the JVM, such as ``"8g"``; left out, Java's own default, a quarter of the memory.

        Returns
        -------
        Fiji
            The running session if there is one of that kind.

        Raises
        ------
        StartError
            If it cannot be had, or another kind or mode is running. Nothing else is started in its place.
        """
        lifetime.refuse_forked()
        with _lock:
            mode = lifetime.checked_mode(mode)
            wanted = lifetime.resolved(where)
            if startup.is_running():
                lifetime.refuse_another(wanted, mode, memory)
            else:
                lifetime.start(wanted, mode, memory)
            assert lifetime.state.running is not None
            lifetime.revive(lifetime.state.running)
            session = cls._of(lifetime.state.running)
        # without the lock: AWT's thread may be waiting for it
        if mode == "interactive":
            startup.initialise_events()
            lifetime.open_window()  # which the user may have closed
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
            What ``imagej.init`` returned. Left out, the SciJava context of this process is looked for; plain ImageJ is
            joined if there is none. Nothing is created.

        Returns
        -------
        Fiji
            The running session if there is one.

        Raises
        ------
        StartError
            If no JVM with ImageJ runs in this process, or `ij` is not what runs in it.
        """
        lifetime.refuse_forked()
        with _lock:
            running = lifetime.state.running
            if running is not None and running.ours:
                lifetime.revive(running)
                attachment.refuse_another(ij, running)
            else:
                running = lifetime.join(attachment.find(ij, running))
                attachment.report_missing_options()
            session = cls._of(running)
        if running.mode == "interactive":
            startup.initialise_events()
        return session._entered()

    @classmethod
    def _of(cls, running: lifetime.Running) -> Fiji:
        """Return the session of what runs, a new one if the last was closed."""
        global _current
        startup.prepare_thread()
        if _current is None or _current.closed:
            _current = cls(running.flavor, running.mode, running.java, running.gateway)
            add_watcher(_current.watch)
        if _current._gateway is not running.gateway:  # ImageJ2 was started after plain ImageJ was joined, or anew
            _current._gateway, _current.flavor = running.gateway, running.flavor
            _current.version = _current._version()
        return _current

    def _entered(self) -> Fiji:
        """Put the verbs into the menu, and return the session."""
        if self.mode == "interactive":
            from fijibridge.fiji.windows import on_event_thread

            on_event_thread(startup.prepare_thread)  # AWT's thread has the class loader, or none, of its first caller
        self._calls.enter()
        return self

    def _version(self) -> str:
        ij1 = str(self._java("ij.IJ").getVersion()).split("/")[-1]
        if self._gateway is None:
            return ij1
        version = str(self._gateway.getVersion())
        return version if version.endswith(f"/{ij1}") else f"{version}/{ij1}"

    def close(self) -> None:
        """Close all images and windows without asking to save; the JVM and Python live on.

        Of an ImageJ that was joined by :meth:`attach` everything stays open.
        """
        if self.closed:
            return
        self._calls.leave()
        self.closed = True
        remove_watcher(self.watch)
        if self._events is not None:
            self._events.close()
        from fijibridge.fiji import tables

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

        shown = [] if self.closed else [_small(imp) for imp in self._windows().open_images()[:_MOST_SHOWN]]
        return displays.page(repr(self), displays.pictures(filter(None, shown)))

    def __repr__(self) -> str:
        state = "closed" if self.closed else self.mode
        return f"<Fiji {self.flavor} {self.version}, {state}, Java {self.java.version} from {self.java.source}>"

    @property
    def training(self) -> Any:
        """The training, a :class:`fijibridge.Run`, that goes on or ended last, of those begun by Fiji's menu or macros.

        Raises
        ------
        SessionError
            If none was begun.
        """
        from fijibridge.verbs.training import TRAININGS

        if TRAININGS.latest is None:
            raise SessionError("no training was begun in Fiji: choose Plugins > FijiBridge > Train U-Net...")
        return TRAININGS.latest

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


def _small(imp: Any) -> tuple[str, str, bytes] | None:
    """Return title, size and a small picture of an open image as it is on the screen; None if it was just closed."""
    import jpype

    from fijibridge.displays import SIDE

    try:
        whole = imp.getImage()
        width, height = int(imp.getWidth()), int(imp.getHeight())
        scale = min(SIDE / max(width, height), 1.0)
        wide, high = max(round(width * scale), 1), max(round(height * scale), 1)
        small = jpype.JClass("java.awt.image.BufferedImage")(wide, high, 1)  # TYPE_INT_RGB
        small.createGraphics().drawImage(whole, 0, 0, wide, high, None)
        file = jpype.JClass("java.io.ByteArrayOutputStream")()
        jpype.JClass("javax.imageio.ImageIO").write(small, "png", file)
        sides = [n for n in (int(n) for n in imp.getDimensions(True)[2:]) if n > 1]
        told = f"{' x '.join(map(str, [width, height, *sides]))}, {int(imp.getBitDepth())}-bit"
        return str(imp.getTitle()), told, bytes(file.toByteArray())
    except (jpype.JException, AttributeError, TypeError):
        return None
