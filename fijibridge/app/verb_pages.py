"""Page of the docs about verbs: ``python -m fijibridge.app.verb_pages > docs/verbs.md`` writes it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from fijibridge.app.cli.verbs import command_name, only_says
from fijibridge.verbs import Kind, Parameter, Verb, all_verbs
from fijibridge.verbs.macro_options import write_options

_EXAMPLES = {
    Kind.image: "evl_01.tif", Kind.cells: "evl_01_cells.tif", Kind.file: "runs/evl/model.safetensors",
    Kind.folder: "images", Kind.new_folder: "new", Kind.integer: 1, Kind.number: 1.0, Kind.flag: True, Kind.text: "a",
}  # fmt: skip

_INTRODUCTION = """\
<!-- Made by python -m fijibridge.app.verb_pages; change the verbs (fijibridge/verbs), not this page. -->

# Verbs

A verb is a Python function that Fiji's menu (**Plugins ▸ FijiBridge**), macros, scripts and the command line can call,
with the same names, defaults and checks everywhere. [fiji.md](fiji.md) explains how they get into Fiji.

- In a macro, options are `name=value`; a value with spaces is in brackets, `model=[/my data/model.safetensors]`.
  Options that are left out get their default. The name alone switches a flag on, `name=false` switches it off.
- In Fiji, an image is given by the title of its window; if it is left out, the active image is used. Cells are given by
  the title of a label image, or as `ROI Manager` or `overlay`, whose areas become the cells.
- In Fiji, a result replaces an earlier result of that name, but no other image; with `overwrite=true` it replaces any
  open image of that name, even with unsaved changes. All verbs that show images accept `overwrite`.
- On the command line (`fijibridge run VERB`), images are files; cells are a label image, or a file of ROIs (`.zip`,
  `.roi`) on the first image. Results are written to the folder `--out`: images and label images as TIFF, ROIs as a zip
  that the ROI Manager opens, tables as CSV, curves as CSV and PNG. A folder that already contains files is refused
  without `--overwrite`.
- An error message lists everything that is wrong, before any work starts.
- A parameter that was renamed keeps its old name for one version, with a warning.
"""

_OWN = """\
## Write a verb

The decorator `@verb` makes a function a verb. The types in its signature define what the dialog asks for; `Param` adds
help, unit and range.

```python
from typing import Annotated

import pandas as pd
from scipy import ndimage

from fijibridge.verbs import Cells, Image, Param, verb


@verb("Bright Cells...")
def bright_cells(
    image: Image,
    cells: Cells,
    limit: Annotated[float, Param("smallest mean grey value of a bright cell", low=0)] = 100,
) -> list:
    \"\"\"Measure the mean grey value of each cell, and count the bright ones.\"\"\"
    ids = list(range(1, int(cells.max()) + 1))
    table = pd.DataFrame({"label": ids, "mean": ndimage.mean(image, cells, ids)})
    return [table, f"{(table['mean'] >= limit).sum()} of {len(ids)} cells are bright"]
```

The verb is now in the menu of the Fiji that runs in this process, and can be called from its macros:

```
run("FijiBridge Bright Cells...", "cells=evl_01_cells.tif limit=120");
```

| type of a parameter | dialog |
|---|---|
| `Image`, `Cells` | an open image, a label image; the function gets an `xarray.DataArray` with its calibration |
| `File`, `Folder`, `NewFolder` | a path; the first two must exist |
| `int`, `float`, `bool`, `str`, `Literal["a", "b"]` | a number, a checkbox, text, one of these strings |
| any of them `\\| None` | may be left out |
| `Call` | not in the dialog: the function reports progress through it, and asks whether to stop |

Returned values are shown: an array as an image (a label image if the function is annotated `-> Cells`), a DataFrame as
a table, a string in the log, a list of ROIs on the first image; to show several results, return a list.
`fijibridge.verbs` has results with more options (`ShowImage`, `Outlines`, `ShowTable` ...). Errors of
`fijibridge.errors` are shown by their message.

To rename a parameter, give its old name as `Param(..., was=("old_name",))`: old macros and scripts then still work.

A package adds its verbs, also for the command line and for a Fiji that Python did not start, with an entry point
that names their module:

```toml
[project.entry-points."fijibridge.verbs"]
bright = "my_package.verbs"
```
"""


def markdown() -> str:
    """Return the page about the verbs of fijibridge as Markdown."""
    verbs = [verb for verb in all_verbs() if verb.function.__module__.startswith("fijibridge.verbs.")]
    listed = "\n".join(f"| [{verb.title.removesuffix('...')}](#{_anchor(verb)}) | {verb.summary} |" for verb in verbs)
    parts = [f"{_INTRODUCTION}\n| verb | what it does |\n|---|---|\n{listed}\n", *map(_section, verbs), _OWN]
    return "\n".join(parts)


def _anchor(verb: Verb) -> str:
    """Return the anchor of a verb's heading on GitHub."""
    return "".join(c for c in verb.title.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def _section(verb: Verb) -> str:
    examples = {p.name: _example(p) for p in verb.parameters if p.required}
    options = write_options(verb, examples)
    macro = f'run("{verb.command}", "{options}");' if options else f'run("{verb.command}");'
    words = [w for name, value in examples.items() for w in (f"--{name.replace('_', '-')}", shlex.quote(str(value)))]
    own = {p.name for p in verb.parameters}
    more = [] if only_says(verb) or "out" in own else ["--out", "results"]
    shell = " ".join(["fijibridge", "run", command_name(verb), *words, *more])
    text = f"## {verb.title}\n\n{verb.help}\n\n```\n{macro}\n```\n\n```sh\n{shell}\n```\n"
    return f"{text}\n{_table(verb.parameters)}" if verb.parameters else text


def _example(parameter: Parameter) -> object:
    return parameter.choices[0] if parameter.kind is Kind.choice else _EXAMPLES[parameter.kind]


def _table(parameters: Iterable[Parameter]) -> str:
    rows = ["| parameter | what | default | unit | range |", "|---|---|---|---|---|"]
    for p in parameters:
        cells = (f"`{p.name}`", p.help, _default(p), p.unit, ", ".join(p.choices) if p.choices else p.range)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows) + "\n"


def _default(parameter: Parameter) -> str:
    if parameter.required:
        return "required" if parameter.kind is not Kind.image else "the active image"
    text = parameter.text(parameter.default)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(markdown().encode())
