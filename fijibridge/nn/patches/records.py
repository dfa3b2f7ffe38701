"""What a record says of a sampler and its transformations: values that are alike in another process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: a callable by its module and name, any other object by those of its type.

    Examples
    --------
    >>> import math
    >>> plain({"rotation": 20.0, "heads": ("distance",), "custom": math.hypot})
    {'rotation': 20.0, 'heads': ['distance'], 'custom': 'math.hypot'}
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    kind = value if hasattr(value, "__qualname__") else type(value)
    return f"{kind.__module__}.{kind.__qualname__}"
