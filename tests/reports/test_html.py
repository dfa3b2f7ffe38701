from __future__ import annotations

import numpy as np
import pandas as pd

from fijibridge.reports import html
from fijibridge.reports.html import Section


def test_a_page_has_its_sections_in_order_and_leaves_out_what_is_not_needed(tmp_path):
    table = pd.DataFrame({"setting": ["<b>"], "value": [0.5]})
    sections = [
        Section("run/settings", "Two & more", lambda report: {"table": report, "first": "setting"}),
        Section("run/data", "One", lambda report: {"table": report, "first": "setting"}),
        Section("run/environment", "None", lambda report: {}, lambda report: len(report) > 1),
    ]
    html.write_page(tmp_path / "page.html", "A <title>", sections, table, lead="1 > 0")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>A &lt;title&gt;</h1>" in page
    assert "1 &gt; 0; fijibridge" in page
    assert page.index('<h2 id="settings">Two &amp; more</h2>') < page.index('<h2 id="data">One</h2>')
    assert '<h2 id="environment">' not in page
    assert page.count('<td class="name">&lt;b&gt;</td>') == 2, "the templates escape what they show"
    assert page.count("<td>0.5000</td>") == 2


def test_pictures_are_inside_the_page():
    uri = html.inline(np.array([[0.0, 2.0]]))
    assert uri.startswith("data:image/png;base64,")
    assert html.inline_all({"a": np.array([[0.0, 2.0]])}) == {"a": uri}
