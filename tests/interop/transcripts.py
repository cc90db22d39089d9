"""What `serve` and `run` show on a terminal of 100 × 40 during real builds, for docs/serve-and-run.md.

``python -m tests.interop.transcripts`` writes them into the page; test_transcripts.py compares them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from rpw_fixture.support.closing import Closeable
from tests.cli.terminal import ROWS, Terminal
from tests.waiting import until

from .upper_workspace import KEYS, NAMES, ROOT, UpperWorkspace

PAGE = ROOT / "docs" / "serve-and-run.md"
_PATIENCE = 120.0
_RC = """common --color=no --curses=no
build --noshow_progress --noshow_loading_progress --jobs=1 --show_result=0
"""
#: Lines that differ each time and say nothing.
_NOISE = re.compile(
    r"^(INFO: Invocation ID|WARNING: |Starting local Bazel|RPW_READY).*\n", re.MULTILINE
)
_PORT = re.compile(r"127\.0\.0\.1:\d+")


class Program(Closeable):
    """A program of ours in the foreground of a terminal.

    Args:
        root: its current folder.
        arguments: of the command line.
    """

    def __init__(self, root: Path, *arguments: str) -> None:
        self.terminal = Terminal()
        side = self.terminal.program_side
        command = (sys.executable, "-m", "tests.cli.on_terminal", "/usr/bin/env", f"--chdir={root}")
        self._process = subprocess.Popen(
            [*command, sys.executable, "-m", "rpw_fixture", *arguments],
            cwd=ROOT,
            stdin=side,
            stdout=side,
            stderr=side,
            start_new_session=True,
        )

    def wait(self) -> str:
        """Wait until it has ended; return what it showed."""
        self._process.wait(_PATIENCE)
        self.terminal.close()
        return self.terminal.text

    def close(self) -> None:
        """End it if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            self.wait()


class Builds(Closeable):
    """The workspace whose builds are shown.

    Args:
        bazel: the program.
    """

    def __init__(self, bazel: Path) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="rpw-transcripts-"))
        self._bazel = bazel
        self.workspace = UpperWorkspace(self._folder / "w", bazel)
        startup = "".join(f"startup {option}\n" for option in self.workspace.startup)
        rc = startup.replace("startup --nohome_rc\n", "")
        (self.workspace.root / ".bazelrc").write_text(rc + _RC)

    def close(self) -> None:
        """End Bazel and remove everything."""
        self.workspace.close()
        subprocess.run(["chmod", "-R", "u+w", str(self._folder)], check=True)
        shutil.rmtree(self._folder)

    def serve(self) -> str:
        """A build in which everything runs one-shot, on `serve`, ended with Ctrl-C."""
        self.workspace.set_properties("{}")
        self._start_again()
        with Program(self.workspace.root, "serve", "--listen", "127.0.0.1:0") as program:
            terminal = program.terminal
            terminal.wait_for("--experimental_remote_mark_tool_inputs\n")
            endpoint = "".join(re.findall(r"--remote_executor=\S+", terminal.text))
            flags = (endpoint, "--spawn_strategy=remote", "--remote_local_fallback=false")
            self._build(*flags)
            until(lambda: terminal.text.count(" s\n") == len(NAMES))
            terminal.type(b"\x03")
            shown = program.wait()
        return tidy("$ rpw-fixture serve\n" + shown)

    def run(self, properties: str = KEYS) -> str:
        """A build around which `run` expects reused workers."""
        self.workspace.set_properties(properties)
        self._start_again()
        flags = ("--tool-input", "tools/**", "--expect", "reused")
        with Program(
            self.workspace.root, "run", *flags, "--", "bazel", "build", "//..."
        ) as program:
            shown = program.wait()
        command = "$ rpw-fixture run --tool-input 'tools/**' --expect reused -- bazel build //...\n"
        return tidy(command + shown)

    def _start_again(self) -> None:
        """Have Bazel forget what it built, and load the workspace, so that its server is up."""
        for command in ("clean", "query //..."):
            self._command(*command.split())

    def _build(self, *flags: str) -> None:
        self._command("build", *flags, "//...")

    def _command(self, *arguments: str) -> None:
        subprocess.run(
            [str(self._bazel), *arguments],
            cwd=self.workspace.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=True,
        )


def tidy(text: str) -> str:
    """Return a transcript without what differs each time and says nothing."""
    return _PORT.sub("127.0.0.1:8980", _NOISE.sub("", text)).rstrip() + "\n"


def comparable(text: str) -> str:
    """Return a transcript without times, digests and the order in which Bazel sent its actions."""
    plain = re.sub(r"\d+\.\d+(\.\d+)?", "0", text)
    plain = re.sub(r"//:(\w+)", "//:x", plain)
    return "\n".join(" ".join(line.split()) for line in plain.splitlines())


def page_blocks() -> dict[str, str]:
    """Return the transcripts in the page, by name."""
    found = re.findall(
        r"<!-- transcript: (\S+) -->\n```text\n(.*?)```\n", PAGE.read_text("utf-8"), re.DOTALL
    )
    return dict(found)


def main() -> None:
    """Write the transcripts into the page."""
    bazel = shutil.which("bazel")
    if bazel is None:
        sys.exit("bazel is not on PATH")
    with Builds(Path(bazel)) as builds:
        made = {"serve": builds.serve(), "run": builds.run(), "run-missed": builds.run("{}")}
    text = PAGE.read_text("utf-8")
    for name, transcript in made.items():
        assert len(transcript.splitlines()) <= ROWS, f"{name} is more than a screen"
        pattern = rf"(<!-- transcript: {name} -->\n```text\n).*?(```\n)"
        text, count = re.subn(
            pattern, lambda found, new=transcript: found[1] + new + found[2], text, flags=re.DOTALL
        )
        assert count == 1, name
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
