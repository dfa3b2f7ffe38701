from __future__ import annotations

from dataclasses import replace

from fijibridge.dataset import Finding, together


def test_what_is_the_same_is_told_once():
    findings = [Finding("note", f"i{n}", f"i{n}.tif", f"{n} of {n + 2} ids", "-") for n in range(5)]
    (one,) = together(findings)
    assert (one.item, one.what) == ("i0, i1, i2 ... (5 in all)", "0 to 4 of 2 to 6 ids")
    assert [(f.item, f.what) for f in together(findings[:2])] == [("i0, i1", "0 to 1 of 2 to 3 ids")]
    problems = [replace(f, severity="problem") for f in findings]
    assert together(problems[:3]) == problems[:3]
    assert len(together(problems)) == 1
