"""The demo with windows."""

from __future__ import annotations


def test_the_interactive_demo(python, display, tmp_path):
    done = python(
        f"""
        from pathlib import Path
        from fijibridge.app.demo import run_demo
        out = Path({str(tmp_path)!r})
        assert not run_demo(out, "interactive", epochs=1, batches=2, training_images=1, unseen_images=1).passed
        """,
        DISPLAY=display,
        timeout=240,
    )
    assert "interactive" in done.stdout
    assert (tmp_path / "comparison.png").is_file()
