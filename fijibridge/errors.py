"""Exceptions and warnings of fijibridge.

Every error derives from :class:`FijiBridgeError` and from a built-in exception, so that ``except FijiBridgeError`` and
``except ValueError`` both work::

    FijiBridgeError
    ├── StartError        (RuntimeError)   Java or Fiji cannot be started
    ├── SessionError      (RuntimeError)   no session is running, or it does not support the call
    ├── NoImageError      (LookupError)    no open image has that title
    ├── UnsavedError      (RuntimeError)   unsaved changes would be lost
    ├── MacroError        (RuntimeError)   a macro or command failed in ImageJ
    ├── ImageError        (ValueError)     an image has unsuitable axes, shape, type or calibration
    ├── RoiError          (ValueError)     a ROI cannot be read, written or filled
    ├── DatasetError      (ValueError)     files do not match the description of a data set
    ├── ModelError        (ValueError)     a model cannot be read, or does not fit the image
    ├── DeviceError       (RuntimeError)   unknown or missing compute device
    ├── TrainingError     (RuntimeError)   a training run cannot start, or failed
    ├── OptionError       (ValueError)     unknown option of a verb, or an invalid value
    ├── VerbError         (ValueError)     unknown verb, or a function that cannot become a verb
    └── Cancelled         (RuntimeError)   stopped on request

    FijiBridgeWarning     (UserWarning)    work continues, but the user should know
    └── RenamedWarning    (FutureWarning)  a former name was used; the message gives the new one
"""

from __future__ import annotations


class FijiBridgeError(Exception):
    """Base class of fijibridge's errors."""


class StartError(FijiBridgeError, RuntimeError):
    """Java or Fiji cannot be started; the message lists the places that were searched."""


class SessionError(FijiBridgeError, RuntimeError):
    """No Fiji session is running, or the running one does not support the call."""


class NoImageError(FijiBridgeError, LookupError):
    """No open image has the given title."""


class UnsavedError(FijiBridgeError, RuntimeError):
    """An open image with unsaved changes would be replaced."""


class MacroError(FijiBridgeError, RuntimeError):
    """A macro or command failed in ImageJ."""


class ImageError(FijiBridgeError, ValueError):
    """An image has unsuitable axes, shape, type or calibration."""


class RoiError(FijiBridgeError, ValueError):
    """A region of interest cannot be read, written or filled."""


class DatasetError(FijiBridgeError, ValueError):
    """The files of a data set do not match its description, or cannot be read."""


class ModelError(FijiBridgeError, ValueError):
    """A model file cannot be read, or does not fit the image."""


class DeviceError(FijiBridgeError, RuntimeError):
    """The compute device is unknown or missing."""


class TrainingError(FijiBridgeError, RuntimeError):
    """A training run cannot start, or failed."""


class OptionError(FijiBridgeError, ValueError):
    """A verb was called with an unknown option or an invalid value."""


class VerbError(FijiBridgeError, ValueError):
    """A verb is unknown, or a function cannot become a verb."""


class Cancelled(FijiBridgeError, RuntimeError):
    """Cancelled on request; no partial output remains."""


class FijiBridgeWarning(UserWarning):
    """Base class of fijibridge's warnings: work continues, but the user should know."""


class RenamedWarning(FijiBridgeWarning, FutureWarning):
    """A former name was used. It works for one more version; the message gives the new name."""
