"""Reader and writer of ``dataset.toml``, which is written in the style of a handwritten file."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from fijibridge.dataset.description import Description, error_text
from fijibridge.errors import DatasetError
from fijibridge.files import atomic

FILE_NAME = "dataset.toml"
SCHEMA_NAME = "dataset.schema.json"
_MOST_BYTES = 2_000_000


def read_description(file: Path) -> Description:
    """Read a ``dataset.toml``.

    Raises
    ------
    DatasetError
        If the file is not valid TOML, is larger than 2 MB, or has unknown keys or invalid values.
    """
    size = file.stat().st_size
    if size > _MOST_BYTES:
        raise DatasetError(
            f"{file} is {size / 1e6:.1f} MB large; expected at most {_MOST_BYTES / 1e6:g} MB: use patterns for "
            "properties that many images share"
        )
    try:
        return Description.model_validate(tomllib.loads(file.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DatasetError(f"{file} is not valid TOML: {error}") from error
    except ValidationError as error:
        raise DatasetError(f"{file}: {error_text(error)}") from error


def write_description(folder: str | os.PathLike[str], description: Description, text: str | None = None) -> Path:
    """Write a folder's ``dataset.toml`` and, beside it, the JSON schema that editors use, atomically."""
    target = Path(folder) / FILE_NAME
    with atomic(target.with_name(SCHEMA_NAME)) as temporary:
        temporary.write_text(resources.files("fijibridge.dataset").joinpath(SCHEMA_NAME).read_text("utf-8"), "utf-8")
    with atomic(target) as temporary:
        temporary.write_text(as_toml(description) if text is None else text, encoding="utf-8")
    return target


def as_toml(description: Description, remarks: str = "") -> str:
    """Return a description as the text of a ``dataset.toml``.

    Parameters
    ----------
    description
        The description; fields with default values are left out.
    remarks
        Comment lines to put at the top.

    Examples
    --------
    >>> print(as_toml(Description(image="*.png", pixel_size=0.5, values={"labels": {1: "background"}})), end="")
    #:schema ./dataset.schema.json
    format = 1
    image = "*.png"
    pixel_size = 0.5
    <BLANKLINE>
    [values.labels]
    1 = "background"
    """
    fields = description.model_dump(exclude_defaults=True, exclude_unset=False)
    lines = _table({"format": description.format, **fields}, ())
    return f"#:schema ./{SCHEMA_NAME}\n{remarks}" + "\n".join(lines) + "\n"


def schema() -> str:
    """Return the JSON schema of descriptions; the package contains a copy, ``dataset.schema.json``."""
    return json.dumps(Description.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


def _table(values: Mapping[Any, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the lines of a table: plain values first, then nested tables."""
    for key, value in values.items():
        if not _is_table(key, value, path):
            yield f"{_key(key)} = {_value(value)}"
    for key, value in values.items():
        if _is_table(key, value, path):
            inner = (*path, _key(key))
            if not value or any(not _is_table(k, v, inner) for k, v in value.items()):
                yield f"\n[{'.'.join(inner)}]"
            yield from _table(value, inner)


def _is_table(key: Any, value: Any, path: tuple[str, ...]) -> bool:
    if not isinstance(value, Mapping):
        return False
    return key in ("split", "values", "files", "tiles", "offsets") or bool(path and path[-1] in ("files", "values"))


def _key(key: Any) -> str:
    text = str(key)
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _text(text)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items() if v is not None) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    return repr(value)


def _text(text: str) -> str:
    """Return a TOML basic string, which uses the escapes of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
