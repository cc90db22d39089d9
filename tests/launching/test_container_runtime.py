"""What a container engine is asked, and what its answers mean; the engine is made up."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpw_fixture.config import Config
from rpw_fixture.errors import Code, EnvironmentLacksError, RequestError
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching import container_runtime, containers
from rpw_fixture.launching.container_runtime import ContainerRuntime, RuntimeAnswer, why_unavailable
from rpw_fixture.launching.containers import Containers, is_abandoned, server_identity
from rpw_fixture.launching.launch import Launch
from rpw_fixture.processes.spawner import Spawner, StartError


class Engine:
    """Answers of an engine, by the first words of what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.patience: list[float] = []
        self.answers: dict[str, RuntimeAnswer] = {}
        self.error: RequestError | None = None

    def answer(self, words: str, stdout: str = "", *, status: int = 0, stderr: str = "") -> None:
        self.answers[words] = RuntimeAnswer(status=status, stdout=stdout, stderr=stderr)

    def ask(self, *arguments: str, patience: float = 30.0) -> RuntimeAnswer:
        if self.error is not None:
            raise self.error
        self.asked.append(arguments)
        self.patience.append(patience)
        words = " ".join(arguments)
        found = [each for key, each in self.answers.items() if words.startswith(key)]
        return found[0] if found else RuntimeAnswer(status=0, stdout="", stderr="")


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    made = Engine()
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(ContainerRuntime, "ask", lambda _, *words, **how: made.ask(*words, **how))
    return made


def runtime(*arguments: str) -> ContainerRuntime:
    spawner: Any = None
    return ContainerRuntime("engine", arguments, spawner)


def test_a_program_that_is_not_there_is_named_with_its_option() -> None:
    spawner: Any = None
    with pytest.raises(EnvironmentLacksError, match=r"^--container-runtime no-such-engine: not fo"):
        ContainerRuntime("no-such-engine", (), spawner)
    assert why_unavailable("no-such-engine", spawner).startswith("--container-runtime no-such-eng")


def test_an_engine_is_available_when_it_answers(engine: Engine) -> None:
    spawner: Any = None
    assert why_unavailable("engine", spawner) == ""
    assert engine.asked == [("ps", "--quiet")]
    engine.answer("ps", status=1, stderr="a warning\n\nno daemon\n")
    assert why_unavailable("engine", spawner) == "no daemon"
    engine.error = RequestError(Code.UNAVAILABLE, "did not end")
    assert why_unavailable("engine", spawner) == "did not end"


@pytest.mark.parametrize(
    ("stderr", "text"),
    [("", "exit status 7"), (" \n", "exit status 7"), ("a\nb\n", "b"), ("x" * 2000, "x" * 1000)],
)
def test_the_last_line_of_stderr_names_the_error(stderr: str, text: str) -> None:
    assert RuntimeAnswer(status=7, stdout="", stderr=stderr).error_text == text


def test_options_come_before_the_subcommand(engine: Engine, tmp_path: Path) -> None:
    assert engine.asked == []
    command = runtime("--root=/x", "-v").command("ps", "--all")
    assert command == [str(tmp_path / "engine"), "--root=/x", "-v", "ps", "--all"]


@pytest.mark.parametrize(
    ("uid", "version", "info", "expected"),
    [
        (0, "Docker version 27", "", ("--user=0:5",)),
        (0, "podman version 5", "", ("--user=0:5",)),
        (7, "podman version 5", "", ("--userns=keep-id", "--user=7:5")),
        (7, "Podman Engine", "", ("--userns=keep-id", "--user=7:5")),
        (7, "Docker version 27", "[name=rootless]", ("--user=0:0",)),
        (7, "Docker version 27", "[name=seccomp]", ("--user=7:5",)),
    ],
)
def test_files_belong_to_this_user(
    uid: int,
    version: str,
    info: str,
    expected: tuple[str, ...],
    engine: Engine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(container_runtime.os, "geteuid", lambda: uid)
    monkeypatch.setattr(container_runtime.os, "getegid", lambda: 5)
    engine.answer("--version", version)
    engine.answer("info", info)
    made = runtime()
    assert made.user_options == expected
    count = len(engine.asked)
    assert (made.user_options, len(engine.asked)) == (expected, count)


def test_an_image_is_fetched_when_it_is_not_there(engine: Engine) -> None:
    made = runtime()
    made.provide("image:1")
    assert engine.asked == [("image", "inspect", "--format={{.Id}}", "image:1")]
    engine.answer("image inspect", status=1)
    made.provide("image:1")
    assert engine.asked[-1] == ("pull", "--quiet", "image:1")
    assert engine.patience[-1] == 600.0
    engine.answer("pull", status=125, stderr="no such image\n")
    with pytest.raises(RequestError, match="image:1 can't be fetched: no such image") as found:
        made.provide("image:1")
    assert found.value.code is Code.FAILED_PRECONDITION


@pytest.mark.parametrize(
    ("version", "value"), [("podman", 'index .Labels "rpw_fixture"'), ("", '.Label "rpw_fixture"')]
)
def test_containers_are_listed_with_their_servers(version: str, value: str, engine: Engine) -> None:
    engine.answer("--version", version)
    engine.answer("ps", "one server-1\ntwo server-2\nthree\n\nfour with blanks\n")
    assert runtime().containers() == {"one": "server-1", "two": "server-2"}
    listing = engine.asked[-1]
    assert listing[:3] == ("ps", "--all", f"--filter=label={container_runtime.LABEL}")
    assert value.replace("rpw_fixture", container_runtime.LABEL) in listing[3]
    assert listing[3].startswith("--format={{.Names}} {{")


def test_containers_are_removed_together(engine: Engine) -> None:
    runtime().remove([])
    assert engine.asked == []
    runtime().remove(["a", "b"])
    assert engine.asked == [("rm", "--force", "--volumes", "a", "b")]


# --- the program itself ---


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    with Spawner() as made:
        yield made


def test_a_subcommand_is_run_to_its_end(spawner: Spawner, tmp_path: Path) -> None:
    program = tmp_path / "engine"
    program.write_text('#!/bin/sh\necho "$@"; printf "\\377" >&2; cat; pwd; exit 3\n')
    program.chmod(0o755)
    answer = ContainerRuntime(str(program), ("-x",), spawner).ask("ps", "a b")
    assert (answer.status, answer.stdout, answer.stderr) == (3, "-x ps a b\n/\n", "\ufffd")


def test_a_program_that_does_not_end_or_start_is_unavailable(
    spawner: Spawner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\nsleep 60\n")
    program.chmod(0o755)
    made = ContainerRuntime(str(program), (), spawner)
    with pytest.raises(RequestError, match="engine ps --all did not end within 0 s") as found:
        made.ask("ps", "--all", "--more", patience=0.01)
    assert found.value.code is Code.UNAVAILABLE

    def fail(**_: object) -> None:
        raise StartError(2, "cannot start engine", stage="executable")

    monkeypatch.setattr(spawner, "spawn", fail)
    with pytest.raises(RequestError, match="cannot start engine") as found:
        made.ask("ps")
    assert found.value.code is Code.UNAVAILABLE


# --- containers of servers ---


class Spawning:
    """A spawner that notes what it is to start."""

    def __init__(self) -> None:
        self.started: list[dict[str, Any]] = []

    def spawn(self, **how: Any) -> str:
        self.started.append(how)
        return "process"


def launched(made: Containers, image: str = "image:1") -> None:
    command = Launch(
        argv=("tool",),
        environment={},
        root="/root",
        container=(("container-image", f"docker://{image}"),),
        purpose="worker 1",
    )
    assert made.launch(command, stdin=0, stdout=1, stderr=2) == "process"  # type: ignore[comparison-overlap]


@pytest.fixture
def make(engine: Engine) -> Callable[[], tuple[Containers, Spawning, EventLog]]:
    def make() -> tuple[Containers, Spawning, EventLog]:
        spawning: Any = Spawning()
        log = EventLog()
        assert engine is not None
        return Containers(Config(container_runtime="engine"), log, spawning, {}), spawning, log

    return make


Make = Callable[[], tuple[Containers, Spawning, EventLog]]


def test_what_dead_servers_left_is_removed_before_the_first_container(
    make: Make, engine: Engine
) -> None:
    mine = server_identity()
    machine = mine.partition("-")[0]
    engine.answer("ps", f"alive {mine}-1\ndead {machine}-{2**22 + 1}-5-1\nelse other-1-2-3\n")
    made, spawning, log = make()
    launched(made)
    launched(made)
    removals = [each for each in engine.asked if each[0] == "rm"]
    assert removals == [("rm", "--force", "--volumes", "dead")]
    assert [each[0] for each in engine.asked].count("image") == 1
    names = [each["teardown"][-1] for each in spawning.started]
    assert names == [f"rpw_fixture-{made._server}-{number}" for number in (1, 2)]
    assert all(
        each["teardown"][1:-1] == ["rm", "--force", "--volumes"] for each in spawning.started
    )
    assert all(name in each["argv"] or f"--name={name}" in each["argv"]
               for name, each in zip(names, spawning.started, strict=True))  # fmt: skip
    assert [(each.container, each.image, each.purpose) for each in log.snapshot()] == [  # type: ignore[attr-defined]
        (name, "image:1", "worker 1") for name in names
    ]


def test_only_a_server_that_had_containers_looks_for_them_at_its_end(
    make: Make, engine: Engine
) -> None:
    made, *_ = make()
    made.close()
    assert engine.asked == []
    launched(made)
    engine.answer("ps", f"mine {made._server}\nother {made._server}0\n")
    made.close()
    assert engine.asked[-1] == ("rm", "--force", "--volumes", "mine")


def test_an_engine_that_does_not_list_containers_starts_them_all_the_same(
    make: Make, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: ContainerRuntime) -> dict[str, str]:
        raise RequestError(Code.UNAVAILABLE, "x")

    monkeypatch.setattr(ContainerRuntime, "containers", fail)
    made, spawning, _ = make()
    launched(made)
    made.close()
    assert len(spawning.started) == 1
    assert not [each for each in engine.asked if each[0] == "rm"]


def test_an_image_that_could_not_be_fetched_is_fetched_again(make: Make, engine: Engine) -> None:
    engine.answer("image", status=1)
    engine.answer("pull", status=1)
    made, spawning, _ = make()
    for _ in range(2):
        with pytest.raises(RequestError, match="can't be fetched"):
            launched(made)
    assert spawning.started == []
    engine.answer("pull")
    launched(made)
    launched(made, "image:2")
    assert [each[-1] for each in engine.asked if each[0] == "pull"] == ["image:1"] * 3 + ["image:2"]


def test_a_server_is_abandoned_when_it_is_known_to_be_dead() -> None:
    mine = server_identity()
    machine, pid, began = mine.split("-")
    assert pid == str(os.getpid())
    assert int(began) == int(psutil.Process().create_time())
    gone = next(n for n in range(2**22, 1, -1) if not psutil.pid_exists(n))
    for name, expected in {
        f"{mine}-1": False,
        f"{machine}-{pid}-{int(began) + 2}-1": False,  # as if the clock had been set
        f"{machine}-{pid}-{int(began) + 4}-1": True,
        f"{machine}-{pid}-{int(began) - 4}-1": True,
        f"{machine}-{gone}-{began}-1": True,
        f"elsewhere-{gone}-{began}-1": False,
        f"{machine}-{gone}-{began}": False,
        f"{machine}-{gone}-{began}-1-1": False,
        f"{machine}-{gone}-x-1": False,
        machine: False,
        "": False,
    }.items():
        assert is_abandoned(name) is expected, name


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_machine_is_named_by_its_host_and_its_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    number = os.stat("/proc/self/ns/pid").st_ino  # noqa: PTH116 - as the module reads it
    for host, name in (("a-b.c", "abc"), ("...", "host")):
        monkeypatch.setattr(containers.socket, "gethostname", lambda host=host: host)
        assert containers._machine() == f"{name}.{number}"

    def fail(_: str) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(containers.os, "stat", fail)
    assert containers._machine() == "host.0"
