"""Suites around the well-behaved sample workers that are not in Python."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.hermeticity.samples import SAMPLES, stage

#: Without performance data, because the JVM keeps that in /tmp.
_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:TieredStopAtLevel=1")


def stage_node(folder: Path, *, headers: Sequence[str] = ("alpha", "beta")) -> Path:
    """Write the suite of the Node.js worker, which is that of the Python one."""
    suite = stage(folder, "good.py", worker='protocol = "json"', headers=headers, with_failure=True)
    shutil.copy(SAMPLES / "node" / "worker.js", folder / "tools")
    old, new = '["python3", "tools/good.py"]', '["node", "tools/worker.js"]'
    text = suite.read_text()
    assert old in text
    suite.write_text(text.replace(old, new))
    return suite


def stage_shell(folder: Path) -> Path:
    """Write the suite of the shell worker; it is beside the worker."""
    shutil.copytree(SAMPLES / "shell", folder, dirs_exist_ok=True)
    return folder / "suite.toml"


def build_jar(folder: Path) -> Path:
    """Build the Java worker in a folder that exists, and return its jar."""
    jar = folder / "worker.jar"
    subprocess.run([sys.executable, SAMPLES / "java" / "build.py", jar], check=True)
    return jar


def stage_java(
    folder: Path, jar: Path, switches: str, *, names: Sequence[str] = ("One", "Two")
) -> Path:
    """Write a suite of a compilation for each class; ``switches`` is more TOML for [worker], or nothing.

    Requests overlap if there are switches.
    """
    (folder / "tools").mkdir(parents=True)
    shutil.copy(jar, folder / "tools" / "worker.jar")
    command = ["java", *_JVM, "-jar", "tools/worker.jar", *["--multiplex"] * bool(switches)]
    lines = ["[worker]", f"command = {json.dumps(command)}", 'tool_inputs = ["tools/**"]', switches]
    for name in names:
        (folder / f"{name}.java").write_text(f"class {name} {{ int value = 1; }}\n")
        lines += ["[[action]]", f'name = "{name}"', f'inputs = ["{name}.java"]']
        lines.append(f'arguments = ["--output", "{name}.jar", "{name}.java"]')
        lines.append(f'outputs = ["{name}.jar"]')
    (folder / "suite.toml").write_text("\n".join(lines) + "\n")
    return folder / "suite.toml"
