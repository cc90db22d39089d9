"""What isolated processes can't see, can't touch, and can still do."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.config import Config
from rpw_fixture.config.choices import IsolationKind
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import IsolationDegraded
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching import isolation, landlock, namespaces
from rpw_fixture.launching.launch import Launcher, Local
from rpw_fixture.processes.spawner import SetupStep, Spawner

from .isolated_programs import PYTHON, Place, Running, run

KINDS = (IsolationKind.LANDLOCK, IsolationKind.NAMESPACES)
WORKERS = Path(__file__).parents[2] / "sample_workers" / "python"

# Tries one thing after the other, and prints what came of each as JSON.
TRY = """
import json, os, socket, sys
def attempt(what, *arguments):
    try:
        result = {"read": read, "write": write, "list": os.listdir, "chmod": os.chmod,
                  "connect": connect, "signal": os.kill}[what](*arguments)
        return "done" if result is None else result
    except OSError as error:
        return type(error).__name__
def read(path):
    with open(path) as file: return file.read(100)
def write(path):
    with open(path, "w") as file: file.write("written")
def connect(host, port):
    socket.create_connection((host, port), timeout=5).close()
print(json.dumps([attempt(*each) for each in json.loads(sys.argv[1])]))
"""
# A server that dies when its process has reported that its daemon runs.
SERVER = """
import os, signal, sys
from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching import isolation
from rpw_fixture.launching.launch import Launch
from rpw_fixture.processes.spawner import Spawner
kind, folder, script = sys.argv[1:]
reading, writing = os.pipe()
command = Launch(argv=(sys.executable, "-I", "-S", "-c", script, "stay"), environment={},
                 root=folder + "/own/root", private=folder + "/own/private")
with isolation.launching(Config(isolation=kind), EventLog(), Spawner()) as launcher:
    process = launcher.launch(command, stdin=0, stdout=writing, stderr=1)
    os.read(reading, 100)
    os.kill(os.getpid(), signal.SIGKILL)
"""
POLITE = """
import os, signal
def end(*_):
    os.write(1, b"asked\\n")
    os._exit(7)
signal.signal(signal.SIGTERM, end)
os.write(1, b"up\\n")
while True: signal.pause()
"""
# Starts a daemon in a separate session, reports it, and continues or ends.
DAEMON = """
import os, signal, sys
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(1, b"daemon\\n")
        os.write(tell, b".")
        while True: signal.pause()
    os._exit(0)
os.wait()
os.read(ready, 1)
if sys.argv[1] == "stay":
    while True: signal.pause()
"""


def attempt(launcher: Launcher, place: Place, *what: tuple[Any, ...], **others: Any) -> list[Any]:
    command = place.launch(*PYTHON, TRY, json.dumps(what), **others)
    output, ended = run(launcher, command)
    assert ended.status == 0, output
    return json.loads(output)


def require(kind: IsolationKind, spawner: Spawner) -> None:
    obstacle = isolation.why_unavailable(kind, spawner)
    if not obstacle:
        return
    if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
        pytest.fail(f"{kind}: {obstacle}; RPW_FIXTURE_REQUIRE_INTEROP=1 demands it", pytrace=False)
    pytest.skip(f"{kind}: {obstacle}")


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    with Spawner() as spawner:
        yield spawner


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def launching(spawner: Spawner) -> Iterator[Callable[..., Launcher]]:
    """Makes the launcher of a server with these settings, where the machine permits it."""

    def make(kind: str, **settings: Any) -> Launcher:
        require(kind, spawner)
        made = isolation.launching(Config(isolation=kind, **settings), EventLog(), spawner)
        with made as launcher:
            return launcher

    return make


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_action_did_not_declare_can_not_be_read(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    home, neighbour = os.path.expanduser("~"), str(place.folder / "neighbour")  # noqa: PTH111
    found = attempt(
        launching(kind),
        place,
        ("read", "/etc/hostname"),
        ("read", f"{neighbour}/secret.txt"),
        ("read", f"../../../{place.folder.name}/neighbour/secret.txt"),
        ("read", f"{home}/.bashrc"),
        ("write", f"{neighbour}/new.txt"),
        ("write", "/usr/new.txt"),
    )
    refused = {"PermissionError", "FileNotFoundError", "OSError"}
    assert set(found) <= refused
    assert [each.name for each in Path(neighbour).iterdir()] == ["secret.txt"]


def test_landlock_answers_permission_denied(
    launching: Callable[..., Launcher], place: Place
) -> None:
    found = attempt(
        launching("landlock"), place, ("read", "/etc/hostname"), ("list", str(place.folder))
    )
    assert found == ["PermissionError", "PermissionError"]


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_are_read_and_outputs_written(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    found = attempt(launching(kind), place, ("read", "input.txt"), ("write", "output.txt"))
    assert found == ["declared", "done"]
    output = place.root / "output.txt"
    assert output.read_text() == "written"
    assert output.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("kind", KINDS)
def test_an_input_can_not_be_written_even_by_root(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    assert attempt(launching(kind), place, ("write", "input.txt")) == ["PermissionError"]
    assert (place.root / "input.txt").read_text() == "declared"


@pytest.mark.parametrize("kind", KINDS)
def test_each_process_has_a_private_home_and_temporary_folder(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    script = (
        "import os\nfor each in ('HOME', 'TMPDIR'):\n print(os.environ[each], "
        "os.listdir(os.environ[each]))\n open(os.environ[each] + '/mine', 'w').close()"
    )
    launcher = launching(kind)
    outputs = [
        run(launcher, place.launch(*PYTHON, script, private=name, environment={"HOME": "/"}))[0]
        for name in ("one", "two")
    ]
    own = place.folder / "own"
    assert outputs == [f"{own}/{each}/home []\n{own}/{each}/tmp []\n" for each in ("one", "two")]


@pytest.mark.parametrize("kind", KINDS)
def test_the_system_is_there(kind: str, launching: Callable[..., Launcher], place: Place) -> None:
    script = "echo $PWD | cat; date >/dev/null && head -c1 /dev/urandom | wc -c; id -un"
    command = place.launch(
        "/bin/sh", "-euc", script, environment={"PATH": "/usr/local/bin:/usr/bin:/bin"}
    )
    output, ended = run(launching(kind), command)
    assert ended.status == 0, output
    assert output.splitlines()[:2] == [str(place.root), "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_that_the_config_names_can_be_read(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    neighbour = place.folder / "neighbour"
    launcher = launching(kind, isolation_readable=(str(neighbour),))
    found = attempt(
        launcher,
        place,
        ("read", f"{neighbour}/secret.txt"),
        ("write", f"{neighbour}/secret.txt"),
    )
    assert found[0] == "undeclared"
    assert found[1] in {"PermissionError", "OSError"}


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_can_not_be_signalled(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    launcher = launching(kind)
    if kind == "landlock" and landlock.landlock_step.version() < 6:
        pytest.skip("this kernel's Landlock does not know signals (Linux 6.12 and later do)")
    found = attempt(launcher, place, ("signal", os.getpid(), 0))
    assert found[0] in {"PermissionError", "ProcessLookupError"}


def test_namespaces_have_no_network_but_their_own_loopback(
    launching: Callable[..., Launcher], place: Place
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = server.getsockname()[1]
        found = attempt(
            launching("namespaces"),
            place,
            ("connect", "192.0.2.1", 80),
            ("connect", "127.0.0.1", here),
        )
    assert found == ["OSError", "ConnectionRefusedError"]


def test_namespaces_hide_all_other_processes(
    launching: Callable[..., Launcher], place: Place
) -> None:
    (entries,) = attempt(launching("namespaces"), place, ("list", "/proc"))
    assert sorted(each for each in entries if each.isdigit()) == ["1", "2"]


def test_namespaces_hide_everything_that_is_not_named(
    launching: Callable[..., Launcher], place: Place
) -> None:
    listings = attempt(launching("namespaces"), place, ("list", str(place.folder)), ("list", "/"))
    assert listings[0] == ["own"]
    assert "home" not in listings[1]


@pytest.mark.parametrize("kind", KINDS)
def test_exit_status_and_signal_are_reported(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    launcher = launching(kind)
    outcomes = [
        run(launcher, place.launch("/bin/sh", "-c", script))[1].status
        for script in ("exit 0", "exit 3", "kill -KILL $$", "kill -SEGV $$", "kill -TERM $$")
    ]
    assert outcomes == [0, 3, -signal.SIGKILL, -signal.SIGSEGV, -signal.SIGTERM]


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_can_end_itself_in_order_when_asked_to(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    with Running(launching(kind), place.launch(*PYTHON, POLITE)) as running:
        assert running.read() == b"up\n"
        running.process.terminate()
        assert running.read_all() == b"asked\n"
        assert running.ended().status == 7


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["end", "stay"])
def test_nothing_that_it_started_outlives_it(
    way: str, kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    with Running(launching(kind), place.launch(*PYTHON, DAEMON, way)) as running:
        assert running.read() == b"daemon\n"
        if way == "stay":
            running.process.kill_tree()
        running.ended()
        assert running.read_all() == b""  # the daemon held the other end


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_it_outlives_a_killed_server(kind: str, spawner: Spawner, place: Place) -> None:
    require(kind, spawner)
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, kind, str(place.folder), DAEMON],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert server.stdout.read() == b""  # ends with the last process that holds it


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_is_not_there_is_reported_as_such(
    kind: str, launching: Callable[..., Launcher], place: Place
) -> None:
    with pytest.raises(FileNotFoundError, match="nothing-here"):
        run(launching(kind), place.launch("./nothing-here"))


def test_limits_reach_the_process(launching: Callable[..., Launcher], place: Place) -> None:
    launcher = launching("none", limits=("nofile=77", "core=0"))
    output, _ = run(launcher, place.launch("/bin/sh", "-c", "ulimit -n; ulimit -c"))
    assert output == "77\n0\n"


@pytest.mark.parametrize(
    ("limit", "message"), [("nofile", "NAME=N"), ("nofile=many", "NAME=N"), ("=3", "NAME=N")]
)
def test_a_limit_that_can_not_be_read_is_refused(limit: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Config(limits=(limit,))


def test_a_limit_that_this_system_does_not_have_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError, match="nofile"):
        isolation.resource_limits(("bananas=3",))


@pytest.mark.parametrize(
    ("wanted", "missing", "got"),
    [
        ("namespaces", {"namespaces"}, "landlock"),
        ("namespaces", {"namespaces", "landlock"}, "none"),
        ("landlock", {"landlock"}, "none"),
        ("none", {"landlock", "namespaces"}, None),
    ],
)
def test_isolation_that_is_missing_is_replaced_and_that_is_reported(
    wanted: str,
    missing: set[str],
    got: str | None,
    spawner: Spawner,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(
        landlock, "why_unavailable", lambda: "too old" if "landlock" in missing else ""
    )
    monkeypatch.setattr(
        namespaces, "why_unavailable", lambda _: "forbidden" if "namespaces" in missing else ""
    )
    log = EventLog()
    with isolation.launching(Config(isolation=wanted), log, spawner):
        told = log.of(IsolationDegraded)
    assert [(each.wanted, each.got) for each in told] == ([(wanted, got)] if got else [])
    assert [record.levelname for record in caplog.records] == (["WARNING"] if got else [])
    if got:
        assert "forbidden" in told[0].reason or "too old" in told[0].reason


def test_why_there_are_no_namespaces_is_found_by_trying(
    spawner: Spawner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "step.py"
    broken.write_text("def enter(plan): raise OSError(1, 'unshare: Operation not permitted')")
    monkeypatch.setattr(namespaces.namespaces_step, "__file__", str(broken))
    assert "unshare: Operation not permitted" in namespaces.why_unavailable(spawner)


@pytest.mark.parametrize(
    ("version", "gaps"),
    [
        (1, ["truncating", "signals", "Unix sockets by path"]),
        (3, ["signals", "Unix sockets by path"]),
        (6, ["Unix sockets by path"]),
        (9, []),
        (12, []),
    ],
)
def test_what_an_older_landlock_leaves_open_is_named(
    version: int, gaps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landlock.landlock_step, "version", lambda: version)
    found = landlock.find_gaps()
    assert len(found) == len(gaps)
    assert all(gap in text for gap, text in zip(gaps, found, strict=True))


def test_a_step_that_fails_starts_nothing(spawner: Spawner, place: Place, tmp_path: Path) -> None:
    (tmp_path / "step.py").write_text("def refuse(argument): raise OSError(1, argument)")
    step = SetupStep(file=str(tmp_path / "step.py"), function="refuse", argument="not today")
    with pytest.raises(Exception, match="not today"):
        run(Local(spawner), place.launch("/bin/true", steps=(step,)))


def compile_action(name: str, **others: Any) -> Action:
    tools: Mapping[str, Any] = {
        f"tools/{each}": WORKERS / each for each in ("good.py", "rpw_worker.py")
    }
    return Action(
        arguments=(sys.executable, "tools/good.py"),
        flagfile=("--in", f"src/{name}.txt", "--out", f"out/{name}.txt"),
        flagfile_path=f"{name}.params",
        tool_inputs=tools,
        inputs={f"src/{name}.txt": name},
        outputs=(f"out/{name}.txt",),
        **others,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_is_reused_behind_isolation(kind: str, spawner: Spawner) -> None:
    require(kind, spawner)
    with Server(isolation=kind) as server:
        outcomes = [server.run(compile_action(name, worker_key="k")) for name in ("one", "two")]
        alone = server.run(compile_action("three"))
        assert [each.reused for each in outcomes] == [False, True]
        assert outcomes[1].outputs["out/two.txt"].startswith(b"TWO\n")
        assert alone.outputs["out/three.txt"].startswith(b"THREE\n")
        assert not server.events.of(IsolationDegraded)


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_can_not_read_what_is_not_in_its_input_root(kind: str, spawner: Spawner) -> None:
    require(kind, spawner)
    spying = compile_action("one", worker_key="k").with_flagfile(
        "--in", "/etc/hostname", "--out", "out/one.txt"
    )
    with Server(isolation=kind) as server:
        refused = server.run(spying, check=False)
        served = server.run(compile_action("two", worker_key="k"))
    assert refused.exit_code == 1
    assert "/etc/hostname" in refused.stderr.decode()
    assert served.reused
