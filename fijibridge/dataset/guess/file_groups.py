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
    "labels": r"labels?|lbls?|labelings?|segmentations?|seg|instances?|cells?|gt|masks?_ids|watershed|basins?",
    "classes": r"[a-z]*membranes?|[a-z]*masks?|boundar(?:y|ies)|edges?|outlines?|contours?|pixels?labels?|classes",
    "region": r"rois?|regions?|annotated|valid|known",
    "prediction": r"pred(?:iction)?s?|prob(?:abilit(?:y|ies))?s?|outputs?",
}
_TWO_WORDS: dict[Role, str] = {
    "labels": r"cp_masks?|simple_segmentations?|object_identities|catchment_basins?|label_images?|man_seg\d*",
    "prediction": r"probability_maps?",
}
"""Pairs of words of other programs: Cellpose, ilastik, MorphoLibJ, CellProfiler."""
_TRUTH: tuple[Role, ...] = ("labels", "classes")
_DEPTH = 3
"""Number of levels of subfolders that are searched."""
_CHALLENGE = re.compile(r"(?P<before>(.*/)?\d\d(/t|(?P<truth>_[GS]T/SEG/man_seg)))(?P<frame>\d{3,4})")
"""Frames and truth of the Cell Tracking Challenge: ``01/t000`` and ``01_GT/SEG/man_seg000``."""
_NNUNET = re.compile(r"(.+)(_\d{4})")
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
    readings = {path: list(_kinds(path, folder, members[path])) for path in members}
    named = {
        (path.parent, name)
        for path, kinds in readings.items()
        for _, name, role, _ in kinds
        if role in _TRUTH and name != path.stem
    }
    for path, kinds in readings.items():
        # another file is called like this one, with a word for truth
        if (path.parent, path.stem) in named and path.suffix.lower() not in HDF5:
            place = path.relative_to(folder).as_posix()
            kinds = [(f"{place[: -len(path.name)]}{{name}}{path.suffix}", path.stem, "image", path.stem)]
        for pattern, name, role, word in kinds:
            if pattern.startswith("{name}/") and not name:
                continue
            groups.setdefault((pattern, role, word), {}).setdefault(name, path)
            counts[pattern] = counts.get(pattern, 0) + 1
    return [FileGroup(p, role, word, files, counts[p]) for (p, role, word), files in sorted(groups.items(), key=str)]


def _kinds(path: Path, folder: Path, in_series: bool) -> Iterable[tuple[str, str, Role | None, str]]:
    """Return (pattern, image name, role, word for the role) of a file, or of each array in an HDF5 file."""
    place = path.relative_to(folder).as_posix()
    # a pattern must yield the name again
    readings = [
        one for one in _read_name(place, in_series) if (Pattern(one[0]).match(place) or {}).get("name", "") == one[1]
    ]
    readings = readings or [(f"{place[: -len(path.name)]}{{name}}{path.suffix}", path.stem, None, "")]
    if path.suffix.lower() not in HDF5:
        return readings
    pattern, name, role, word = readings[0]
    try:
        keys = list(hdf5.arrays(path))
    except OSError:
        return []
    inner = [(key, key.rpartition("/")[2]) for key in keys]
    return [(f"{pattern}:{key}", name, _role_of(last) or role, last if _role_of(last) else word) for key, last in inner]


def _yields(pattern: str, place: str, name: str) -> bool:
    """Return whether a pattern yields the name of an image from its path."""
    return (Pattern(pattern).match(place) or {}).get("name", "") == name


def _series_members(folder: Path) -> dict[Path, bool]:
    """Return, for each image file, whether another file differs from it only in the number of a series."""
    paths = list(_files(folder))
    bare: dict[Path, Path] = {p: p.with_name(_without_series(p.name)) for p in paths}
    shared: dict[Path, int] = {}
    for path in bare.values():
        shared[path] = shared.get(path, 0) + 1
    return {path: bare[path] != path and shared[bare[path]] > 1 and not _is_of_challenge(path) for path in paths}


def _is_of_challenge(path: Path) -> bool:
    """Return whether a file is a frame of the Cell Tracking Challenge, whose truth has names for single frames."""
    return (path.parent.parent / f"{path.parent.name}_GT").is_dir()


def _without_series(name: str) -> str:
    return _TILE.sub(r"\1#", _SERIES.sub(r"\1#", name))


def _files(folder: Path, depth: int = _DEPTH) -> Iterable[Path]:
    """Yield the image files of a folder and of its subfolders."""
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name == FILE_NAME:
            continue
        if path.is_dir() and not is_zarr(path):
            if depth and not path.is_symlink():
                yield from _files(path, depth - 1)
        elif _is_image(path):
            yield path


def _is_image(path: Path) -> bool:
    if path.is_symlink() or path.name.startswith(".") or set(path.name) & set("{}*\\:"):
        return False  # links, hidden files, and names with characters that a pattern cannot contain
    return path.suffix.lower() in SUFFIXES or is_zarr(path)


def _read_name(path: str, in_series: bool) -> list[tuple[str, str, Role | None, str]]:
    """Return readings of a path, the likeliest first: (pattern, image name, role, word for the role)."""
    head, slash, file = path.rpartition("/")
    stem, dot, suffix = file.rpartition(".")
    if stem.lower().endswith(".ome"):
        stem, suffix = stem[:-4], f"{stem[-3:]}.{suffix}"
    frame = _CHALLENGE.fullmatch(f"{head}/{stem}")
    if frame is not None and not in_series:
        role: Role | None = "labels" if frame["truth"] else "image"
        return [(f"{frame['before']}{{name}}{dot}{suffix}", frame["frame"], role, frame["before"].rpartition("/")[2])]
    rest = stem
    if in_series:
        rest = _TILE.sub(_tile_field, _SERIES.sub(_series_field, stem))
    folder_role, folder_word = _role_of_folder(head)
    channel = _NNUNET.fullmatch(rest) if folder_role == "image" else None
    if channel is not None:  # imagesTr/cell_0000.tif, of labelsTr/cell.tif
        name, tail = channel[1], channel[2]
        return [(f"{head}{slash}{{name}}{tail}{dot}{suffix}", name, folder_role, folder_word)]
    name, tail = _name_before_series(rest)
    whole = f"{head}{slash}{'{name}' if name else ''}{tail}{dot}{suffix}"
    tokens = re.split(r"([_\-. ]+)", rest)
    place, words, role = _word_of_role(tokens)
    if role is None or (role == "image" and folder_role is not None):
        return [(whole, name, folder_role, folder_word)]
    split = [
        *tokens[:place],
        "".join(tokens[place : place + 2 * words - 1]),
        *tokens[place + 2 * words - 1 :],
    ]
    by_word = _by_word(split, place, head + slash, dot + suffix, role)
    if role != "image":
        return [by_word] if folder_role is None else [by_word, (whole, name, folder_role, folder_word)]
    # a word for images may be a part of the name, too: the labels of img_1.tif are called img_1_masks.tif
    readings = [] if _is_numbered(tokens[place]) else [by_word]
    return [*readings, (whole, name, "image", tokens[place])]


def _word_of_role(tokens: Sequence[str]) -> tuple[int, int, Role | None]:
    """Return index, number of words, and role of the words that tell what a file is; words for truth come first."""
    found: list[tuple[int, int, Role]] = []
    for n in range(0, len(tokens), 2):
        two = "_".join(tokens[n : n + 3 : 2]).lower()
        role = next((role for role, words in _TWO_WORDS.items() if re.fullmatch(words, two)), None)
        if role is not None:
            return n, 2, role
        role = _role_of(tokens[n])
        if role is not None:
            found.append((n, 1, role))
    truth = [one for one in found if one[2] != "image"]
    return next(iter(truth or found), (0, 0, None))


def _role_of_folder(head: str) -> tuple[Role | None, str]:
    """Return the role that the name of a folder tells, such as ``images``, ``labelsTr`` or ``01_GT``, and the word."""
    for part in reversed(head.split("/")):
        for word in re.split(r"[_\-. ]+|(?<=[a-z])(?=[A-Z])", part):
            role = _role_of(word)
            if role is not None:
                return role, part
    return None, ""


def _is_numbered(word: str) -> bool:
    """Return whether a word is followed by its number, as in img01: it is a name then."""
    return word[-1:].isdigit()


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
