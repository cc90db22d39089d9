"""Outputs of worker actions that lie beside the working directory, in every kind of exec root."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.cli import main
from rpw_fixture.client.action import Action
from rpw_fixture.pytest_plugin import MakeServer

from .test_scenarios_of_files import tools_for
from .worker_actions import MULTIPLEX, SANDBOX, action, tools_of

FOLDER = "a/b/c"
WRITES = """
    import os.path
    root = os.path.join(getattr(request, 'sandbox_dir', ''), '../../..')
    os.makedirs(f'{root}/a/tree', exist_ok=True)
    for name in ('a/out', 'a/tree/one'):
        with open(f'{root}/{name}', 'w') as file:
            file.write(request.arguments[0])
    return rpw_worker.WorkResponse()
"""
#: Settings of the server and platform properties of the action, for each way inputs are placed.
PLACES: dict[str, tuple[Mapping[str, Any], Mapping[str, str]]] = {
    "private": ({}, {}),
    "kept": ({"personality": "bazel-local"}, {}),
    "shared": ({}, MULTIPLEX),
    "sandboxed": ({}, SANDBOX),
}


def beside(text: str, outputs: list[str], platform: Mapping[str, str]) -> Action:
    """An action with a working directory three deep that writes ``text`` to ``a/out`` and ``a/tree``."""
    tools = tools_for("t.py", WRITES)
    return action(
        "t.py",
        text,
        tool_inputs={f"{FOLDER}/{path}": content for path, content in tools.items()},
        working_directory=FOLDER,
        outputs=outputs,
        platform=platform,
    )


@pytest.mark.parametrize("place", PLACES)
def test_outputs_beside_the_working_directory_are_collected(
    make_rpw_server: MakeServer, place: str
) -> None:
    settings, platform = PLACES[place]
    server = make_rpw_server(**settings)
    actions = [beside(text, ["../../out", "../../tree"], platform) for text in ("1", "2")]
    outcomes = [server.run(each) for each in actions]

    for text, outcome in zip(("1", "2"), outcomes, strict=True):
        content = text.encode()
        assert outcome.outputs == {"../../out": content, "../../tree/one": content}
    server.assert_worker_reused(*actions)


@pytest.mark.parametrize("place", PLACES)
def test_the_whole_input_root_is_an_output_of_two_actions_in_turn(
    make_rpw_server: MakeServer, place: str
) -> None:
    settings, platform = PLACES[place]
    server = make_rpw_server(**settings)
    actions = [beside(text, ["../../.."], platform) for text in ("1", "2")]
    outcomes = [server.run(each) for each in actions]

    assert [each.outputs["../../../a/out"] for each in outcomes] == [b"1", b"2"]
    assert all(f"../../../{FOLDER}/tools/t.py" in each.outputs for each in outcomes)
    server.assert_worker_reused(*actions)


def compiled(text: str) -> Action:
    """An action of the sample compiler whose input, flagfile and output lie beside its folder."""
    return Action(
        arguments=(sys.executable, "tools/good.py"),
        flagfile=("--in", "../in.txt", "--out", "../../out/x.txt"),
        flagfile_path="../my.params",
        working_directory=FOLDER,
        tool_inputs={f"{FOLDER}/{path}": file for path, file in tools_of("good.py").items()},
        inputs={"a/b/in.txt": text},
        outputs=["../../out/x.txt"],
        worker_key="key",
        target=text,
    )


def test_such_actions_can_be_checked_and_recorded(
    make_rpw_server: MakeServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    no_pauses: None,
) -> None:
    server = make_rpw_server(record=str(tmp_path / "recording"))
    outcomes = [server.run(compiled(text)) for text in ("one", "two")]
    selected = "RPW201,RPW202,RPW205,RPW208,RPW211"

    assert [each.outputs["../../out/x.txt"][:3] for each in outcomes] == [b"ONE", b"TWO"]
    server.assert_hermetic(select=selected)
    assert main(["check", str(tmp_path / "recording"), "--select", selected]) == 0
    assert "5 of 5 checks passed on 2 actions" in capsys.readouterr().out
