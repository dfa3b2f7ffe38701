"""Former names from version 0.1, which work for one more version, with a warning.

:data:`MODULES` lists the modules that were renamed or moved. Functions are decorated with :func:`renamed_keywords` if
keywords were renamed, with :func:`keyword_only` if parameters became keyword-only, and with :func:`object_before_path`
if their first two arguments were swapped.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, ParamSpec, TypeVar

from fijibridge.errors import RenamedWarning

P = ParamSpec("P")
T = TypeVar("T")

MODULES: dict[str, str] = {
    "app.cli.cells": "app.cli.segmentation",
    "app.cli.exchange": "app.cli.export",
    "app.cli.folders": "app.cli.dataset",
    "app.cli.installing": "app.cli.setup",
    "app.cli.learning": "app.cli.training",
    "app.cli.planning": "app.cli.training",
    "app.cli.running": "app.cli.verbs",
    "app.cli.session": "app.cli.setup",
    "app.comparison": "reports.comparison",
    "app.differences": "reports.predictions",
    "app.on_files": "app.file_host",
    "app.pages": "reports.html",
    "app.pictures": "reports.pictures",
    "app.plots": "reports.plots",
    "app.records": "reports.settings",
    "app.report": "reports.segmentation",
    "app.run_report": "reports.run",
    "app.scripts": "worker.installation",
    "app.tables": "reports.tables",
    "app.trials": "reports.trials",
    "cells.diagnosis.corrections": "cells.corrections",
    "cells.outlines": "cells.diagnosis.rois",
    "cells.segmentation.agglomeration": "cells.segmentation.linkage",
    "cells.segmentation.growing": "cells.segmentation.flooding",
    "cells.segmentation.partition": "cells.segmentation.labelling",
    "cells.segmentation.recipes": "cells.segmentation.parameters",
    "cells.segmentation.stitching": "cells.segmentation.tiled",
    "cells.targets.from_membranes": "cells.segmentation.from_membranes",
    "dataset.checking": "dataset.checks.check",
    "dataset.families": "dataset.guess.file_groups",
    "dataset.findings": "dataset.checks.findings",
    "dataset.folder": "dataset.dataset",
    "dataset.guessing": "dataset.guess.guess",
    "dataset.leaks": "dataset.checks.leaks",
    "dataset.looks": "dataset.checks.statistics",
    "dataset.meanings": "dataset.values",
    "dataset.saving": "dataset.writer",
    "dataset.truth": "dataset.checks.truth",
    "fiji.annotating": "fiji.session.annotation",
    "fiji.answering": "verbs.macro_options",
    "fiji.attachment": "fiji.jvm.attachment",
    "fiji.base": "fiji.session.base",
    "fiji.blocks": "worker.shared_memory",
    "fiji.calls": "fiji.menu.call",
    "fiji.colors": "colors",
    "fiji.columns": "imagej.tables",
    "fiji.commands": "fiji.macros",
    "fiji.crossing": "worker.host",
    "fiji.dialogs": "fiji.menu.dialog",
    "fiji.editing": "fiji.updates",
    "fiji.exchange": "imagej.hyperstack",
    "fiji.forms": "verbs.dialog_fields",
    "fiji.host": "fiji.menu.host",
    "fiji.images": "fiji.imageplus",
    "fiji.imglyb_jar": "fiji.jvm.imglyb_jar",
    "fiji.installations": "imagej.installations",
    "fiji.jars": "java.jars",
    "fiji.javaside": "fiji.jvm.classes",
    "fiji.judging": "fiji.session.matches",
    "fiji.keeping": "fiji.undo",
    "fiji.languages": "fiji.jvm.languages",
    "fiji.life": "fiji.jvm.lifetime",
    "fiji.measurements": "imagej.measurements",
    "fiji.measuring": "fiji.analyzer",
    "fiji.overlays": "fiji.rois",
    "fiji.pulling": "fiji.session.images",
    "fiji.scripts": "worker.scripts",
    "fiji.showing": "fiji.session.images",
    "fiji.startup_cache": "fiji.jvm.startup_cache",
    "fiji.trainings": "fiji.session.training",
    "fiji.worker": "worker.process",
    "fiji.working": "fiji.session.interaction",
    "files._store": "files.zarr_store",
    "files.new_zarr": "files.ome_zarr",
    "files.pixels": "files.lazy_array",
    "files.reading": "files.reader",
    "files.vendors": "files.bioio",
    "files.writing": "files.writer",
    "imagej_attrs": "imagej.metadata",
    "nn.augmentation.guard": "nn.augmentation.alignment",
    "nn.augmentation.transformation": "nn.augmentation.augmentation",
    "nn.exchange": "nn.export",
    "nn.exchange.description": "nn.export.description",
    "nn.exchange.package": "nn.export.bioimage_io",
    "nn.exchange.script": "nn.export.torchscript",
    "nn.export.script": "nn.export.torchscript",
    "nn.exchange.tiles": "nn.export.tiles",
    "nn.networks": "nn.traits",
    "nn.patches.caching": "nn.patches.chunk_cache",
    "nn.patches.feeding": "nn.patches.prefetcher",
    "nn.patches.records": "nn.patches.fingerprint",
    "nn.patches.samples": "nn.patches.sample",
    "nn.patches.saving": "nn.patches.saved",
    "nn.planning.fitting": "nn.planning.limits",
    "nn.planning.following": "nn.receptive_field.propagation",
    "nn.planning.gradient": "nn.receptive_field.gradient",
    "nn.planning.memory": "nn.memory",
    "nn.planning.receptive": "nn.receptive_field.field",
    "nn.planning.sources": "nn.planning.images",
    "nn.planning.spans": "nn.receptive_field.spans",
    "nn.prediction.answers": "nn.prediction.activations",
    "nn.prediction.folders": "nn.prediction.files",
    "nn.prediction.geometry": "nn.prediction.tiles",
    "nn.prediction.memory": "nn.memory",
    "nn.prediction.predicting": "nn.prediction.predictor",
    "nn.stored": "arrays",
    "nn.training.endings": "nn.training.verdict",
    "nn.training.fitting": "nn.training.loop",
    "nn.training.inputs": "nn.training.data",
    "nn.training.jobs": "nn.training.job",
    "nn.training.judging": "nn.training.validation",
    "nn.training.loading": "nn.training.batches",
    "nn.training.processes": "nn.training.separate_process",
    "nn.training.reading": "nn.training.data",
    "nn.training.recording": "nn.training.recorder",
    "nn.training.scratch": "nn.training.spill",
    "nn.training.starting": "nn.training.trainer",
    "nn.training.steps": "nn.training.module",
    "nn.training.warm_starts": "nn.training.warm_start",
    "observing": "observers",
    "rois.drawing": "rois.labels",
    "rois.filling": "rois.rasterization",
    "verbs.cells": "verbs.segmentation",
    "verbs.folders": "verbs.dataset",
    "verbs.learning": "verbs.training",
    "verbs.options": "verbs.macro_options",
    "verbs.running": "verbs.invocation",
}
"""New names of renamed modules, by their names in version 0.1, without the leading ``fijibridge.``."""


_PACKAGE = os.path.join(os.path.dirname(__file__), "__init__.py")


def warn_renamed(old: str, new: str, how: str = "was renamed to") -> None:
    """Warn at the line of the user's code that used a former name."""
    frame = sys._getframe(1)
    while frame.f_back is not None and _is_machinery(frame.f_code.co_filename):
        frame = frame.f_back
    warnings.warn_explicit(
        f"{old} {how} {new}", RenamedWarning, frame.f_code.co_filename, frame.f_lineno,
        module=frame.f_globals.get("__name__", ""), registry=frame.f_globals.setdefault("__warningregistry__", {}),
    )  # fmt: skip


def renamed_keywords(**names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Also accept former names of keyword arguments, listed as ``old="new"``, with a warning.

    Examples
    --------
    >>> @renamed_keywords(width="membrane_width")
    ... def target(labels, *, membrane_width=3):
    ...     return membrane_width
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     target([], width=5), str(caught[0].message)
    (5, 'width= of target was renamed to membrane_width=')
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        name = function.__qualname__.rpartition("<locals>.")[2].removesuffix(".__init__")

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for old, new in names.items():
                if old in kwargs:
                    if new in kwargs:
                        raise TypeError(f"{name} got {old}= and {new}=, which mean the same; give only {new}=")
                    warn_renamed(f"{old}= of {name}", f"{new}=")
                    kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        call.__renamed__ = dict(names)  # type: ignore[attr-defined]
        return call

    return decorate


def keyword_only(*names: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Accept keyword-only parameters by position as well, in their former order, with a warning.

    Examples
    --------
    >>> @keyword_only("thresh")
    ... def match(true, pred, *, thresh=0.5):
    ...     return thresh
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     match([], [], 0.7), str(caught[0].message)
    (0.7, 'argument 3 of match is keyword-only now: thresh=')
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        count = sum(parameter.kind in kinds for parameter in inspect.signature(function).parameters.values())

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            more = args[count:]
            if len(more) > len(names):
                raise TypeError(f"{function.__name__} takes {count} positional arguments; {len(args)} were given")
            for place, (name, value) in enumerate(zip(names, more, strict=False), start=count + 1):
                if name in kwargs:
                    raise TypeError(f"{function.__name__} got {name} twice: by position and by name")
                warn_renamed(f"argument {place} of {function.__name__}", f"{name}=", "is keyword-only now:")
                kwargs[name] = value
            return function(*args[:count], **kwargs)  # type: ignore[arg-type]

        call.__positional_before__ = names  # type: ignore[attr-defined]
        return call

    return decorate


def object_before_path(function: Callable[P, T]) -> Callable[P, T]:
    """Also accept the first two arguments in their former order, ``(path, object)``, with a warning."""
    first, second, *_ = inspect.signature(function).parameters

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        if len(args) == 1 and _is_path(args[0]) and first in kwargs and second not in kwargs:
            warn_renamed(f"{function.__name__}(path, {first}=)", f"{function.__name__}({first}, path)")
            kwargs[second] = args[0]
            return function(**kwargs)  # type: ignore[call-arg]
        if len(args) > 1 and _is_path(args[0]) and not _is_path(args[1]):
            warn_renamed(f"{function.__name__}(path, object)", f"{function.__name__}(object, path)")
            return function(*(args[1], args[0], *args[2:]), **kwargs)  # type: ignore[arg-type]
        return function(*args, **kwargs)

    return call


class RenamedKeys(dict[str, Any]):
    """Dict with renamed keys. Reading a former key works, with a warning; iteration yields only the new keys.

    Examples
    --------
    >>> settings = RenamedKeys({"membrane_width": 3}, width="membrane_width")
    >>> settings, "epochs" in settings
    ({'membrane_width': 3}, False)
    """

    def __init__(self, values: Mapping[str, Any], **names: str) -> None:
        super().__init__(values)
        self._names = names

    def __missing__(self, key: str) -> Any:
        new = self._names.get(key)
        if new is None or not dict.__contains__(self, new):
            raise KeyError(key)
        warn_renamed(f"the key {key!r}", f"{new!r}")
        return self[new]

    def __contains__(self, key: object) -> bool:
        return dict.__contains__(self, key) or dict.__contains__(self, self._names.get(str(key), key))

    def get(self, key: str, default: Any = None) -> Any:
        """Return the value of a key, given by its new or former name; `default` if there is none."""
        try:
            return self[key]
        except KeyError:
            return default

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def rename_attributes(module: str, names: Mapping[str, str]) -> None:
    """Keep former attributes of a module. `names` maps each to ``"module:name"``, without ``fijibridge.`` in front."""
    here = sys.modules[module]

    class Module(type(here)):  # type: ignore[misc]
        def __getattr__(self, name: str) -> Any:
            if name not in names:
                raise AttributeError(f"module {module!r} has no attribute {name!r}")
            place, _, new = names[name].partition(":")
            home = f"fijibridge.{place}" if place else "fijibridge"
            warn_renamed(f"{module}.{name}", f"{home}.{new}")
            return getattr(importlib.import_module(home), new)

        def __setattr__(self, name: str, value: Any) -> None:
            # importing a module by its former name sets an attribute of the package; this must not hide a function
            moved = isinstance(value, ModuleType) and value.__name__ != f"{module}.{name}"
            if not (moved and name in vars(self)):
                super().__setattr__(name, value)

    here.__class__ = Module


class RenamedModules(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finder and loader of modules by their former names, for ``import`` and ``python -m``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of a module if `fullname` is its former name; None otherwise."""
        new = self._new(fullname)
        if new is None:
            return None
        found = importlib.util.find_spec(new)
        return ModuleSpec(fullname, self, origin=None if found is None else found.origin)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Return the module with the new name itself, so that its contents exist only once."""
        new = self._of(spec.name)
        warn_renamed(spec.name, new)
        module = importlib.import_module(new)
        spec.loader_state = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restore the module's ``__spec__``, which the import by its former name has replaced."""
        old = module.__spec__
        if old is not None and old.loader is self:
            module.__spec__ = old.loader_state

    def get_code(self, fullname: str) -> CodeType | None:
        """Return the code that ``python -m`` runs."""
        new = self._of(fullname)
        warn_renamed(fullname, new)
        spec = importlib.util.find_spec(new)
        assert spec is not None
        assert isinstance(spec.loader, importlib.abc.InspectLoader)
        return spec.loader.get_code(new)

    @staticmethod
    def _new(name: str) -> str | None:
        room, _, short = name.partition(".")
        return f"fijibridge.{MODULES[short]}" if room == "fijibridge" and short in MODULES else None

    def _of(self, name: str) -> str:
        new = self._new(name)
        if new is None:
            raise ImportError(f"module {name} does not exist")
        return new


def _is_path(value: Any) -> bool:
    return isinstance(value, str | os.PathLike)


def _is_machinery(file: str) -> bool:
    """Return whether a file is this module, the package's own ``__init__``, or part of Python's import system."""
    return file in (__file__, _PACKAGE) or "importlib" in file or file == "<frozen runpy>"


# The finder comes first, because a leftover folder of a former package would be found as a namespace package.
sys.meta_path.insert(0, RenamedModules())
