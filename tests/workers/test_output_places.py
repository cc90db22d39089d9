"""Outputs of worker actions that lie beside the working directory, in every kind of exec root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rpw_fixture.action import Action
from rpw_fixture.pytest_plugin import MakeServer

from .support import MULTIPLEX, SANDBOX, action
from .test_scenarios_of_files import tools_for

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
