import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.suites.from_actions import suites
from tests.hermeticity.samples import source

TOOLS = {
    f"tools/{name}": source(name).read_bytes() for name in ("leaky.py", "good.py", "rpw_worker.py")
}


def compilation(name: str) -> Action:
    return Action(
        arguments=["python3", "tools/leaky.py"],
        flagfile=["--in", f"src/{name}.txt", "--out", f"out/{name}.txt", "--header", name],
        inputs={f"src/{name}.txt": f"text of {name}\n"},
        tool_inputs=TOOLS,
        outputs=[f"out/{name}.txt"],
        worker_key="key",
    )


def test_actions_of_one_worker_make_one_suite_and_equal_ones_count_once() -> None:
    (suite,) = suites([compilation("a"), compilation("b"), compilation("a")])
    assert [each.name for each in suite.actions] == ["out/a.txt", "out/b.txt"]


def test_another_tool_makes_another_suite() -> None:
    other = compilation("b").with_tool_input("tools/good.py", "changed")
    assert len(suites([compilation("a"), other])) == 2


def test_a_leak_among_actions_is_found() -> None:
    (suite,) = suites([compilation("a"), compilation("b")])
    report = check(suite, Options(selected=frozenset({"RPW202"}), locates=False))
    assert [(each.victim, each.polluters) for each in report.findings] == [
        ("out/b.txt", ("out/a.txt",)),
        ("out/a.txt", ("out/b.txt",)),
    ]


def test_an_unknown_protocol_is_refused_as_the_server_refuses_it() -> None:
    wrong = compilation("a").replace(protocol="xml")
    with pytest.raises(ConfigError, match="action 2: protocol is 'xml'; allowed: proto and json"):
        suites([compilation("b"), wrong])
