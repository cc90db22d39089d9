"""`assert_hermetic` and the marker ``rpw_check``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from rpw_fixture import Action, ConfigError
from rpw_fixture.hermeticity import assertion
from rpw_fixture.hermeticity.check import Options
from rpw_fixture.hermeticity.findings import codes
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.hermeticity.suites.suite import Suite
from rpw_fixture.server import Server

WORKERS = Path(__file__).parents[2] / "sample_workers" / "python"

CARRIER = (
    "  carried by function default compile_files(headers) (tools/leaky.py:25): [] → ['SECRET'], "
    "changed at tools/leaky.py:30"
)
APPROVED = """RPW202 state-leak: //pkg:b after //pkg:a
{carrier}
  error: after //pkg:a, //pkg:b gives a different result than in a fresh worker
    polluters: //pkg:a
    outputs: out/b.txt
    out/b.txt:
      --- fresh worker
      +++ after the polluters
      @@ -1,2 +1,3 @@
      +SECRET
       TEXT OF B
      -sha256 7b4e922b43852977ffd617197b5259845272347471977fe9036dc7182f055d4e
      +sha256 31f324f36798dc26b97b10b39c5fc6e9c09f74eec78b120719f9c6b654a714a6
    reproducer: {folder}/01-RPW202-__pkg_b
RPW202 state-leak: //pkg:a after //pkg:a
{carrier}
  error: after //pkg:a, //pkg:a gives a different result than in a fresh worker
    polluters: //pkg:a
    outputs: out/a.txt
    out/a.txt:
      --- fresh worker
      +++ after the polluters
      @@ -1,3 +1,4 @@
      +SECRET
       SECRET
       TEXT OF A
      -sha256 7dedfbb48b920e290bdfc8c636c675e6d003697fa16fced82b1e4a37b1e4c332
      +sha256 79f85e3fce6a876858419f623f7538336c44447c9100f13c798873d5bf667725
    reproducer: {folder}/02-RPW202-__pkg_a
  Fix: Keep no state between requests, or use the content as its key; the polluters show which state.
  See: https://github.com/rpw-fixture/rpw_fixture/blob/main/docs/checks/RPW202.md"""


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


def test_a_leak_is_reported_with_victim_polluter_difference_and_reproducer(
    rpw_server: Server, tmp_path: Path
) -> None:
    rpw_server.run(compile_action("leaky.py", "a", "--header", "SECRET"))
    rpw_server.run(compile_action("leaky.py", "b"))
    with pytest.raises(AssertionError) as caught:
        rpw_server.assert_hermetic(select="RPW202", reproducers=tmp_path)
    approved, _, figures = str(caught.value).rpartition("\n\n")
    assert approved == APPROVED.format(folder=tmp_path, carrier=CARRIER)
    assert figures.startswith("2 errors; 0 of 1 check passed, 1 failed on 2 actions, with ")
    assert (tmp_path / "01-RPW202-__pkg_b" / "suite.toml").exists()


def test_pytest_gives_reproducers_a_folder(rpw_server: Server) -> None:
    with pytest.raises(AssertionError) as caught:
        rpw_server.assert_hermetic(
            compile_action("leaky.py", "a", "--header", "SECRET"),
            compile_action("leaky.py", "b"),
            select="RPW202",
        )
    folders = re.findall("reproducer: (.*)", str(caught.value))
    assert folders
    assert all(Path(folder, "suite.toml").exists() for folder in folders)


def test_given_actions_are_checked_without_running_them_on_the_server(rpw_server: Server) -> None:
    actions = compile_action("good.py", "a"), compile_action("good.py", "b")
    rpw_server.assert_hermetic(*actions, select="RPW202")
    assert not rpw_server.actions


def test_outcomes_stand_for_their_actions(
    rpw_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Suite] = []

    def noted(suite: Suite, _options: Options) -> Report:
        seen.append(suite)
        return Report(actions=1, checks=(), findings=())

    monkeypatch.setattr(assertion, "check", noted)
    outcome = rpw_server.run(compile_action("good.py", "a"))
    rpw_server.assert_hermetic(outcome, compile_action("good.py", "b"))
    assert [each.name for suite in seen for each in suite.actions] == ["//pkg:a", "//pkg:b"]
    with pytest.raises(TypeError, match="is not an Action or an ActionOutcome"):
        rpw_server.assert_hermetic("a")  # type: ignore[arg-type]


def test_nothing_to_check_is_wrong_use(rpw_server: Server) -> None:
    rpw_server.run(compile_action("good.py", "a").with_worker_key(None))
    with pytest.raises(ConfigError, match="no action to check"):
        rpw_server.assert_hermetic()


def test_an_unknown_code_is_wrong_use(rpw_server: Server) -> None:
    with pytest.raises(ConfigError, match="RPW999"):
        rpw_server.assert_hermetic(compile_action("good.py", "a"), select="RPW999")


def test_the_everyday_checks_leave_out_what_takes_long(
    rpw_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[frozenset[str]] = []
    monkeypatch.setattr(assertion, "check", lambda _suite, options: _note(seen, options))
    action = compile_action("good.py", "a")
    rpw_server.assert_hermetic(action)
    rpw_server.assert_hermetic(action, select="RPW")
    rpw_server.assert_hermetic(action, ignore="RPW1")
    everyday, everything, some = seen
    assert everything == frozenset(CODES)
    assert everything - everyday == codes.expand("RPW207,RPW208,RPW209,RPW3")
    assert everyday - some == codes.expand("RPW1")


def _note(seen: list[frozenset[str]], options: Options) -> Report:
    seen.append(options.selected)
    return Report(actions=1, checks=(), findings=())
