"""What hostile workers do to files, processes and memory: it is undone, bounded and reported."""

from __future__ import annotations

import resource
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from rpw_fixture.events.kinds import InputsChanged, ProtocolViolation
from rpw_fixture.server import Server
from tests.waiting import until

from .hostile_workers import action, assert_gone, assert_gone_of


def test_a_worker_that_writes_stderr_without_end_serves_in_bounded_memory(
    server: Server, tmp_path: Path
) -> None:
    script = """
        def flood():
            while True:
                os.write(2, b"e" * 65536)
        threading.Thread(target=flood, daemon=True).start()
        while (one := request()) is not None:
            answer("answered", request_id=one.request_id)
        """
    first = server.run(action(tmp_path, textwrap.dedent(script), "one"), check=False)
    assert first.status == "OK"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    deadline = time.monotonic() + 1.0
    count = 0
    while time.monotonic() < deadline:
        count += 1
        outcome = server.run(action(tmp_path, textwrap.dedent(script), f"n{count}"))
        assert outcome.reused
        assert len(outcome.logs.get("worker-stderr", b"")) <= 1 << 16
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 64 << 10


def test_hundreds_of_descendants_are_gone(server: Server, tmp_path: Path) -> None:
    script = """
        request()
        for number in range(300):
            pid = os.fork()
            if pid == 0:
                if number % 2:
                    os.setsid()
                    if os.fork():
                        os._exit(0)
                    note_pid(os.getpid())
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                hang()
            note_pid(pid)
        os._exit(1)
        """
    outcome = server.run(action(tmp_path, textwrap.dedent(script)), check=False)
    assert outcome.status == "FAILED_PRECONDITION"
    assert len((tmp_path / "pids").read_text().split()) > 300
    assert_gone(tmp_path)
    assert server.run(action(tmp_path, textwrap.dedent(script), "two")).exit_code == 0


@pytest.mark.parametrize("path", ["out/one.txt", "out"])
def test_a_link_in_the_place_of_an_output_never_yields_what_it_leads_to(
    server: Server, tmp_path: Path, path: str
) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "one.txt").write_text("secret")
    target = secret if path == "out" else secret / "one.txt"
    script = f"""
        request()
        import shutil
        shutil.rmtree("out")
        if {path!r} != "out":
            os.mkdir("out")
        os.symlink({str(target)!r}, {path!r})
        answer()
        while (one := request()) is not None:
            with open(one.arguments[-1], "w") as file:
                file.write("written")
            answer(request_id=one.request_id)
        """
    outcome = server.run(action(tmp_path, textwrap.dedent(script), "one"), check=False)
    assert not outcome.outputs.files
    if path == "out":
        assert outcome.status == "FAILED_PRECONDITION"
        assert "'out/one.txt'" in outcome.message
    else:
        assert outcome.outputs.symlinks == {"out/one.txt": str(target)}
    again = server.run(action(tmp_path, textwrap.dedent(script), "two"))
    assert again.outputs["out/two.txt"].lower().startswith((b"written", b"content of two"))
    assert sorted(each.name for each in secret.iterdir()) == ["one.txt"]
    assert (secret / "one.txt").read_text() == "secret"


@pytest.mark.parametrize(
    "misdeed",
    [
        "os.chmod('same.txt', 0o644); open('same.txt', 'w').write('forged')",
        "os.unlink('same.txt'); open('same.txt', 'w').write('content of same')",
        "os.unlink('same.txt')",
        "os.unlink('same.txt'); os.mkdir('same.txt')",
        "os.unlink('same.txt'); os.symlink('/etc/hostname', 'same.txt')",
        "open('left behind', 'w').write('x')",
        "os.mkdir('dir'); os.mkdir('dir/sub'); os.chmod('dir', 0)",
    ],
)
def test_what_a_worker_did_to_its_inputs_is_undone_before_the_next_request(
    server: Server, tmp_path: Path, misdeed: str
) -> None:
    script = f"""
        request()
        {misdeed}
        answer()
        """
    first = server.run(action(tmp_path, textwrap.dedent(script), "same"), check=False)
    assert first.status == "OK"
    lines = ("--header", "again")
    second = server.run(action(tmp_path, textwrap.dedent(script), "same", lines=lines))
    assert second.outputs["out/same.txt"].startswith(b"again\nCONTENT OF SAME\n")
    assert second.reused
    reported = [each.paths for each in server.events.of(InputsChanged)]
    assert reported == ([("same.txt",)] if "same.txt" in misdeed else [])


def test_a_write_through_a_hard_link_is_undone_and_reported(server: Server, tmp_path: Path) -> None:
    """Inputs are copies of blobs, so that not even a link leads into the store."""
    link = tmp_path / "link"
    script = f"""
        request()
        import shutil
        try:
            os.link("same.txt", {str(link)!r})
        except OSError:  # another file system
            os.mkdir("links")
            os.link("same.txt", "links/link")
        here = {str(link)!r} if os.path.exists({str(link)!r}) else "links/link"
        os.chmod(here, 0o644)
        with open(here, "w") as file:
            file.write("forged of same!")
        answer()
        """
    server.run(action(tmp_path, textwrap.dedent(script), "same"))
    lines = ("--header", "again")
    second = server.run(action(tmp_path, textwrap.dedent(script), "same", lines=lines))
    assert second.outputs["out/same.txt"].startswith(b"again\nCONTENT OF SAME\n")
    assert [each.paths for each in server.events.of(InputsChanged)] == [("same.txt",)]


def test_a_worker_that_overwrites_its_program_harms_no_other_worker(
    server: Server, tmp_path: Path
) -> None:
    program = Path(sys.executable).resolve()
    before = program.stat()
    script = """
        first = request()
        try:
            os.write(os.open("/proc/self/exe", os.O_WRONLY), b"overwritten")
            result = "written"
        except OSError as error:
            result = error.strerror
        with open(first.arguments[-1], "w") as file:
            file.write(result)
        answer()
        """
    first = server.run(action(tmp_path, textwrap.dedent(script), "one"))
    assert first.outputs["out/one.txt"] == b"Text file busy"
    after = program.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert server.run(action(tmp_path, textwrap.dedent(script), "two")).reused


def test_a_cancelled_request_kills_the_worker_with_all_it_started(
    server: Server, tmp_path: Path
) -> None:
    script = """
        request()
        note_pid(subprocess.Popen(["sleep", "61"], start_new_session=True).pid)
        os.close(os.open(HERE + "/running", os.O_CREAT))
        hang()
        """
    names: list[str] = []
    outcomes = []
    wanted = action(tmp_path, textwrap.dedent(script))
    thread = threading.Thread(
        target=lambda: outcomes.append(
            server.client.run(wanted, check=False, on_operation=names.append)
        )
    )
    thread.start()
    until((tmp_path / "running").exists)
    server.client.cancel(names[0])
    thread.join(10)
    assert outcomes[0].status == "CANCELLED"
    assert_gone(tmp_path)
    assert_gone_of(server, 1)
    assert server.events.of(ProtocolViolation) == []
    assert server.run(action(tmp_path, textwrap.dedent(script), "two")).exit_code == 0
