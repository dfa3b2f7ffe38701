from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fijibridge.dataset.patterns import Pattern, checked

WORDS = st.text("abcXYZ019-", min_size=1, max_size=8)
NUMBERS = st.integers(0, 9999).map(str)


@given(name=st.text("ab_1.-", min_size=1, max_size=12), t=NUMBERS, z=NUMBERS, c=st.text("abc1", min_size=1, max_size=4))
def test_a_filled_pattern_gives_its_values_back(name, t, z, c):
    pattern = Pattern("raw/{name}_T{t}Z{z}_{c}.tif")
    values = {"name": name, "t": t, "z": z, "c": c}
    assert pattern.match(pattern.fill(values)) == values


@given(text=st.text("ab*{}[]()+.?\\^$|/:~\0", max_size=30))
def test_any_text_is_a_safe_pattern_or_refused(text):
    try:
        checked(text)
    except ValueError:
        return
    assert not text.startswith(("/", "~"))
    assert "\\" not in text
    Pattern(text).match("ab")  # is read without an error


def test_a_star_is_the_name_and_a_name_can_be_repeated():
    assert Pattern("*_image.png").match("a_b_image.png") == {"name": "a_b"}
    pattern = Pattern("{name}/{name}_image.png")
    assert pattern.match("a/a_image.png") == {"name": "a"}
    assert pattern.match("a/b_image.png") is None
    assert Pattern("*.tif").match("folder/a.tif") is None


def test_what_has_a_meaning_elsewhere_is_only_a_character_here(tmp_path):
    for name in ("a[1]+(b).tif", "a1+(b).tif", "aa.tif"):
        (tmp_path / name).touch()
    assert [path.name for _, path in Pattern("*[1]+(b).tif").find(tmp_path)] == ["a[1]+(b).tif"]


def test_the_place_in_a_file():
    pattern = Pattern("{name}.h5:/volumes/raw")
    assert pattern.key == "/volumes/raw"
    assert pattern.match("a.h5") == {"name": "a"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("../{name}.tif", "leaves the folder"),
        ("a/../../{name}.tif", "leaves the folder"),
        ("/etc/{name}", "leaves the folder"),
        ("~/{name}", "leaves the folder"),
        ("C:/{name}.tif", "leaves the folder"),
        ("C:{name}.tif", "leaves the folder"),
        ("a\\..\\{name}.tif", "backslash"),
        ("{name}.h5:/a/../../b", "leaves the folder"),
        ("{name}.h5:/{name}", "after the ':'"),
        ("{name}{z}.tif", "nothing separates {name} and {z}"),
        ("{name}_{t}{z}.tif", "nothing separates {t} and {z}"),
        ("{name}_{t}0{z}.tif", "nothing separates {t} and {z}"),
        ("{name}_{tile}_{tile_y}.tif", "not both"),
        ("{name}_{q}.tif", "unknown placeholder {q}; expected {name}, {t}"),
        ("", "expected 1 to 1000"),
        ("a" * 2000 + "*", "expected 1 to 1000"),
    ],
)
def test_patterns_that_are_refused(text, words):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        checked(text)
    assert words in str(caught.value)


@pytest.mark.timeout(60)
def test_no_name_of_a_file_takes_long():
    """Matched without care, these would run for years: the test would not end."""
    pattern = Pattern(checked("{name}_{t}x{z}x{c}_{tile_y}x{tile_x}Q"))
    assert pattern.match("1_" * 127) is None
    assert pattern.match("1x" * 127) is None
    assert pattern.match("_1x1x1_1x1" * 25) is None


def test_links_that_lead_round_are_not_entered(tmp_path):
    (tmp_path / "p").symlink_to(tmp_path)
    (tmp_path / "real").mkdir()
    for place in (tmp_path, tmp_path / "real"):
        (place / "a.tif").touch()
    found = [path for _, path in Pattern("{source}/{name}.tif", ("source", "name")).find(tmp_path)]
    assert found == [tmp_path / "real" / "a.tif"]
    with pytest.raises(ValueError, match="more than 8 folders"):
        checked("*/" + "p/" * 8 + "a.tif")
