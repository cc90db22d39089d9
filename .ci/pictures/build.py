"""Lay out a Bazel workspace with three worker tools, two of them leaky, and build it on a server."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
SAMPLES = ROOT / "sample_workers" / "python"
PACKAGES = ("api", "core", "io", "net", "ui", "log")
#: One action in so many runs without a worker, packs or lints.
_ONE_SHOT, _PACKS, _LINTS = 17, 4, 7
_WORDS = ("alpha", "beta", "gamma", "delta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu")


def lay_out(root: Path, count: int) -> None:
    """Write the workspace with ``count`` actions."""
    tools = root / "tools"
    tools.mkdir(parents=True)
    shutil.copy(HERE / "rules.bzl", root / "rules.bzl")
    (root / "WORKSPACE").touch()
    (root / "BUILD").touch()
    shutil.copy(HERE / "archiver.py", tools)
    for name in ("leaky.py", "good.py", "rpw_worker.py"):
        shutil.copy(SAMPLES / name, tools)
    for name, program in {"compile": "leaky", "pack": "archiver", "lint": "good"}.items():
        path = tools / name
        path.write_text(f'#!/bin/sh\nexec python3 -B "${{0%/*}}/{program}.py" "$@"\n')
        path.chmod(0o755)
    names = sorted(each.name for each in tools.iterdir())
    (tools / "BUILD").write_text(f"exports_files({names!r})\n")
    targets: dict[str, list[str]] = {each: [] for each in PACKAGES}
    for number in range(count):
        package = PACKAGES[number % len(PACKAGES)]
        targets[package].append(_target(root / package, number))
    for package, rules in targets.items():
        text = 'load("//:rules.bzl", "tool")\n' + "".join(rules)
        (root / package / "BUILD").write_text(text)


def _target(folder: Path, number: int) -> str:
    """Write a target's source, and return its rule."""
    folder.mkdir(exist_ok=True)
    name = f"{_WORDS[number % len(_WORDS)]}{number}"
    source = f"{name}.txt.in"
    lines = [f"{name} line {each} {'x' * (each % 50)}" for each in range(20 + 150 * (number % 9))]
    (folder / source).write_text("\n".join(lines) + "\n")
    kind, program, key = "Compile", "leaky", "compile"
    if number % _PACKS == 1:
        kind, program, key = "Pack", "archiver", "pack"
    elif number % _LINTS == 3:
        kind, program, key = "Lint", "good", f"lint-{'strict' if number % 2 else 'lenient'}"
    properties = {} if number % _ONE_SHOT == 5 else {"persistentWorkerKey": key}
    header = f"// Copyright of {name}" if kind == "Compile" and number % 3 else ""
    tools = [f"//tools:{each}.py" for each in dict.fromkeys((program, "good", "rpw_worker"))]
    values: dict[str, object] = {
        "name": name,
        "srcs": [source],
        "header": header,
        "mnemonic": kind,
        "suffix": ".zip" if kind == "Pack" else ".txt",
        "tool": f"//tools:{kind.lower()}",
        "tool_files": tools,
        "exec_properties": properties,
    }
    return f"tool({', '.join(f'{key} = {value!r}' for key, value in values.items())})\n"


def build(folder: Path, *, count: int, options: tuple[str, ...]) -> int:
    """Build everything with ``rpw-fixture run`` and these options; return the exit code."""
    root = folder / "workspace"
    lay_out(root, count)
    startup = [
        f"--output_user_root={folder / 'user'}",
        f"--output_base={folder / 'base'}",
        "--max_idle_secs=20",
        "--nohome_rc",
    ]
    run = [sys.executable, "-m", "rpw_fixture", "run", "--tool-input", "tools/**", *options]
    command = ["bazel", *startup, "build", "--keep_going", "//..."]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*run, "--", *command], cwd=root, env=environment, check=False)
    subprocess.run(["bazel", *startup, "shutdown"], cwd=root, check=False, capture_output=True)
    return done.returncode
