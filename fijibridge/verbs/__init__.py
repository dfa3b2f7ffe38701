"""Verbs: Python functions that Fiji's menu, macros, scripts and the command line can call.

A verb is defined once, by the signature of its function (:mod:`.parameters`). Its dialog, macro options, command line,
Groovy script and page in the docs derive from it. Start reading at :mod:`.registry`.
"""

from fijibridge.verbs.invocation import Host, perform
from fijibridge.verbs.parameters import Cells, File, Folder, Image, Kind, NewFolder, Param, Parameter
from fijibridge.verbs.registry import (
    Call,
    Verb,
    all_verbs,
    load_on_first_use,
    register,
    unregister,
    verb,
    verb_named,
)
from fijibridge.verbs.results import Measure, Offer, Outlines, Result, Say, ShowCurves, ShowImage, ShowLabels, ShowTable

__all__ = [
    "Call",
    "Cells",
    "File",
    "Folder",
    "Host",
    "Image",
    "Kind",
    "Measure",
    "NewFolder",
    "Offer",
    "Outlines",
    "Param",
    "Parameter",
    "Result",
    "Say",
    "ShowCurves",
    "ShowImage",
    "ShowLabels",
    "ShowTable",
    "Verb",
    "all_verbs",
    "perform",
    "register",
    "unregister",
    "verb",
    "verb_named",
]


@load_on_first_use
def _load() -> None:
    from fijibridge.verbs import dataset, prediction, segmentation, training  # noqa: F401 - importing registers them
