"""Lays out the Bazel workspace: templates, generated sources, the sample workers as its tools.

Nothing here starts Bazel. The templates beside this file are the rules and BUILD files; what
depends on the machine (interpreter paths, the compiled Java worker) is written with each layout.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

TEMPLATES = Path(__file__).parent / "workspace"
SAMPLE_WORKERS = Path(__file__).parents[2] / "sample_workers"

#: Sample workers that become tools; all but the first show one bug each.
PYTHON_TOOLS = ("good", "crashing", "leaky", "noisy")
PLAIN, SILO, JSON, JAVA = 18, 6, 6, 13
#: More targets with the good tool and some with the leaky one, built only when they are named.
MORE = tuple(f"//recorded:good{number}" for number in range(12))
LEAKY = tuple(f"//recorded:leaky{number}" for number in range(6))
#: Every action that ``//...`` has, one a target.
ACTIONS = PLAIN + SILO + JSON + JAVA

# The smallest heap that compiles the sources here: two compilers per key fit on a small machine.
_JVM_FLAGS = "-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto"


def lay_out(root: Path, *, java_worker: Path, jdk: Path) -> None:
    """Writes the whole workspace to ``root``, over whatever an earlier test changed there.

    Args:
        root: the workspace's folder; made when missing.
        java_worker: the sample Java worker, compiled by `compile_java_worker`.
        jdk: home of the JDK that runs that worker.
    """
    shutil.copytree(TEMPLATES, root, dirs_exist_ok=True)
    _write_sources(root)
    tools = root / "tools"
    _lay_out_python_tools(tools / "python")
    (tools / "java").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(java_worker, tools / "java/compiler.jar")
    _write_launcher(
        tools / "java/compiler", f'{jdk}/bin/java {_JVM_FLAGS} -jar "${{0%/*}}/compiler.jar"'
    )


def compile_java_worker(target: Path, *, jdk: Path) -> None:
    """Builds the sample Java worker's executable jar with the JDK at ``jdk``."""
    command = [sys.executable, str(SAMPLE_WORKERS / "java/build.py"), str(target)]
    done = subprocess.run(
        command,
        env={"PATH": os.environ["PATH"], "JAVA_HOME": str(jdk)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _lay_out_python_tools(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(SAMPLE_WORKERS / "python/rpw_worker.py", folder / "rpw_worker.py")
    for name in PYTHON_TOOLS:
        shutil.copyfile(SAMPLE_WORKERS / f"python/{name}.py", folder / f"{name}.py")
        # Bazel sends an empty environment, so `#!/usr/bin/env python3` finds no interpreter; -B
        # because a __pycache__ beside the tool would be an undeclared output.
        _write_launcher(folder / name, f'{sys.executable} -B "${{0%/*}}/{name}.py"')


def _write_launcher(path: Path, command: str) -> None:
    path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    path.chmod(0o755)


def _write_sources(root: Path) -> None:
    text = root / "python/src"
    text.mkdir(parents=True, exist_ok=True)
    (text / "shared.txt").write_text("the last lines of every output\n")
    for number in range(PLAIN):
        (text / f"{number}.txt").write_text(f"source {number}\nof the interop workspace\n")
    java = root / "java/src"
    java.mkdir(parents=True, exist_ok=True)
    (java / "Greeting.java").write_text(
        "public interface Greeting {\n  String greet(String name);\n}\n"
    )
    # One target is the library that all others are compiled against.
    for number in range(JAVA - 1):
        (java / f"Part{number}.java").write_text(_java_source(number))


def _java_source(number: int) -> str:
    return (
        f"public final class Part{number} implements Greeting {{\n"
        "  @Override public String greet(String name) {\n"
        f'    return "part {number} greets " + name;\n'
        "  }\n"
        "}\n"
    )
