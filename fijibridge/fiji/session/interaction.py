"""Interaction of user and program: selections, events, dialogs and macros."""

from __future__ import annotations

from collections.abc import Callable

from fijibridge.errors import MacroError, SessionError
from fijibridge.fiji import macros, rois, undo, windows
from fijibridge.fiji.events import Callback, Kind
from fijibridge.fiji.session.base import Base
from fijibridge.fiji.windows import Which
from fijibridge.renames import renamed_keywords
from fijibridge.rois import Roi


class Interaction(Base):
    """Methods with which user and program take turns."""

    def select(self, title: Which = None, roi: Roi | str | None = None) -> None:
        """Make an image the active one, and select a ROI in it.

        Parameters
        ----------
        title
            The image; None for the active one.
        roi
            A ROI, or the name of one in the image's overlay or the ROI Manager. It is scrolled into view, on its slice.
        """
        self._ready()
        rois.activate_and_select(title, roi)

    def on(self, kind: Kind, callback: Callback) -> Callable[[], None]:
        """Call back at each event of a kind in Fiji.

        Parameters
        ----------
        kind
            ``"opened"``, ``"closed"``, ``"updated"`` (pixels, slice or display changed) or ``"roi"``.
        callback
            Called with a :class:`fijibridge.fiji.events.Event`, one event after the other, on a thread that waits for
            it: it may call into Fiji and take its time. Its errors are logged.

        Returns
        -------
        callable
            Removes the callback.

        Raises
        ------
        SessionError
            Without windows, where ImageJ sends no events.
        """
        self._ready()
        return self._events.add(kind, callback)

    @renamed_keywords(title="dialog_title")
    def wait_for_user(self, text: str, dialog_title: str = "Fijibridge") -> bool:
        """Show a text with an OK button and wait for it; all of Fiji can be used meanwhile.

        Parameters
        ----------
        text
            What the user is asked to do.
        dialog_title
            Title of the dialog.

        Returns
        -------
        bool
            False if the user pressed Esc or closed the dialog.

        Raises
        ------
        SessionError
            Without windows.
        KeyboardInterrupt
            On Ctrl-C; the dialog is closed.
        """
        self._ready()
        if self.mode == "headless":
            raise SessionError("without windows there is no user to wait for: start with mode='interactive'")
        return windows.wait_for_user(dialog_title, text)

    def run_macro(self, code: str, argument: str = "") -> str:
        """Run a macro in ImageJ's macro language, and return its return value.

        Raises
        ------
        MacroError
            If the macro fails, with ImageJ's message and the line.
        """
        self._ready()
        if not isinstance(code, str) or not isinstance(argument, str):
            raise MacroError(
                f"a macro and its argument are texts, not {type(code).__name__}, {type(argument).__name__}"
            )
        undo.wait_until_noted()
        return macros.run_macro(code, argument)
