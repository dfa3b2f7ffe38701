from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.jvm
def test_the_python_session_of_the_readme_runs(python, tmp_path):
    """All Python blocks, one after the other, as somebody types them; in a folder of its own."""
    blocks = re.findall(r"```python[^\n]*\n(.*?)```", README, re.DOTALL)
    assert blocks
    session = f"import os\nos.chdir({str(tmp_path)!r})\n" + "\n".join(blocks)
    done = python(session, timeout=300, DISPLAY=None)
    assert "evl_01" in done.stdout
    assert "total" in done.stdout
    assert (tmp_path / "runs" / "evl" / "model.safetensors").is_file()


def test_toml_block_is_a_valid_description(tmp_path):
    import tomllib

    from fijibridge.dataset import Description

    (block,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert Description.model_validate(tomllib.loads(block)).split.test == ("15", "18")


def test_the_commands_of_the_readme_exist():
    """Each verb and option that the README names is one of the command line."""
    from typer.main import get_command

    from fijibridge.app.cli import app

    commands = get_command(app).commands
    lines = [line for line in README.splitlines() if line.startswith("fijibridge ")]
    assert len(lines) == 4
    patterns = re.search(r'^P="(.*)"$', README, re.MULTILINE).group(1)
    for line in lines:
        verb = line.split()[1]
        options = {o for p in commands[verb].params for o in p.opts}
        for option in re.findall(r"(--[\w-]+)", line.replace("$P", patterns)):
            assert option in options, (verb, option)


def test_ci_runs_the_test_command_of_the_readme():
    (block,) = re.findall(r"<!-- tests -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert block.strip().endswith(".venv/bin/pytest")
    assert "<!-- tests -->" in (ROOT / ".ci" / "run").read_text()
