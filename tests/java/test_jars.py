"""Jars of Maven coordinates."""

from __future__ import annotations

from fijibridge.java.jars import is_cached


def test_what_was_resolved_before(tmp_path, monkeypatch):
    """A jar of a like name is not the one asked for."""
    monkeypatch.setattr("scyjava.config._cache_dir", tmp_path)
    jars = tmp_path / "envs" / "net" / "imagej" / "imagej" / "0123" / "jars"
    jars.mkdir(parents=True)
    (jars / "imagej-common-2.1.jar").touch()
    assert not is_cached(["net.imagej:imagej"])
    (jars / "imagej-2.17.0.jar").touch()
    assert is_cached(["net.imagej:imagej"])
    assert is_cached(["net.imagej:imagej:2.17.0"])
    assert not is_cached(["net.imagej:imagej:2.16.0"])
    assert not is_cached(["net.imagej:imagej", "net.preibisch:BigStitcher"])
