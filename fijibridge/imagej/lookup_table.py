"""ImageJ's lookup tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fijibridge.errors import ImageError


@dataclass(frozen=True, repr=False)
class LookupTable:
    """The 256 colours in which ImageJ shows grey values.

    Attributes
    ----------
    data : bytes
        Red, green and blue of each of the 256 colours, 768 bytes.

    Examples
    --------
    >>> LookupTable(bytes(range(256)) * 3)
    LookupTable(#000102 to #fdfeff)
    """

    data: bytes

    @classmethod
    def of(cls, colors: npt.ArrayLike) -> LookupTable:
        """Return a lookup table for `colors`, which are (256, 3) numbers from 0 to 255.

        Raises
        ------
        ImageError
            If `colors` has another shape or values out of range.
        """
        table = np.asarray(colors)
        if table.shape != (256, 3) or table.min() < 0 or table.max() > 255:
            raise ImageError(f"the lookup table has shape {table.shape}; expected (256, 3) numbers from 0 to 255")
        return cls(table.astype(np.uint8).tobytes())

    @property
    def colors(self) -> npt.NDArray[np.uint8]:
        """Colours as (256, 3) ``uint8``."""
        return np.frombuffer(self.data, np.uint8).reshape(256, 3)

    def __repr__(self) -> str:
        return f"LookupTable(#{self.data[:3].hex()} to #{self.data[-3:].hex()})"
