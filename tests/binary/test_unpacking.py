"""The single file and the zipapp unpack themselves once, verified, whatever happens meanwhile."""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.server_process import ServerProcess
from tests.waiting import until

from .programs import PATIENCE, Programs, run

LIMIT = 40 << 20
#: Seconds from start to ready: the first time, and how many times the installed package's afterwards.
FIRST, LATER = 2.0, 2.0
LEAST_TRIES, MOST_TRIES = 2, 12


@pytest.fixture(params=["file", "zipapp"])
def command(request: pytest.FixtureRequest, programs: Programs) -> list[str]:
    return programs.command(request.param)


@pytest.fixture
def environment(programs: Programs, tmp_path: Path) -> dict[str, str]:
    """With an empty cache folder."""
    return programs.environment(XDG_CACHE_HOME=str(tmp_path / "cache"))


def generations(tmp_path: Path) -> list[Path]:
    """The unpacked copies."""
    found = (tmp_path / "cache" / "rpw_fixture").glob("*/*.*/")
    return sorted(each for each in found if each.is_dir())


def test_sizes(programs: Programs) -> None:
    assert programs.file.stat().st_size <= LIMIT
    assert programs.zipapp.stat().st_size <= LIMIT


def test_first_starts_at_once_unpack_once(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    started = [
        subprocess.Popen([*command, "--version"], env=environment, stdout=subprocess.PIPE)
        for _ in range(8)
    ]
    outputs = {each.communicate(timeout=PATIENCE)[0] for each in started}
    assert [each.returncode for each in started] == [0] * 8
    assert len(outputs) == 1
    assert len(generations(tmp_path)) == 1


def test_kill_while_unpacking_does_no_harm(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen([*command, "--version"], env=environment) as started:
        until(lambda: generations(tmp_path) or started.poll() is not None)
        started.kill()
    assert started.returncode == -signal.SIGKILL
    (unfinished,) = generations(tmp_path)
    run([*command, "--version"], tmp_path, environment)
    (whole,) = generations(tmp_path)
    assert whole != unfinished


@pytest.mark.parametrize("damage", ["changed", "cut", "removed"])
def test_a_damaged_cache_is_unpacked_again(
    command: list[str], environment: dict[str, str], tmp_path: Path, damage: str
) -> None:
    run([*command, "--version"], tmp_path, environment)
    (damaged,) = generations(tmp_path)
    victim = next(damaged.rglob("cygrpc*.so"))
    times = victim.stat()
    with victim.open("r+b") as file:
        file.seek(12345)
        byte = file.read(1)
        file.seek(12345)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(victim, ns=(times.st_atime_ns, times.st_mtime_ns))
    if damage == "cut":
        os.truncate(victim, 100)
    if damage == "removed":
        victim.unlink()
    done = run([*command, "--version"], tmp_path, environment)
    assert done.stderr == ""
    (repaired,) = generations(tmp_path)
    assert repaired != damaged
    assert next(repaired.rglob("cygrpc*.so")).stat().st_size == times.st_size
    run([*command, "--version"], tmp_path, environment)
    assert generations(tmp_path) == [repaired]


def test_a_copy_in_use_is_not_removed(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    serve = [*command, "serve", "--listen", "127.0.0.1:0"]
    with ServerProcess(command=serve, environment=environment) as server:
        (used,) = generations(tmp_path)
        next(used.rglob("cygrpc*.so")).unlink()
        run([*command, "--version"], tmp_path, environment)
        assert used in generations(tmp_path)
        assert len(generations(tmp_path)) == 2
        assert server.stop() == 0
    next(next(each for each in generations(tmp_path) if each != used).rglob("cygrpc*.so")).unlink()
    run([*command, "--version"], tmp_path, environment)
    assert len(generations(tmp_path)) == 1


@pytest.mark.parametrize("home", [None, "/proc/nowhere", "relative"])
def test_without_a_home_it_uses_the_temporary_folder(
    command: list[str], programs: Programs, tmp_path: Path, home: str | None
) -> None:
    environment = {"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)}
    if home is not None:
        environment["HOME"] = home
    # A server removes what other servers have left in that folder.
    assert "worker 2  no, started" in run([*command, "demo"], tmp_path, environment).stdout
    run([*command, "--version"], tmp_path, environment)
    (cache,) = (each for each in tmp_path.iterdir() if each.name.startswith("rpw-fixture-"))
    assert cache.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a folder to another user")
def test_what_others_can_write_is_not_run(
    command: list[str], environment: dict[str, str], tmp_path: Path
) -> None:
    """The folder of another user, with what looks like an unpacked program, is left alone."""
    run([*command, "--version"], tmp_path, environment)
    (generation,) = generations(tmp_path)
    os.chown(generation.parent, 12345, 12345)
    environment["TMPDIR"] = str(tmp_path)
    run([*command, "--version"], tmp_path, environment)
    assert [each for each in tmp_path.iterdir() if each.name.startswith("rpw-fixture-")]


def test_nowhere_to_unpack_is_said_in_words(programs: Programs, tmp_path: Path) -> None:
    """As another user whom nothing lets write; the message names each place that was tried."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to run as a user who may write nowhere")
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare (Debian: apt-get install util-linux)")
    script = (
        'for each in /tmp /var/tmp /dev/shm; do mount -t tmpfs -o ro none $each; done; exec "$@"'
    )
    file = Path("/opt") / f"rpw-fixture-{os.getpid()}"
    try:
        shutil.copy(programs.file, file)
        inside = ["unshare", "--mount", "sh", "-euc", script, "sh", str(file), "--version"]
        done = run(
            inside, Path("/"), {"PATH": os.environ["PATH"], "HOME": "/proc/none"}, expected=3
        )
    finally:
        file.unlink()
    assert done.stderr.startswith("rpw-fixture: cannot unpack itself anywhere; set XDG_CACHE_HOME")
    assert "/proc/none/.cache/rpw_fixture/file: cannot be created: No such file" in done.stderr


@pytest.mark.parametrize(
    ("form", "damage"), [("file", "cut"), ("file", "changed"), ("zipapp", "changed")]
)
def test_a_damaged_program_says_so(
    programs: Programs, environment: dict[str, str], tmp_path: Path, form: str, damage: str
) -> None:
    """Python itself refuses a zipapp that is cut."""
    command = programs.command(form)
    program = Path(command[-1])
    content = bytearray(program.read_bytes())
    middle = content.find(b"site/grpc/_channel.py") + 1000 if program.suffix else 10_000_000
    content[middle] ^= 1
    damaged = tmp_path / program.name
    damaged.write_bytes(content[:middle] if damage == "cut" else content)
    damaged.chmod(0o755)
    done = run([*command[:-1], str(damaged), "--version"], tmp_path, environment, expected=3)
    assert "is not whole, copy or download it again" in done.stderr
    assert str(damaged) in done.stderr


def test_the_users_python_settings_do_not_matter(
    programs: Programs, environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "grpc.py").write_text("raise SystemExit('not mine')")
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    (libraries / "libc.so.6").write_text("no library")
    foreign = {
        "PYTHONPATH": str(tmp_path),
        "PYTHONHOME": "/nowhere",
        "LD_LIBRARY_PATH": str(libraries),
    }
    done = run([str(programs.file), "demo"], tmp_path, {**environment, **foreign})
    assert "worker 2  no, started" in done.stdout


def test_closed_standard_streams(
    programs: Programs, environment: dict[str, str], tmp_path: Path
) -> None:
    """None of the program's files gets the number of a standard stream."""
    script = 'exec "$0" --version <&- 2>&-'
    done = run(["sh", "-c", script, str(programs.file)], tmp_path, environment)
    assert "single file" in done.stdout


def test_start_to_ready(programs: Programs, tmp_path: Path) -> None:
    """The best of some tries, in turn: other programs run here too, now more of them and now fewer."""

    def seconds(command: list[str], environment: dict[str, str]) -> float:
        begin = time.monotonic()
        with ServerProcess(command=command, environment=environment):
            return time.monotonic() - begin

    flags = ["serve", "--listen", "127.0.0.1:0"]
    file, installed = [str(programs.file), *flags], [sys.executable, "-m", "rpw_fixture", *flags]
    first = later = ours = math.inf
    for number in range(MOST_TRIES):
        fresh = programs.environment(XDG_CACHE_HOME=str(tmp_path / str(number)))
        first = min(first, seconds(file, fresh))
        later = min(later, seconds(file, fresh))
        ours = min(ours, seconds(installed, dict(os.environ)))
        if number >= LEAST_TRIES and first <= FIRST and later <= LATER * ours:
            break
    print(f"first {first:.3f} s, later {later:.3f} s, installed {ours:.3f} s")
    assert first <= FIRST
    assert later <= LATER * ours
