"""What can be called from outside Python: from Fiji's menu, a macro, a script, the command line.

A verb is defined once, as a Python function whose parameters say what they take: :mod:`.parameters`. Its dialog, macro
options, command line, Groovy script and page in the docs are made from that. :mod:`.registry` is where to start.
"""

from fijibridge.verbs import built_in  # noqa: F401 - registers the verbs of fijibridge
from fijibridge.verbs.invocation import Host, perform
from fijibridge.verbs.parameters import Cells, File, Folder, Image, Kind, NewFolder, Param, Parameter
from fijibridge.verbs.registry import Call, Verb, all_verbs, register, unregister, verb, verb_named
from fijibridge.verbs.results import Measure, Outlines, Result, Say, ShowCurves, ShowImage, ShowLabels, ShowTable

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
