from __future__ import annotations

from typing import Annotated

import numpy as np
import pytest
import xarray as xr

from fijibridge.errors import Cancelled, ImageError, OptionError, RenamedWarning, VerbError
from fijibridge.image import as_image, pixel_size, unit
from fijibridge.verbs import (
    Call,
    Cells,
    Image,
    Param,
    Say,
    ShowImage,
    Verb,
    perform,
)
from tests.verbs.conftest import Arrays


def made(function) -> Verb:
    return Verb("Tried...", "tried", "", function)


def nothing(
    cells: Cells,
    image: Image,
    mask: Image | None = None,
    size: Annotated[int, Param(low=1)] = 3,
    word: str = "w",
) -> tuple:
    nothing.got = {"cells": cells, "image": image, "mask": mask, "size": size, "word": word}
    return ()


def plain(image: Image) -> xr.DataArray:
    return image + 1


SMALL = as_image(np.arange(12).reshape(3, 4))


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_taken():
    host = Arrays()
    with pytest.raises(OptionError) as error:
        perform(made(nothing), {"size": "0", "wrod": "x", "image": "a"}, host)
    assert str(error.value) == (
        "FijiBridge Tried...: option 'wrod' does not exist; expected one of cells, image, mask, size, word, overwrite; "
        "cells is missing; expected a label image; size is 0; expected a whole number of at least 1"
    )
    assert host.asked == []


def test_images_are_taken_before_cells_and_left_out_ones_not_at_all():
    host = Arrays(a=SMALL, c=SMALL)
    perform(made(nothing), {"cells": "c", "image": "a"}, host)
    assert host.asked == ["image", "cells"]
    got = nothing.got
    assert (got["mask"], got["size"], got["word"]) == (None, 3, "w")
    assert (got["cells"].values == SMALL.values).all()


def test_a_required_image_that_is_not_named_is_the_active_one_an_optional_one_is_none():
    host = Arrays(**{"": SMALL, "c": SMALL})
    for given in ({"cells": "c"}, {"cells": "c", "image": "", "mask": ""}):
        perform(made(nothing), given, host)
        assert nothing.got["image"] is not None
        assert nothing.got["mask"] is None
    with pytest.raises(OptionError, match="cells is empty; expected a label image"):
        perform(made(nothing), {"cells": ""}, host)


def test_arrays_may_be_given_as_they_are():
    class AsTheyAre(Arrays):
        def take(self, parameter, value, taken):
            return value

    (result,) = perform(made(plain), {"image": SMALL}, AsTheyAre())
    assert (result.image.values == SMALL.values + 1).all()


def test_all_inputs_that_are_none_are_told():
    class Without(Arrays):
        def take(self, parameter, value, taken):
            raise ImageError(f"no {value}")

    with pytest.raises(OptionError, match=r"^image: no a; mask: no m; cells: no c$"):
        perform(made(nothing), {"cells": "c", "image": "a", "mask": "m"}, Without())
    with pytest.raises(OptionError, match=r"cells: .*binary mask"):
        perform(made(nothing), {"cells": "c", "image": "a"}, Arrays(a=SMALL, c=SMALL > 3))


def test_inputs_without_a_pixel_size_have_that_of_the_others():
    image = as_image(np.zeros((2, 3, 4)), pixel_size={"z": 2, "y": 0.5, "x": 0.25}, unit="um", origin={"y": 7})
    plane, other = as_image(np.eye(3, 4, dtype=int)), as_image(np.zeros((3, 5)))
    perform(made(nothing), {"cells": "c", "image": "a", "mask": "m"}, Arrays(a=image, c=plane, m=other))
    got = nothing.got
    assert (unit(got["cells"]), pixel_size(got["cells"])) == ("um", {"y": 0.5, "x": 0.25})
    assert unit(got["mask"]) == "pixel", "it has another size"
    own = as_image(np.eye(3, 4, dtype=int), pixel_size=3, unit="mm")
    perform(made(nothing), {"cells": "c", "image": "a"}, Arrays(a=image, c=own))
    assert unit(nothing.got["cells"]) == "mm"


def test_nothing_is_shown_after_an_error():
    def fails(image: Image) -> list:
        return [ShowImage(image, "a"), 5]

    host = Arrays(a=SMALL)
    with pytest.raises(VerbError, match="Tried returned int; expected an array, a DataFrame, text, ROIs"):
        perform(made(fails), {"image": "a"}, host)
    assert host.given == []


def test_a_call_that_was_cancelled_does_not_begin():
    call = Call()
    call.stop.set()
    nothing.got = None
    with pytest.raises(Cancelled):
        perform(made(nothing), {"cells": "a", "image": "a"}, Arrays(a=SMALL), call)
    assert nothing.got is None


def test_what_a_verb_tells_reaches_its_caller():
    def tells(call: Call, image: Image) -> str:
        call.say("now")
        call.progress(1, 3)
        return f"{call.cancelled()}"

    told = []
    call = Call(lambda *steps: told.append(steps), told.append, lambda: True)
    host = Arrays(a=SMALL)
    with pytest.raises(Cancelled):
        perform(made(tells), {"image": "a"}, host, call)
    perform(made(tells), {"image": "a"}, host, Call(lambda *steps: told.append(steps), told.append))
    assert told == ["now", (1, 3)]
    assert host.given == [Say("False")]


def test_a_script_of_version_0_1_calls_with_old_names():
    """Groovy scripts that were installed then send what their dialogs named."""
    from fijibridge.verbs import verb_named

    cells = as_image(np.kron([[1, 2], [3, 4]], np.ones((12, 12), int)), name="cells")
    given = {"true": "a", "predicted": "a", "thresh": "0.5", "threshold": "0.5", "width": "2", "region": "", "prob": ""}
    with pytest.warns(RenamedWarning) as caught:
        old = perform(verb_named("show_errors"), given, Arrays(a=cells))
    assert [str(warning.message).split(" of ")[0] for warning in caught] == ["the option threshold", "the option width"]
    new = {"true": "a", "predicted": "a", "membrane_width": 2}
    for one, other in zip(old, perform(verb_named("show_errors"), new, Arrays(a=cells)), strict=True):
        assert str(one) == str(other)
