"""The single file on a machine with a C library and a shell, and nothing else: no Python, no programs."""

from __future__ import annotations

import fcntl
import io
import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.client import Client
from tests.containers import engines
from tests.server_process import ServerProcess

from .programs import PATIENCE, SHELL_SUITE, Programs
from .test_forms import number_lines

IMAGE = f"{engines.IMAGE}-bare"


@pytest.fixture(scope="module")
def engine(programs: Programs) -> Iterator[engines.Engine]:
    """Podman with an image of a shell, what it needs of the C library, and the program."""
    with tempfile.TemporaryDirectory(prefix="rpw-", ignore_cleanup_errors=True) as folder:
        engine = engines.find("podman", Path(folder))
        imported = engine.call("import", "-", IMAGE, data=bare_root(programs))
        assert imported.returncode == 0, imported.stderr
        yield engine
        engine.call("rmi", "--force", IMAGE, engines.IMAGE)


def bare_root(programs: Programs) -> bytes:
    done = subprocess.run(["ldd", "/bin/sh"], capture_output=True, text=True, check=True)
    libraries = [each for each in done.stdout.split() if each.startswith("/")]
    files = {each: Path(each) for each in ("/bin/sh", *libraries)}
    files["/bin/rpw-fixture"] = programs.file
    for name in ("worker.sh", "suite.toml", "src/first.txt", "src/second.txt"):
        files[f"/shell/{name}"] = SHELL_SUITE / name
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("dev", "etc", "proc", "sys", "tmp"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if folder == "tmp" else 0o755
            tar.addfile(entry)
        for path, source in files.items():
            entry = tarfile.TarInfo(path.lstrip("/"))
            content = source.read_bytes()
            entry.size, entry.mode = len(content), 0o755
            tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def inside(engine: engines.Engine) -> Iterator[list[str]]:
    """Starts the program in a container of the host's network; arguments follow."""
    with (Path(tempfile.gettempdir()) / "rpw_fixture-engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        options = ["--rm", "--network=host", *engine.run_arguments]
        yield [engine.program, *engine.global_arguments, "run", *options, IMAGE, "/bin/rpw-fixture"]


def call(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_demo(inside: list[str]) -> None:
    assert "worker 2  no, started" in call([*inside, "demo"])


def test_check_of_a_shell_script(inside: list[str]) -> None:
    report = json.loads(call([*inside, "check", "/shell/suite.toml", "--format", "json"]))
    assert not [each for each in report["findings"] if each["severity"] == "error"]
    assert {each["code"] for each in report["checks"] if each["status"] == "passed"} >= {"RPW202"}


def test_what_is_missing_is_named(inside: list[str]) -> None:
    facts = json.loads(call([*inside, "doctor", "--format", "json"]))
    assert "single file" in facts["rpw_fixture"]
    assert (facts["java"], facts["node"]) == ("not found", "not found")


def test_serve_with_a_client_outside(inside: list[str]) -> None:
    serve = [*inside, "serve", "--listen", "127.0.0.1:0"]
    with ServerProcess(command=serve) as server, Client(server.endpoint) as client:
        outcomes = [client.run(number_lines(each)) for each in ("first", "second")]
    assert outcomes[1].outputs["second.numbered"] == b"  1  three\n"
    assert outcomes[0].worker == outcomes[1].worker
