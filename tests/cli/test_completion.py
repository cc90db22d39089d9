"""The completion scripts, asked by the shells themselves."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rpw_fixture import cli
from rpw_fixture.cli import main
from tests.interop.requirements import require_program
from tests.waiting import PATIENCE

Shell = Callable[[Path, str], set[str]]
CASES = [
    ("rpw-fixture chec", {"check"}),
    ("rpw-fixture check --write-b", {"--write-baseline"}),
    ("rpw-fixture doctor --format js", {"json"}),
    ("rpw-fixture --port-f", {"--port-file"}),
    ("rpw-fixture serve --isolation land", {"landlock"}),
    ("rpw-fixture completion ba", {"bash"}),
]


@pytest.fixture
def scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with the script of each shell, as the command prints them."""
    for shell in ("bash", "zsh", "fish"):
        assert main(["completion", shell]) == 0
        (tmp_path / shell).write_text(capsys.readouterr().out)
    return tmp_path


def bash(scripts: Path, line: str) -> set[str]:
    code = (
        f'source "$0"; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
        '_rpw_fixture; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code, scripts / "bash"], capture_output=True, check=True)
    return set(done.stdout.decode().split())


def fish(scripts: Path, line: str) -> set[str]:
    code = f"source {scripts}/fish; complete -C {line!r}"
    program = require_program("fish", "Debian: apt-get install fish")
    environment = {**os.environ, "HOME": str(scripts), "XDG_DATA_HOME": str(scripts / "data")}
    done = subprocess.run(
        [program, "--no-config", "-c", code], env=environment, capture_output=True, check=True
    )
    return {each.partition("\t")[0] for each in done.stdout.decode().splitlines()}


def zsh(scripts: Path, line: str) -> set[str]:
    """On a terminal, as zsh completes nowhere else: the last word of the line becomes the answer."""
    program = require_program("zsh", "Debian: apt-get install zsh")
    setup = f"PS1= RPS1=; autoload -Uz compinit; compinit -u -D; source {scripts}/zsh; print READY"
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        [program, "-f", "-i"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env={**os.environ, "TERM": "dumb", "HOME": str(scripts)},
        start_new_session=True,
    ) as started:
        try:
            os.close(terminal)
            os.write(controller, f"{setup}\n".encode())
            _read_until(controller, b"\nREADY")
            # A widget prints what is in the line after completion.
            os.write(
                controller,
                b'show() { zle expand-or-complete; print -r -- "<$BUFFER>" }; zle -N show\n',
            )
            os.write(controller, b"bindkey '^X' show; print BOUND\n")
            _read_until(controller, b"\nBOUND")
            os.write(controller, line.encode() + b"\x18")
            shown = _read_until(controller, b">\r\n")
        finally:
            started.kill()
            os.close(controller)
    return {shown.rpartition(b"<")[2].partition(b">")[0].split()[-1].decode()}


def _read_until(descriptor: int, end: bytes) -> bytes:
    data = b""
    deadline = time.monotonic() + PATIENCE
    while end not in data:
        ready, _, _ = select.select([descriptor], [], [], max(0, deadline - time.monotonic()))
        assert ready, data
        data += os.read(descriptor, 65536)
    return data


@pytest.mark.parametrize("shell", [bash, zsh, fish])
@pytest.mark.parametrize(("line", "expected"), CASES)
def test_completion(shell: Shell, line: str, expected: set[str], scripts: Path) -> None:
    assert shell(scripts, line) == expected


def test_bash_completes_values_behind_an_equals_sign(scripts: Path) -> None:
    assert bash(scripts, "rpw-fixture doctor --format = j") == {"json"}


@pytest.mark.parametrize("shell", [bash, fish])
def test_all_subcommands(shell: Shell, scripts: Path) -> None:
    assert shell(scripts, "rpw-fixture ''" if shell is bash else "rpw-fixture ") == set(
        cli.COMMANDS
    )


def test_what_follows_two_dashes_is_another_command(scripts: Path) -> None:
    assert bash(scripts, "rpw-fixture run -- chec") == set()


def test_an_unknown_shell_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["completion", "zhs"])
    assert ended.value.code == 2
    assert "did you mean 'zsh'?" in capsys.readouterr().err
