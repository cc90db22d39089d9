"""`assert_hermetic` and the marker ``rpw_check``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rpw_fixture import Action, ConfigError
from rpw_fixture.server import Server

WORKERS = Path(__file__).parents[2] / "sample_workers" / "python"


def compile_action(script: str, name: str, *extra: str) -> Action:
    tools = dict.fromkeys(("rpw_worker.py", "good.py", script))
    return Action(
        arguments=[sys.executable, f"tools/{script}"],
        flagfile=["--in", f"{name}.txt", "--out", f"out/{name}.txt", *extra],
        tool_inputs={f"tools/{each}": WORKERS / each for each in tools},
        inputs={f"{name}.txt": f"text of {name}\n"},
        outputs=[f"out/{name}.txt"],
        worker_key="key",
        target=f"//pkg:{name}",
    )


def test_a_good_worker_passes(rpw_server: Server) -> None:
    rpw_server.run(compile_action("good.py", "a", "--header", "A"))
    rpw_server.run(compile_action("good.py", "b"))
    rpw_server.assert_hermetic(select="RPW201,RPW202")


def test_a_leak_is_told_with_victim_and_polluter(rpw_server: Server) -> None:
    rpw_server.run(compile_action("leaky.py", "a", "--header", "SECRET"))
    rpw_server.run(compile_action("leaky.py", "b"))
    with pytest.raises(AssertionError) as caught:
        rpw_server.assert_hermetic(select="RPW202")
    text = str(caught.value)
    assert "RPW202" in text
    assert "//pkg:b" in text
    assert "//pkg:a" in text
    assert "+SECRET" in text


def test_given_actions_are_checked_without_running_them_on_the_server(rpw_server: Server) -> None:
    actions = compile_action("good.py", "a"), compile_action("good.py", "b")
    rpw_server.assert_hermetic(*actions, select="RPW202")
    assert not rpw_server.actions


def test_nothing_to_check_is_wrong_use(rpw_server: Server) -> None:
    rpw_server.run(compile_action("good.py", "a").with_worker_key(None))
    with pytest.raises(ConfigError, match="no action to check"):
        rpw_server.assert_hermetic()


def test_an_unknown_code_is_wrong_use(rpw_server: Server) -> None:
    with pytest.raises(ConfigError, match="RPW999"):
        rpw_server.assert_hermetic(compile_action("good.py", "a"), select="RPW999")
