from __future__ import annotations

import numpy as np
import pytest

from fijibridge import machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
    """A /sys/fs/cgroup of our own, and a process that is in the group a/b."""

    def make(kind: str, **limits: dict[str, int | str]):
        lines = {"v1": "4:memory:/a/b\n1:cpu:/", "v2": "0::/a/b"}[kind]
        (tmp_path / "cgroup").write_text(lines)
        for folder, files in limits.items():
            place = tmp_path / "sys" / ("memory" if kind == "v1" else "") / {"root": "", "a": "a", "b": "a/b"}[folder]
            place.mkdir(parents=True, exist_ok=True)
            for name, value in files.items():
                (place / name.replace("_dot_", ".")).write_text(f"{value}\n")

    real = machine.Path
    monkeypatch.setattr(machine, "_CGROUPS", tmp_path / "sys")
    monkeypatch.setattr(machine, "Path", lambda p: tmp_path / "cgroup" if p == "/proc/self/cgroup" else real(p))
    return make


def test_what_a_container_has_left(groups):
    groups("v2", b={"memory.max": 500, "memory.current": 300, "memory.stat": "anon 100\ninactive_file 50"})
    assert machine.available_memory() == 250
    assert machine.total_memory() == 500


def test_a_parent_may_have_the_tighter_limit(groups):
    groups("v2", b={"memory.max": "max", "memory.current": 10}, a={"memory.max": 90, "memory.current": 20})
    assert machine.available_memory() == 70


def test_the_older_kind(groups):
    groups(
        "v1", b={"memory.limit_in_bytes": 700, "memory.usage_in_bytes": 400, "memory.stat": "total_inactive_file 100"},
        root={"memory.limit_in_bytes": 9223372036854771712},
    )  # fmt: skip
    assert machine.available_memory() == 400


def test_a_full_container_has_nothing_left(groups):
    groups("v2", b={"memory.max": 100, "memory.current": 200})
    assert machine.available_memory() == 0


def test_without_limits_it_is_the_machine_s(groups):
    groups("v2", b={"memory.max": "max"})
    assert machine.available_memory() > 10 * 2**20
    assert machine.total_memory() >= machine.available_memory()


def test_peak():
    machine.release_memory()
    with machine.PeakMemory() as watch:
        block = np.ones(16 * 2**20)
        del block
    if watch.growth is None:
        pytest.skip("this system does not say what a process has in memory")
    assert 100 * 2**20 < watch.growth < 300 * 2**20


def test_a_peak_is_at_least_what_it_began_with():
    with machine.PeakMemory() as watch:
        pass
    assert watch.growth is None or watch.growth >= 0
