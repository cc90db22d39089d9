"""The judgements that need no worker: growth, strace's records, code lists, keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rpw_fixture.client.inputs import File
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.checks.input_changes import variants
from rpw_fixture.hermeticity.checks.resources import LIMITS, is_growing, theil_sen
from rpw_fixture.hermeticity.checks.undeclared_access import accesses
from rpw_fixture.hermeticity.checks.worker_keys import find_churn, find_collisions
from rpw_fixture.hermeticity.findings import codes
from rpw_fixture.hermeticity.suites.recording import RecordedAction
from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker

MEMORY = LIMITS["memory"]


@given(st.floats(-100, 100), st.integers(2, 40))
def test_the_slope_of_a_line_is_its_slope(slope: float, count: int) -> None:
    assert theil_sen([slope * x for x in range(count)]) == pytest.approx(slope)


def test_a_burst_does_not_move_the_slope() -> None:
    assert theil_sen([0.0] * 40 + [1e9] * 3 + [0.0] * 40) == 0


def test_steady_growth_is_found_and_growth_that_ends_is_not() -> None:
    assert is_growing([each * 20_000.0 for each in range(80)], MEMORY)
    assert not is_growing([min(each, 30) * 100_000.0 for each in range(80)], MEMORY)
    assert not is_growing([each * 1_000.0 for each in range(80)], MEMORY)


def test_strace_records_are_read_relative_to_their_folders() -> None:
    text = """\
7 openat(AT_FDCWD</run/r/root>, "src/a.txt", O_RDONLY) = 3</run/r/root/src/a.txt>
7 openat(AT_FDCWD</run/r/root>, "/home/me/style.txt", O_RDONLY) = 3</home/me/style.txt>
7 openat(AT_FDCWD</run/r/root>, "/home/me/gone.txt", O_RDONLY) = -1 ENOENT (No such file)
7 openat(AT_FDCWD</run/r/root>, "/usr/lib/x.so", O_RDONLY|O_CLOEXEC) = 3</usr/lib/x.so>
7 openat(5</var/cache>, "log", O_WRONLY|O_CREAT, 0666) = 3</var/cache/log>
7 unlink("/home/me/old") = 0
7 stat("/home/me/x", {st_mode=S_IFREG}) = 0
7 openat(AT_FDCWD</run/r/root>, "/run", O_RDONLY|O_DIRECTORY) = 3</run>
"""
    found = accesses(text, readable=("/usr",), inside="/run/r")
    assert found.read == ("/home/me/style.txt",)
    assert found.written == ("/var/cache/log", "/home/me/old")


@given(st.binary(min_size=1, max_size=200))
def test_variants_have_the_size_and_are_no_copies(content: bytes) -> None:
    for each in variants(content):
        assert len(each) == len(content)
        assert each != content


def test_an_empty_input_has_no_variants() -> None:
    assert variants(b"") == []


def test_prefixes_name_groups_of_codes() -> None:
    assert codes.expand("RPW3, rpw401") == {"RPW301", "RPW302", "RPW303", "RPW304", "RPW401"}
    with pytest.raises(ConfigError):
        codes.expand("RPW2,")


def recorded(name: str, key: str, tool: str, *command: str) -> RecordedAction:
    worker = SuiteWorker(command=("tool", *command), tool_inputs={"tool": File(tool.encode())})
    action = SuiteAction(name=name, arguments=())
    return RecordedAction(
        mnemonic="Compile", target=name, key=key, pool=key, worker=worker, action=action
    )


def test_one_key_for_different_tools_is_a_collision() -> None:
    actions = [recorded("a", "k", "1"), recorded("b", "k", "2"), recorded("c", "k", "2")]
    (finding,) = find_collisions(actions)
    assert (finding.victim, finding.polluters) == ("b", ("a",))
    assert "tool" in finding.summary


def test_a_new_key_for_a_new_tool_is_no_collision() -> None:
    assert list(find_collisions([recorded("a", "k", "1"), recorded("b", "l", "2")])) == []


def test_a_key_for_each_action_is_churn_and_what_differs_is_named() -> None:
    actions = [recorded(name, f"key {name}", "1", f"--target={name}") for name in "abcdef"]
    (finding,) = find_churn(actions)
    assert "startup argument '--target=a' or '--target=b'" in finding.evidence


def test_a_key_for_many_actions_is_no_churn() -> None:
    assert list(find_churn([recorded(name, "k", "1") for name in "abcdef"])) == []
