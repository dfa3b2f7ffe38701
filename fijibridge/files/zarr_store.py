"""A zarr store that reads no file outside its folder, not even through a symbolic link."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from fijibridge.errors import DatasetError


class InsideStore(LocalStore):
    """A read-only store that resolves each path before opening it, and refuses paths outside its folder."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, read_only=True)
        self._real = Path(root).resolve()

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read a file."""
        self._refuse_outside(key)
        return await super().get(key, prototype, byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of files."""
        ranges = list(key_ranges)
        for key, _ in ranges:
            self._refuse_outside(key)
        return await super().get_partial_values(prototype, ranges)

    def _refuse_outside(self, key: str) -> None:
        path = (self._real / key).resolve()
        if not path.is_relative_to(self._real):
            raise DatasetError(f"{self.root}: {key!r} points outside this folder, to {path}; copy the data into it")
