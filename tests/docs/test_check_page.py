"""docs/check.md is followed to the letter: its suite is written down, its commands are run."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture import Action, Server, cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "check.md").read_text("utf-8")
WORKERS = ROOT / "sample_workers" / "python"
TOOLS = ("good.py", "leaky.py", "rpw_worker.py")
#: What is run here, in the page's order, and with what it ends.
RUN = {
    "check suite.toml --reproducers found": 1,
    "check --explain RPW202": 0,
    "check recording": 1,
    "check recording --select RPW202 --cache-poisoning": 1,
    "check suite.toml --write-baseline accepted.json": 1,
    "check suite.toml --baseline accepted.json": 0,
    "check suite.toml --baseline accepted.json --format github": 0,
    "check suite.toml --baseline accepted.json --format junit --output check.xml": 0,
    "check suite.toml --format github --format sarif=check.sarif --format markdown=summary.md": 1,
}
#: Each takes seconds, and their findings are compared once above.
_FEW = ("--select", "RPW202", "--no-locate")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def commands() -> Iterator[str]:
    for block in blocks("sh"):
        for line in block.replace("\\\n", " ").splitlines():
            yield " ".join(line.removeprefix("python -m rpw_fixture ").split())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_pauses: None) -> Path:
    """The suite as the page has it, and a recording of the same actions."""
    (suite,) = blocks("toml")
    (tmp_path / "suite.toml").write_text(suite)
    (tmp_path / "tools").mkdir()
    (tmp_path / "src").mkdir()
    for name in TOOLS:
        shutil.copy(WORKERS / name, tmp_path / "tools")
    for name in ("hello", "bye"):
        (tmp_path / "src" / f"{name}.txt").write_text(f"{name}\n")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def record(folder: Path) -> None:
    tools = {f"tools/{each}": WORKERS / each for each in TOOLS}
    with Server(record=str(folder / "recording")) as server:
        for name, flags in (("hello", ("--header", "SECRET")), ("bye", ())):
            server.run(
                Action(
                    arguments=[sys.executable, "tools/leaky.py"],
                    flagfile=["--in", f"{name}.txt", "--out", f"out/{name}.txt", *flags],
                    tool_inputs=tools,
                    inputs={f"{name}.txt": f"{name}\n"},
                    outputs=[f"out/{name}.txt"],
                    worker_key="compiler",
                )
            )


def test_every_command_of_the_page_is_run_or_needs_a_server() -> None:
    others = set(commands()) - RUN.keys()
    assert all("--target" in each or "--executor" in each or "--record" in each for each in others)
    assert RUN.keys() <= set(commands())


def test_the_finding_is_as_it_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(shlex.split("check suite.toml --reproducers found --select RPW202")) == 1
    (shown,) = blocks("text")
    assert capsys.readouterr().out.startswith(shown)
    assert (folder / "found/01-RPW202-bye/suite.toml").exists()


def test_the_commands_end_as_the_page_says(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(folder)
    for command, expected in RUN.items():
        words = shlex.split(command)
        few = () if {"--select", "--explain"} & set(words) else _FEW
        assert cli.main([*words, *few]) == expected, command
    said = capsys.readouterr()
    assert "RPW202 state-leak" in said.out
    assert "2 accepted by the baseline" in said.out
    assert (folder / "check.xml").exists()


def test_the_options_of_the_tables_exist() -> None:
    told = set(re.findall(r"`(--[a-z-]+)[ `]", PAGE))
    assert told <= options_of("check") | options_of("serve")


def options_of(command: str) -> set[str]:
    parser = argparse.ArgumentParser()
    importlib.import_module(f"rpw_fixture.cli.{command}").add_arguments(parser)
    return {text for each in parser._actions for text in each.option_strings}
