"""The Java worker compiles to the same bytes every time and remembers nothing of the user's."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING

import pytest

from .driver import Worker, run_once
from .encodings import Proto, Request, Response
from .requirements import require_program
from .workspace import SAMPLES

if TYPE_CHECKING:
    from pathlib import Path

LIBRARY = "package lib; public class Lib { public static int answer() { return 42; } }\n"
USER = "package app; public class App { int x = lib.Lib.answer(); }\n"
COMPILE_LIBRARY = ("--output", "lib.jar", "lib/Lib.java")
COMPILE_USER = ("--output", "app.jar", "--classpath", "lib.jar", "app/App.java")


@pytest.fixture(scope="session")
def worker_jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_program("javac")
    jar = tmp_path_factory.mktemp("java") / "javac_worker.jar"
    subprocess.run([sys.executable, SAMPLES / "java" / "build.py", jar], check=True)
    return jar


@pytest.fixture
def command(worker_jar: Path) -> list[str]:
    # Without performance data, because the JVM keeps that in /tmp.
    options = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1")
    return [require_program("java"), *options, "-jar", str(worker_jar)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    write(folder, "lib/Lib.java", LIBRARY)
    write(folder, "app/App.java", USER)
    return folder


def write(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_sources_become_a_jar_that_the_next_request_compiles_against(
    command: list[str], root: Path
) -> None:
    with Worker(command, Proto(), root) as worker:
        assert worker.ask(*COMPILE_LIBRARY, unknown=True) == Response()
        assert worker.ask(*COMPILE_USER, inputs={"lib.jar": b"12"}) == Response()
        assert worker.finish() == 0
    assert zipfile.ZipFile(root / "app.jar").namelist() == ["META-INF/MANIFEST.MF", "app/App.class"]


def test_warm_cold_and_one_shot_jars_are_the_same_bytes(command: list[str], root: Path) -> None:
    write(root, "p", "\n".join(COMPILE_LIBRARY))
    environment = {**os.environ, "TZ": "Asia/Tokyo"}
    assert run_once([*command, "@p"], root, environment).returncode == 0
    one_shot = (root / "lib.jar").read_bytes()
    with Worker(command, Proto(), root) as worker:
        for _ in range(2):
            (root / "lib.jar").unlink()
            assert worker.ask("@p") == Response()
            assert (root / "lib.jar").read_bytes() == one_shot


def test_compile_errors_are_the_response_and_the_next_request_is_fine(
    command: list[str], root: Path
) -> None:
    write(root, "Bad.java", "class Bad {\n  int x = nothing;\n}\n")
    write(root, "bad.jar", "left by an earlier build")
    with Worker(command, Proto(), root) as worker:
        response = worker.ask("--output", "bad.jar", "Bad.java", request_id=9)
        assert (response.exit_code, response.request_id) == (1, 9)
        assert response.output.startswith("Bad.java:2: error: cannot find symbol")
        assert not (root / "bad.jar").exists()
        assert worker.ask(*COMPILE_LIBRARY) == Response()
    one_shot = run_once([*command, "--output", "bad.jar", "Bad.java"], root)
    assert (one_shot.returncode, one_shot.stderr.decode()) == (1, response.output)


def test_a_class_path_jar_is_read_anew_for_every_request(command: list[str], root: Path) -> None:
    jar = root / "lib.jar"
    with Worker(command, Proto(), root) as worker:
        worker.ask(*COMPILE_LIBRARY)
        os.utime(jar, (0, 0))
        assert worker.ask(*COMPILE_USER).exit_code == 0
        size = jar.stat().st_size
        write(root, "lib/Lib.java", LIBRARY.replace("answer", "advice"))
        worker.ask(*COMPILE_LIBRARY)
        os.utime(jar, (0, 0))
        assert abs(jar.stat().st_size - size) < 8
        assert "cannot find symbol" in worker.ask(*COMPILE_USER).output
        jar.unlink()
        assert worker.ask(*COMPILE_USER) == Response(exit_code=1, output="lib.jar: no such file\n")


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (("--output", "x.jar", "None.java"), "None.java: no such file\n"),
        (("--output", "x.jar", "--classpath", "p.txt"), "p.txt: zip END header not found\n"),
        (("lib/Lib.java",), "--output is missing\n"),
        (("--output",), "--output: its value is missing\n"),
        (("--nonsense", "x"), "--nonsense: unknown option\n"),
        # A source path would stay in the file manager that the next request uses.
        (("--output", "x.jar", "--javacopt", "-sourcepath"), "error: invalid flag: -sourcepath\n"),
    ],
)
def test_a_wrong_request_is_explained_in_its_response(
    command: list[str], root: Path, arguments: tuple[str, ...], output: str
) -> None:
    write(root, "p.txt", "no jar")
    with Worker(command, Proto(), root) as worker:
        assert worker.ask(*arguments) == Response(exit_code=1, output=output)


def test_a_request_may_come_one_byte_at_a_time(command: list[str], root: Path) -> None:
    with Worker(command, Proto(), root) as worker:
        for byte in Proto().encode(Request(arguments=COMPILE_LIBRARY, unknown=True)):
            worker.send_bytes(bytes([byte]))
        assert worker.receive() == Response()


def test_stdin_that_ends_inside_a_request_is_an_error(command: list[str], root: Path) -> None:
    with Worker(command, Proto(), root) as worker:
        worker.send_bytes(b"\x20only the start")
        assert worker.finish() == 1
        assert "stdin ended" in worker.stderr


def test_overlapping_requests_in_sandboxes_do_not_meet(command: list[str], root: Path) -> None:
    versions = range(1, 9)
    for number in versions:
        write(root, f"box{number}/lib/Lib.java", LIBRARY.replace("42", str(number)))
    with Worker([*command, "--multiplex"], Proto(), root) as worker:
        for number in versions:
            worker.send(*COMPILE_LIBRARY, request_id=number, sandbox_dir=f"box{number}")
        answered = sorted(worker.receive().request_id for _ in versions)
        assert answered == list(versions)
        overlapped = {(root / f"box{number}/lib.jar").read_bytes() for number in versions}
        assert len(overlapped) == len(versions)
        assert worker.ask(*COMPILE_LIBRARY, request_id=99, sandbox_dir="box3") == Response(
            request_id=99
        )
        assert (root / "box3/lib.jar").read_bytes() in overlapped
        assert worker.finish() == 0


def test_a_diagnostic_holds_no_sandbox_path(command: list[str], root: Path) -> None:
    (root / "box").mkdir()
    with Worker([*command, "--multiplex"], Proto(), root) as worker:
        response = worker.ask("--output", "x.jar", "A.java", request_id=1, sandbox_dir="box")
    assert response == Response(exit_code=1, output="A.java: no such file\n", request_id=1)


def test_a_cancelled_request_is_answered_once_and_writes_nothing(
    command: list[str], root: Path
) -> None:
    os.mkfifo(root / "Slow.java")  # a reader waits until a process writes
    with Worker([*command, "--multiplex"], Proto(), root) as worker:
        worker.send("--output", "slow.jar", "Slow.java", request_id=1)
        with (root / "Slow.java").open("w") as source:
            worker.send(cancel=True, request_id=1)
            # Answered after the cancel was read, since stdin is read in order.
            assert worker.ask(*COMPILE_LIBRARY, request_id=2) == Response(request_id=2)
            source.write("class Slow {}\n")
        assert worker.receive() == Response(request_id=1, was_cancelled=True)
        worker.send(cancel=True, request_id=1)
        assert worker.ask(*COMPILE_LIBRARY, request_id=1) == Response(request_id=1)
    assert not (root / "slow.jar").exists()


def test_the_build_is_reproducible(worker_jar: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.jar"
    subprocess.run([sys.executable, SAMPLES / "java" / "build.py", again], check=True)
    assert again.read_bytes() == worker_jar.read_bytes()


def test_the_build_says_when_there_is_no_jdk(tmp_path: Path) -> None:
    command = [sys.executable, str(SAMPLES / "java" / "build.py"), str(tmp_path / "x.jar")]
    done = run_once(command, tmp_path, {"PATH": str(tmp_path)})
    assert done.returncode == 3
    assert b"set JAVA_HOME" in done.stderr
