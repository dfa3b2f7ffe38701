"""Interaction between user and program: selections, events, dialogs and macros."""

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
    """Methods for interaction between user and program."""

    def select(self, title: Which = None, roi: Roi | str | None = None) -> None:
        """Make an image the active one, and select a ROI in it.

        Parameters
        ----------
        title
            The image; None for the active one.
        roi
            A ROI, or the name of a ROI in the image's overlay or the ROI Manager. The ROI's slice is shown, and the ROI
            is scrolled into view.
        """
        self._ready()
        rois.activate_and_select(title, roi)

    def on(self, kind: Kind, callback: Callback) -> Callable[[], None]:
        """Call a function at each event of one kind in Fiji.

        Parameters
        ----------
        kind
            ``"opened"``, ``"closed"``, ``"updated"`` (pixels, slice or display changed) or ``"roi"`` (a ROI changed).
        callback
            Function that is called with a :class:`fijibridge.fiji.events.Event`. All callbacks run one after another on
            a separate Python thread, so a callback may be slow and may call Fiji. Exceptions that it raises are logged.

        Returns
        -------
        callable
            A function that removes the callback.

        Raises
        ------
        SessionError
            If Fiji runs without windows, because ImageJ then sends no events, or if `kind` is unknown.
        """
        self._ready()
        return self._events.add(kind, callback)

    @renamed_keywords(title="dialog_title")
    def wait_for_user(self, text: str, dialog_title: str = "Fijibridge") -> bool:
        """Show text in a dialog, and wait until the user presses OK; Fiji stays usable meanwhile.

        Parameters
        ----------
        text
            Instructions for the user.
        dialog_title
            Title of the dialog.

        Returns
        -------
        bool
            False if the user pressed Esc or closed the dialog.

        Raises
        ------
        SessionError
            If Fiji runs without windows.
        KeyboardInterrupt
            On Ctrl-C, which also closes the dialog.
        """
        self._ready()
        if self.mode == "headless":
            raise SessionError(
                "wait_for_user() needs windows: start Fiji with mode='interactive' in a new Python process"
            )
        return windows.wait_for_user(dialog_title, text)

    def run_macro(self, code: str, argument: str = "") -> str:
        """Run a macro in ImageJ's macro language, and return its return value.

        Raises
        ------
        MacroError
            If the macro fails. The message contains ImageJ's own message and the line where the macro failed.
        """
        self._ready()
        if not isinstance(code, str) or not isinstance(argument, str):
            raise MacroError(
                "run_macro() expected str as the macro and as its argument, but got "
                f"{type(code).__name__} and {type(argument).__name__}"
            )
        undo.wait_until_noted()
        return macros.run_macro(code, argument)
