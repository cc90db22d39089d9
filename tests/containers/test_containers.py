"""Actions and workers in real containers: what they see, and that nothing is left of them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.client import Client
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.events.kinds import ActionRouted, ContainerStarted
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching import container_runtime, containers
from rpw_fixture.launching.containers import Containers
from rpw_fixture.launching.launch import Launch
from rpw_fixture.processes.spawner import Spawner
from tests.server_process import ServerProcess
from tests.waiting import until

from .engines import IMAGE, PATIENCE, Engine

# A JSON worker in the shell's own words: for OUT=path it writes there which request this is. Argument
# "crash" ends it, and "hang" never answers the request.
WORKER = """
count=0
while IFS= read -r request; do
    count=$((count + 1))
    case $request in
        *crash*) echo "crashing" >&2; exit 3 ;;
        *hang*) sleep 1000 ;;
    esac
    out=${request#*OUT=}
    echo "request $count" > "${out%%\\"*}"
    printf '{"exitCode": 0, "output": "", "requestId": 0}\\n'
done
"""
IMAGE_PROPERTY = {"container-image": f"docker://{IMAGE}"}


def command(script: str, **others: Any) -> Action:
    platform = {**IMAGE_PROPERTY, **others.pop("platform", {})}
    return Action(arguments=("/bin/sh", "-euc", script), platform=platform, **others)


def request(name: str, *more: str, **others: Any) -> Action:
    return Action(
        arguments=("/bin/sh", "tools/worker.sh"),
        flagfile=(f"OUT=out/{name}", *more),
        flagfile_path=f"{name}.params",
        tool_inputs={"tools/worker.sh": WORKER},
        outputs=(f"out/{name}",),
        platform={**IMAGE_PROPERTY, "dockerReuse": "True"},
        worker_key="shell",
        protocol="json",
        **others,
    )


def test_a_command_runs_in_the_image_and_its_outputs_are_ours(engine: Engine) -> None:
    action = command(
        'cat in.txt; echo "$WORD"; pwd; echo made > out.txt; exit 3',
        inputs={"work/in.txt": "input\n"},
        environment={"WORD": "two\nlines"},
        working_directory="work",
        outputs=("out.txt",),
    )
    with Server(**engine.settings) as server:
        outcome = server.run(action, check=False)
        started = server.events.of(ContainerStarted)
    assert outcome.stdout == b"input\ntwo\nlines\n/rpw_fixture/root/work\n"
    assert outcome.exit_code == 3
    assert outcome.outputs["out.txt"] == b"made\n"
    assert [each.image for each in started] == [IMAGE]
    assert started[0].purpose.startswith("action ")


def test_a_container_has_its_own_files_and_no_network(engine: Engine) -> None:
    action = command("echo /*; while read name rest; do echo $name; done < /proc/net/dev")
    with Server(**engine.settings) as server:
        folders, *interfaces = server.run(action).stdout.decode().splitlines()
    assert "/rpw_fixture" in folders.split()
    assert "/root" not in folders.split()
    assert [each for each in interfaces if each.endswith(":")] == ["lo:"]


def test_outputs_belong_to_the_servers_user(engine: Engine, tmp_path: Path) -> None:
    with Spawner() as spawner, Path(os.devnull).open("r+b") as null:
        server = Server(**engine.settings)
        launcher = Containers(server.config, EventLog(), spawner, {})
        launch = Launch(
            argv=("/bin/sh", "-c", ": > made"),
            environment={},
            root=str(tmp_path),
            container=tuple(IMAGE_PROPERTY.items()),
        )
        descriptors = dict.fromkeys(("stdin", "stdout", "stderr"), null.fileno())
        with launcher.launch(launch, **descriptors) as process:
            ended = process.wait(PATIENCE)
    assert ended is not None
    assert ended.status == 0
    assert (tmp_path / "made").stat().st_uid == os.geteuid()


def test_capabilities_and_limits_are_as_asked(engine: Engine) -> None:
    script = "while read name value; do case $name in CapEff:) echo $value ;; esac; done"
    script = f"{script} < /proc/self/status; ulimit -t"
    dropped = command(script, platform={"dockerDropCapabilities": "CHOWN,CAP_FOWNER"})
    added = command(script, platform={"dockerAddCapabilities": "sys_nice"})
    with Server(**engine.settings, limits=("cpu=77",)) as server:
        masks = [server.run(each).stdout.decode().split() for each in (dropped, added)]
    with_less, with_more = (int(mask, 16) for mask, _ in masks)
    if os.geteuid() == 0:  # others have no capability in effect
        assert with_less & (1 << 0 | 1 << 3) == 0
        assert with_more & (1 << 0 | 1 << 3 | 1 << 23) == 1 << 0 | 1 << 3 | 1 << 23
    assert {limit for _, limit in masks} == {"77"}


def test_a_program_that_is_not_in_the_image_is_reported_as_a_shell_would(engine: Engine) -> None:
    action = command("").with_arguments("no-such-program")
    with Server(**engine.settings) as server:
        outcome = server.run(action, check=False)
    assert outcome.exit_code == 127
    assert b"no-such-program" in outcome.stderr


def test_an_image_that_can_not_be_had_is_named(engine: Engine) -> None:
    action = command(":", platform={"container-image": "localhost:1/no-such-image:1"})
    with Server(**engine.settings) as server:
        outcome = server.run(action, check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert "localhost:1/no-such-image:1 can't be fetched" in outcome.message


def test_a_worker_in_a_container_is_reused(engine: Engine) -> None:
    names = ("one", "two", "three")
    with Server(**engine.settings) as server:
        outcomes = {name: server.run(request(name)) for name in names}
        alive = engine.containers()
        started = [each.container for each in server.events.of(ContainerStarted)]
    assert [each.reused for each in outcomes.values()] == [False, True, True]
    outputs = [each.outputs[f"out/{name}"] for name, each in outcomes.items()]
    assert outputs == [b"request 1\n", b"request 2\n", b"request 3\n"]
    assert alive == started
    assert len(alive) == 1


def test_without_docker_reuse_each_action_has_a_separate_container(engine: Engine) -> None:
    action = request("one").replace(platform={**IMAGE_PROPERTY, "persistentWorkerKey": "shell"})
    with Server(**engine.settings) as server:
        server.run(action, check=False)
        assert "dockerReuse" in server.events.of(ActionRouted)[0].reason
        assert not engine.containers()


def test_nothing_is_left_of_a_worker_that_crashed(engine: Engine) -> None:
    with Server(**engine.settings) as server:
        failed = server.run(request("one", "crash"), check=False)
        assert not engine.containers()
        served = server.run(request("two"))
    assert failed.status == "FAILED_PRECONDITION"
    assert "exit status 3" in failed.message
    assert "crashing" in failed.message
    assert not served.reused


@pytest.mark.parametrize("make", [lambda: request("one", "hang"), lambda: command("sleep 1000")])
def test_nothing_is_left_when_the_time_is_up(make: Callable[[], Action], engine: Engine) -> None:
    with Server(**engine.settings) as server:
        server.run(request("warm"))
        outcome = server.run(make().replace(timeout=1.0), check=False)
        assert outcome.status == "DEADLINE_EXCEEDED"
        assert len(engine.containers()) <= 1  # of the worker that was not asked


def test_a_worker_gets_every_byte_and_the_end_of_its_input(engine: Engine, tmp_path: Path) -> None:
    server = Server(**engine.settings)
    launch = Launch(
        argv=("/bin/cat",),
        environment={},
        root=str(tmp_path),
        container=tuple(IMAGE_PROPERTY.items()),
    )
    stdin, stdout = os.pipe(), os.pipe()
    said = b"before \x10\x11 after\n"  # what detaches a client at a terminal
    try:
        with Spawner() as spawner:
            launcher = Containers(server.config, EventLog(), spawner, {})
            with launcher.launch(launch, stdin=stdin[0], stdout=stdout[1], stderr=2) as process:
                os.write(stdin[1], said)
                assert os.read(stdout[0], 100) == said
                os.close(stdin[1])
                ended = process.wait(PATIENCE)
    finally:
        for each in (stdin[0], *stdout):
            os.close(each)
    assert ended is not None
    assert ended.status == 0


def test_nothing_is_left_when_the_server_is_killed(engine: Engine) -> None:
    with Serving(engine) as serving:
        serving.client.run(request("one"))
        assert len(engine.containers()) == 1
        serving.kill()
        until(lambda: not engine.containers())


def test_a_worker_in_a_container_ends_even_when_the_spawner_is_killed_as_well(
    engine: Engine,
) -> None:
    with Serving(engine) as serving:
        serving.client.run(request("one"))
        (spawner,) = psutil.Process(serving.pid).children()
        spawner.suspend()  # it sees nothing of what follows
        serving.kill()
        spawner.kill()
        until(lambda: not engine.containers())


def test_containers_of_a_dead_server_are_removed_by_the_next_one(engine: Engine) -> None:
    ended = subprocess.Popen(["/bin/true"])
    ended.wait()
    machine, pid, began = containers.server_identity().split("-")
    owners = {
        "dead": f"{machine}-{ended.pid}-{began}-1",
        "older": f"{machine}-{pid}-{int(began) - 60}-1",
        "alive": f"{machine}-{pid}-{began}-1",
        "elsewhere": f"another.1-{ended.pid}-{began}-1",
    }
    for name, owner in owners.items():
        label = f"--label=rpw_fixture.server={owner}"
        made = engine.call("create", f"--name=rpw_fixture-{name}", label, IMAGE, "/bin/sh")
        assert made.returncode == 0, made.stderr
    with Server(**engine.settings) as server:
        server.run(command(":"))
        left = engine.containers()
    removed = engine.call("rm", "--force", *left)
    assert removed.returncode == 0, removed.stderr
    assert sorted(left) == ["rpw_fixture-alive", "rpw_fixture-elsewhere"]


def test_what_keeps_an_engine_from_answering_is_reported(tmp_path: Path) -> None:
    broken = tmp_path / "docker"
    broken.write_text("#!/bin/sh\necho trying >&2\necho is the daemon running? >&2\nexit 1\n")
    broken.chmod(0o755)
    with Spawner() as spawner:
        assert container_runtime.why_unavailable(str(broken), spawner) == "is the daemon running?"
        assert "not found" in container_runtime.why_unavailable(f"{broken}-not", spawner)
        assert container_runtime.why_unavailable("/bin/true", spawner) == ""


def test_a_runtime_that_is_not_there_is_named() -> None:
    server = Server(allow_docker=True, container_runtime="no-such-runtime")
    with pytest.raises(EnvironmentLacksError, match="no-such-runtime"):
        server.start()


class Serving(ServerProcess):
    """A server that runs containers, and a client of it."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(
            "--allow-docker",
            f"--container-runtime={engine.program}",
            *(f"--container-global-argument={each}" for each in engine.global_arguments),
            *(f"--container-argument={each}" for each in engine.run_arguments),
        )
        self.client = Client(self.endpoint)

    def close(self) -> None:
        """Ends both."""
        self.client.close()
        super().close()
