"""Groups of files with a common pattern: candidates for the roles of a description."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fijibridge.dataset.description import Role
from fijibridge.dataset.patterns import Pattern
from fijibridge.dataset.toml import FILE_NAME
from fijibridge.files import SUFFIXES, hdf5
from fijibridge.files.formats import HDF5
from fijibridge.files.ome_zarr import is_zarr
from fijibridge.renames import rename_attributes

_WORDS: dict[Role, str] = {
    "image": r"images?|imgs?|raw|intensity|im|input",
    "labels": r"labels?|lbls?|segmentations?|seg|instances?|cells?|gt|masks?_ids",
    "classes": r"[a-z]*membranes?|[a-z]*masks?|boundar(?:y|ies)|edges?|outlines?|contours?|pixels?labels?|classes",
    "region": r"rois?|regions?|annotated|valid|known",
    "prediction": r"pred(?:iction)?s?|prob(?:abilit(?:y|ies))?s?|outputs?",
}
_SERIES = re.compile(r"(?:(?<=[_\-. ])|^)(t|z|c|ch)(\d+)(?=[_\-. ]|[tzc]\d|$)", re.IGNORECASE)
_TILE = re.compile(r"(?:(?<=[_\-. ])|^)(y|x|row|col)(\d+)(?=[_\-. ]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class FileGroup:
    """Files whose paths differ only in the image's name and in the numbers of a series.

    Attributes
    ----------
    pattern : str
        Pattern that the files fit.
    role : str, optional
        Role that a word in the file names indicates.
    word : str
        That word.
    files : dict
        First file of each image, by image name.
    count : int
        Number of files.
    """

    pattern: str
    role: Role | None
    word: str
    files: Mapping[str, Path]
    count: int


def file_groups(folder: Path) -> list[FileGroup]:
    """Group the image files of a folder and its subfolders by pattern."""
    groups: dict[tuple[str, Role | None, str], dict[str, Path]] = {}
    counts: dict[str, int] = {}
    members = _series_members(folder)
    for path in members:
        for pattern, name, role, word in _kinds(path, folder, members[path]):
            if pattern.startswith("{name}/") and not name:
                continue
            groups.setdefault((pattern, role, word), {}).setdefault(name, path)
            counts[pattern] = counts.get(pattern, 0) + 1
    return [FileGroup(p, role, word, files, counts[p]) for (p, role, word), files in sorted(groups.items(), key=str)]


def _kinds(path: Path, folder: Path, in_series: bool) -> Iterable[tuple[str, str, Role | None, str]]:
    """Return (pattern, image name, role, word for the role) of a file, or of each array in an HDF5 file."""
    place = path.relative_to(folder).as_posix()
    pattern, name, role, word = _read_name(place, in_series)
    if (Pattern(pattern).match(place) or {}).get(
        "name", ""
    ) != name:  # the pattern does not yield the name again, so use the whole stem
        pattern, name, role, word = f"{place[: -len(path.name)]}{{name}}{path.suffix}", path.stem, None, ""
    if path.suffix.lower() not in HDF5:
        return [(pattern, name, role, word)]
    try:
        keys = list(hdf5.arrays(path))
    except OSError:
        return []
    inner = [(key, key.rpartition("/")[2]) for key in keys]
    return [(f"{pattern}:{key}", name, _role_of(last) or role, last if _role_of(last) else word) for key, last in inner]


def _series_members(folder: Path) -> dict[Path, bool]:
    """Return, for each image file, whether another file differs from it only in the number of a series."""
    paths = list(_files(folder))
    bare: dict[Path, Path] = {p: p.with_name(_without_series(p.name)) for p in paths}
    shared: dict[Path, int] = {}
    for path in bare.values():
        shared[path] = shared.get(path, 0) + 1
    return {path: bare[path] != path and shared[bare[path]] > 1 for path in paths}


def _without_series(name: str) -> str:
    return _TILE.sub(r"\1#", _SERIES.sub(r"\1#", name))


def _files(folder: Path) -> Iterable[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == FILE_NAME:
            continue
        if path.is_dir() and not is_zarr(path):
            yield from (p for p in sorted(path.iterdir()) if _is_image(p))
        elif _is_image(path):
            yield path


def _is_image(path: Path) -> bool:
    if path.is_symlink() or path.name.startswith(".") or set(path.name) & set("{}*\\:"):
        return False  # links, hidden files, and names with characters that a pattern cannot contain
    return path.suffix.lower() in SUFFIXES or is_zarr(path)


def _read_name(path: str, in_series: bool) -> tuple[str, str, Role | None, str]:
    """Return (pattern, image name, role, word for the role), read from a path."""
    head, slash, file = path.rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    if stem.lower().endswith(".ome"):
        stem, suffix = stem[:-4], f"{stem[-3:]}.{suffix}"
    rest = stem
    if in_series:
        rest = _TILE.sub(_tile_field, _SERIES.sub(_series_field, stem))
    tokens = re.split(r"([_\-. ]+)", rest)
    for n, token in enumerate(tokens[::2]):
        role = _role_of(token)
        if role is not None:
            return _by_word(tokens, 2 * n, head + slash, dot + suffix, role)
    role = _role_of(head) if head else None
    name, tail = _name_before_series(rest)
    return f"{head}{slash}{'{name}' if name else ''}{tail}{dot}{suffix}", name, role, head if role else ""


def _series_field(found: re.Match[str]) -> str:
    letter = found[1].lower()[0]
    return f"{found[1]}{{{letter}}}"


def _tile_field(found: re.Match[str]) -> str:
    return f"{found[1]}{{tile_{'y' if found[1].lower() in ('y', 'row') else 'x'}}}"


def _role_of(token: str) -> Role | None:
    plain = token.lower().strip("0123456789")
    return next((role for role, words in _WORDS.items() if re.fullmatch(words, plain)), None)


def _by_word(
    tokens: Sequence[str], place: int, head: str, suffix: str, role: Role
) -> tuple[str, str, Role | None, str]:
    """Split a file name at the word for its role. The image's name is the part before this word, or else after it."""
    word = tokens[place]
    before, after = "".join(tokens[: max(place - 1, 0)]), "".join(tokens[place + 2 :])
    if before:
        name, tail = _name_before_series(before)
        separator = tokens[place - 1]
        return f"{head}{'{name}' if name else ''}{tail}{separator}{''.join(tokens[place:])}{suffix}", name, role, word
    if after:
        name, tail = _name_before_series(after)
        return f"{head}{word}{tokens[place + 1]}{'{name}' if name else ''}{tail}{suffix}", name, role, word
    return (
        f"{{name}}/{word}{suffix}",
        head.rstrip("/"),
        role,
        word,
    )  # one folder per image, so files in the top folder fit no pattern


def _name_before_series(text: str) -> tuple[str, str]:
    """Split text such as ``embryo_t{t}_z{z}`` into the name, ``embryo``, and the rest."""
    start = text.find("{")
    if start < 0:
        return text, ""
    begin = re.search(r"[_\-. ]?[A-Za-z]*$", text[:start])
    cut = begin.start() if begin else start
    return text[:cut], text[cut:]


rename_attributes(
    __name__,
    {
        "Family": "dataset.guess.file_groups:FileGroup",
        "families": "dataset.guess.file_groups:file_groups",
    },
)
