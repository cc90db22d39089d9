"""The flags of Bazel that the README and the pages under docs/ show exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .requirements import require_bazel

ROOT = Path(__file__).parents[2]
#: Came with Bazel 6, and Debian's is older (bazel#16362).
NEWER = {"experimental_remote_mark_tool_inputs"}


def shown_flags() -> set[str]:
    flags: set[str] = set()
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for block in re.findall(
            r"^```sh\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
        ):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("bazel build"):
                    flags |= set(re.findall(r"\s--(?:no)?(\w+)", line))
    return flags


def test_every_flag_of_bazel_build_that_the_docs_show_exists(tmp_path: Path) -> None:
    shown = shown_flags()
    assert "remote_executor" in shown
    known = subprocess.run(
        [
            str(require_bazel()),
            "--batch",
            f"--output_user_root={tmp_path}",
            "help",
            "build",
            "--long",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    missing = {
        flag
        for flag in shown - NEWER
        if f"--{flag} " not in known and f"--[no]{flag} " not in known
    }
    assert not missing
