"""The page of the docs about verbs, made from them: ``python -m fijibridge.app.verb_pages > docs/verbs.md``."""

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

A verb is a Python function that can be called from Fiji's menu (**Plugins ▸ FijiBridge**), from macros and scripts, and
from the command line, with the same names, defaults and checks everywhere. [fiji.md](fiji.md) says how Fiji gets them.

- In a macro, options are `name=value`; a value with spaces is in brackets, `model=[/my data/model.safetensors]`. What
  is left out has its default. A flag that is off is switched on by its name alone, one that is on is switched off by
  `name=false`.
- In Fiji, an image is the title of an open one, the active one if left out. Cells are the title of a label image, or
  `ROI Manager` or `overlay`, whose areas they are.
- In Fiji, a result replaces the result of that name from before, and nothing else; `overwrite=true` lets it replace any
  open image of that name, also one that was changed and is not saved. All verbs take that which show images.
- On the command line, `fijibridge run VERB`, images are files; cells are a label image, or a file of ROIs (`.zip`,
  `.roi`) over the first image. Results are written into the folder `--out`: images and label images as TIFF, ROIs as a
  zip that the ROI Manager opens, tables as CSV, curves as CSV and PNG. A folder that holds files already is refused,
  unless you say `--overwrite`.
- All that is wrong is told at once, before any work starts.
"""

_OWN = """\
## A verb of your own

A function becomes a verb by its signature: the types of its parameters say what is asked for, `Param` the rest.

```python
from typing import Annotated

import pandas as pd
from scipy import ndimage

from fijibridge.verbs import Cells, Image, Param, verb


@verb("Bright Cells...")
def bright_cells(
    image: Image,
    cells: Cells,
    limit: Annotated[float, Param("mean grey value from which on a cell is bright", low=0)] = 100,
) -> list:
    \"\"\"Tell the mean grey value of each cell, and how many are bright.\"\"\"
    ids = list(range(1, int(cells.max()) + 1))
    table = pd.DataFrame({"label": ids, "mean": ndimage.mean(image, cells, ids)})
    return [table, f"{(table['mean'] >= limit).sum()} of {len(ids)} cells are bright"]
```

From then on it is in the menu and in macros of the Fiji that runs in this process:

```
run("FijiBridge Bright Cells...", "cells=evl_01_cells.tif limit=120");
```

| type of a parameter | what is asked for |
|---|---|
| `Image`, `Cells` | an open image, a label image; the function gets an `xarray.DataArray` with its calibration |
| `File`, `Folder`, `NewFolder` | a path; the first two must be there |
| `int`, `float`, `bool`, `str`, `Literal["a", "b"]` | a number, a flag, a text, one of these |
| any of them `\\| None` | it may be left out |
| `Call` | nothing: it is how the function tells its progress, and asks whether to stop |

What it returns is shown: an array as an image (a label image where the function is annotated `-> Cells`), a DataFrame
as a table, a text in the log, a list of ROIs over the first image; several of them as a list. `fijibridge.verbs` has
results that say more (`ShowImage`, `Outlines`, `ShowTable` ...). An error of `fijibridge.errors` is told as it is.

A package brings its verbs along, also for the command line and for a Fiji that Python did not start, by an entry point
that names their module:

```toml
[project.entry-points."fijibridge.verbs"]
bright = "my_package.verbs"
```
"""


def markdown() -> str:
    """Return the page about the verbs of fijibridge."""
    verbs = [verb for verb in all_verbs() if verb.function.__module__.startswith("fijibridge.verbs.")]
    listed = "\n".join(f"| [{verb.title.removesuffix('...')}](#{_anchor(verb)}) | {verb.summary} |" for verb in verbs)
    parts = [f"{_INTRODUCTION}\n| verb | what it does |\n|---|---|\n{listed}\n", *map(_section, verbs), _OWN]
    return "\n".join(parts)


def _anchor(verb: Verb) -> str:
    """Return where a page on GitHub has the heading of a verb."""
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
        return "needed" if parameter.kind is not Kind.image else "the active image"
    text = parameter.text(parameter.default)
    return f"`{text}`" if text else ""


if __name__ == "__main__":
    import sys

    sys.stdout.buffer.write(markdown().encode())
