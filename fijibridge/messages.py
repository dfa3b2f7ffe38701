"""Parts of error messages: suggestions of similar names, shortened lists, prefixes that name a file or image."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from fijibridge.errors import FijiBridgeError

_LONGEST = 100  # number of characters compared, because difflib is slow on long names
_COMPARED = 1000  # number of names compared


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"did you mean 'depth'?"`` for the closest known name, or ``""`` if none is close.

    Examples
    --------
    >>> did_you_mean("dept", ["width", "depth"])
    "did you mean 'depth'?"
    >>> did_you_mean("colour", ["width", "depth"])
    ''
    """
    close = difflib.get_close_matches(name[:_LONGEST], list(known)[:_COMPARED], 1)
    return f"did you mean {close[0]!r}?" if close else ""


def hint(name: str, known: Iterable[str]) -> str:
    """Return the suggestion as the end of a sentence, ``"; did you mean 'depth'?"``, or ``""`` if there is none."""
    guess = did_you_mean(name, known)
    return f"; {guess}" if guess else ""


def some(names: Sequence[str], most: int = 20) -> str:
    """Join the first `most` names with commas and, if there are more, append the total number.

    Examples
    --------
    >>> some(["a", "b", "c"], 2)
    'a, b ... (3 in all)'
    """
    return ", ".join(names[:most]) + (f" ... ({len(names)} in all)" if len(names) > most else "")


@contextmanager
def naming(what: object, kind: type[FijiBridgeError], becomes: type[FijiBridgeError] | None = None) -> Iterator[None]:
    """In the block, prefix `what` to the message of errors of type `kind`, and convert them to `becomes` if given.

    Examples
    --------
    >>> from fijibridge.errors import ImageError
    >>> with naming("image 7", ImageError):
    ...     raise ImageError("it has no pixels")
    Traceback (most recent call last):
    fijibridge.errors.ImageError: image 7: it has no pixels
    """
    try:
        yield
    except kind as error:
        raise (becomes or type(error))(f"{what}: {error}") from error
