"""The exceptions of fijibridge.

Every error derives from :class:`FijiBridgeError` and from the built-in that fits, so that both
``except FijiBridgeError`` and ``except ValueError`` catch what one expects::

    FijiBridgeError
    ├── StartError        (RuntimeError)   Java or Fiji cannot be started as asked
    ├── SessionError      (RuntimeError)   no running session, or one that cannot do this
    ├── NoImageError      (LookupError)    no open image of that title
    ├── UnsavedError      (RuntimeError)   an open image with unsaved changes would be replaced
    ├── MacroError        (RuntimeError)   ImageJ refused a macro or command
    ├── ImageError        (ValueError)     axes, shape, type or calibration of an image do not fit
    ├── RoiError          (ValueError)     a ROI that cannot be read, written or filled
    ├── DatasetError      (ValueError)     a folder of images that does not match its description
    ├── ModelError        (ValueError)     a model file that cannot be read, or does not fit the image
    ├── DeviceError       (RuntimeError)   a device to compute on that is not known, or not there
    ├── TrainingError     (RuntimeError)   a training that cannot start or had to end
    ├── OptionError       (ValueError)     a verb was called with options that it does not know or cannot take
    ├── VerbError         (ValueError)     there is no such verb, or it cannot be made one
    └── Cancelled         (RuntimeError)   something was stopped because somebody asked for it

    FijiBridgeWarning     (UserWarning)    the work goes on, with something that the user should know
    └── RenamedWarning    (FutureWarning)  a name of an older version was used; the message has the new one
"""

from __future__ import annotations


class FijiBridgeError(Exception):
    """The root of all errors raised on purpose by fijibridge."""


class StartError(FijiBridgeError, RuntimeError):
    """Java or Fiji cannot be started as asked; the message says what was looked for and where."""


class SessionError(FijiBridgeError, RuntimeError):
    """There is no running Fiji session, or the running one cannot do what was asked."""


class NoImageError(FijiBridgeError, LookupError):
    """No open image fits the title."""


class UnsavedError(FijiBridgeError, RuntimeError):
    """An open image that somebody changed and did not save would be replaced."""


class MacroError(FijiBridgeError, RuntimeError):
    """ImageJ refused a macro or a command."""


class ImageError(FijiBridgeError, ValueError):
    """Axes, shape, type or calibration of an image do not fit."""


class RoiError(FijiBridgeError, ValueError):
    """A region of interest that cannot be read, written or filled."""


class DatasetError(FijiBridgeError, ValueError):
    """A folder of images that does not match its description."""


class ModelError(FijiBridgeError, ValueError):
    """A model file that cannot be read, or that does not fit the image."""


class DeviceError(FijiBridgeError, RuntimeError):
    """A device to compute on that is not known, or not there."""


class TrainingError(FijiBridgeError, RuntimeError):
    """A training that cannot start, or that had to end."""


class OptionError(FijiBridgeError, ValueError):
    """A verb was called with options that it does not know, or with values that it cannot take."""


class VerbError(FijiBridgeError, ValueError):
    """There is no such verb, or a function cannot be made one."""


class Cancelled(FijiBridgeError, RuntimeError):
    """Something was stopped before its end because somebody asked for it; nothing half done is left."""


class FijiBridgeWarning(UserWarning):
    """Base class of fijibridge's warnings: the work goes on, with something that the user should know."""


class RenamedWarning(FijiBridgeWarning, FutureWarning):
    """A name of an older version was used. It works for one more version; the message has the new name."""
