"""The JVM observer alone: every kind of state is named, and right again once it is put back."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.trials import jvm_agent
from rpw_fixture.hermeticity.trials.jvm_agent import AgentError
from rpw_fixture.processes.spawner import Spawner
from tests.sample_workers.requirements import require_program

from .observed_worker import ObservedWorker, leaks, located, observed

SOURCE = Path(__file__).parent / "leaks" / "Leaks.java"
Start = Callable[..., contextlib.AbstractContextManager[ObservedWorker]]
QUICK = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-Xmx64m")

#: For each kind of leak: the kind of place, its name, and the line that sets it first.
STATIC, INSTANCE = "static field", "instance field"
KINDS = {
    "list": (STATIC, "leaks.Leaks.LIST"),
    "map": (STATIC, "leaks.Leaks.MAP"),
    "concurrent": (STATIC, "leaks.Leaks.CONCURRENT"),
    "set": (STATIC, "leaks.Leaks.SET"),
    "queue": (STATIC, "leaks.Leaks.QUEUE"),
    "builder": (STATIC, "leaks.Leaks.BUILDER"),
    "bytes": (STATIC, "leaks.Leaks.BYTES"),
    "array": (STATIC, "leaks.Leaks.ARRAY"),
    "count": (STATIC, "leaks.Leaks.COUNT"),
    "reference": (STATIC, "leaks.Leaks.REFERENCE"),
    "local": (STATIC, "leaks.Leaks.LOCAL.get()"),
    "nested": (STATIC, "leaks.Leaks.OPTIONS.level"),
    "recent": (STATIC, "leaks.Leaks.RECENT"),
    "text": (STATIC, "leaks.Leaks.header"),
    "flag": (STATIC, "leaks.Leaks.isVerbose"),
    "instance": (INSTANCE, "leaks.Leaks.notes"),
    "option": (INSTANCE, "leaks.Leaks.option"),
    "enum": (STATIC, "leaks.Leaks$Mode.FAST.last"),
    "late": (STATIC, "leaks.Leaks$Late.NAMES"),
    "bare": (STATIC, "leaks.Leaks$Bare.last"),
    "property": ("system property", "leak"),
    "locale": ("global", "Locale.getDefault()"),
}


@pytest.fixture(scope="module")
def java() -> str:
    require_program("javac")
    return require_program("java")


@pytest.fixture(scope="module")
def agent(java: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    with Spawner() as spawner:
        return jvm_agent.agent_jar(java, str(tmp_path_factory.mktemp("agent")), spawner)


@pytest.fixture(scope="module")
def classes(java: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("classes")
    command = ("javac", "-J-XX:TieredStopAtLevel=1", "-proc:none", "-d", str(folder), str(SOURCE))
    subprocess.run(command, check=True)
    return folder


@pytest.fixture
def start(java: str, agent: str, classes: Path) -> Start:
    @contextlib.contextmanager
    def started(*, is_tcp: bool = False) -> Iterator[ObservedWorker]:
        variables = {"JAVA_TOOL_OPTIONS": f"-javaagent:{agent}"}
        command = (java, *QUICK, "-cp", ".", "leaks.Leaks")
        with observed(command, variables, classes, is_tcp=is_tcp) as worker:
            yield worker

    return started


def test_each_kind_of_state_is_named_and_put_back(start: Start) -> None:
    lines = SOURCE.read_text("utf-8").splitlines()
    with start(is_tcp=True) as worker:
        assert worker.greeting["runtime"] == "jvm"
        assert worker.greeting["pid"] == worker.process.pid
        assert worker.request("variables", "none") == "none"
        for kind, (place_kind, name) in KINDS.items():
            change = located(worker, kind, name)
            assert change["kind"] == place_kind, kind
            if place_kind in {STATIC, INSTANCE} and kind != "bare":
                file, _, line = change["place"].partition(":")
                assert file == "leaks/Leaks.java"
                field = name.removesuffix(".get()").rpartition(".")[2]
                assert field in lines[int(line) - 1], (kind, change)


def test_without_putting_back_each_of_them_leaks(start: Start) -> None:
    with start() as worker:
        answers = {kind: leaks(worker, kind) for kind in KINDS}
    assert [kind for kind, answer in answers.items() if answer == "two"] == []


def test_what_grows_is_named(start: Start) -> None:
    with start() as worker:
        worker.ask(do="mark", growth=True)
        for number in range(5):
            worker.request("list", f"text{number}")
            worker.request("instance", f"text{number}")
        growing = {each["name"]: each for each in worker.ask(do="growth")["growing"]}
    for name in ("leaks.Leaks.LIST", "leaks.Leaks.notes"):
        assert growing[name]["after"] - growing[name]["before"] == 5
        assert growing[name]["unit"] == "entries"


def test_bad_commands_are_answered(start: Start) -> None:
    with start() as worker:
        assert "unknown command" in worker.ask(do="dance")["error"]
        assert worker.ask(do="changes")["changes"] == []
        assert worker.ask(do="restore", ids=["no"])["failed"] == {"no": "no such change"}
        assert worker.request("list", "one") == "one"


def test_a_runtime_without_a_compiler_is_said(tmp_path: Path) -> None:
    runtime = tmp_path / "jre" / "bin" / "java"
    runtime.parent.mkdir(parents=True)
    runtime.touch()
    with pytest.raises(AgentError, match="has no javac: run the worker with a JDK"):
        jvm_agent.find_compiler(str(runtime))


def test_a_compiler_that_fails_is_said(tmp_path: Path) -> None:
    compiler = tmp_path / "bin" / "javac"
    compiler.parent.mkdir()
    compiler.write_text("#!/bin/sh\necho 'out of order' >&2\nexit 1\n")
    compiler.chmod(0o755)
    with (
        Spawner() as spawner,
        pytest.raises(AgentError, match=r"can.t be compiled with .*javac: out of order"),
    ):
        jvm_agent.agent_jar(str(compiler.with_name("java")), str(tmp_path), spawner)
