"""The sections of the files in `workers`, and the suites around them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

WORKERS = Path(__file__).parent / "workers"
_SUFFIXES = {"python": ".py", "node": ".js", "java": ".java"}
#: Without performance data, because the JVM keeps that in /tmp.
_JAVA = [
    "java",
    "-Xmx96m",
    "-XX:+UseSerialGC",
    "-XX:-UsePerfData",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
]
_FILES = {
    "src/main.txt": "name main\n#include common.txt\nmode %MODE%, host %HOST%\n",
    "src/util.txt": "name util\n#include config.txt\nmode %MODE%, host %HOST%\n",
    "src/page.txt": "name page\n#include config.txt\nmode %MODE%\nlast line\n",
    "src/warn.txt": "name warn\nTODO: say more\nmode %MODE%\n",
    "src/bad.txt": "name bad\nERROR in this line\n",
    "lib/common.txt": "common text\n",
    "a/config.txt": "level one\n",
    "b/config.txt": "level two\n",
    "render.config.json": '{"title": "a title"}\n',
    "site.conf": "7\n",
}
_ACTIONS = {
    "main": (["--include", "lib", "--define", "MODE=release"], ["lib/common.txt"], 0),
    "util": (["--include", "a"], ["a/config.txt", "b/config.txt"], 0),
    "page": (["--include", "b", "--define", "MODE=debug"], ["a/config.txt", "b/config.txt"], 0),
    "warn": ([], [], 0),
    "bad": ([], [], 1),
}


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A worker, and what ``check`` should say of it.

    Attributes:
        expected: one of these codes must be found; empty for a good worker.
        also: errors with these codes are true as well.
        polluters: names of actions, one of which is the polluter; ``same`` for the victim, ``any`` for
            any requests.
    """

    name: str
    language: str
    source: str
    expected: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    polluters: frozenset[str] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.language}-{self.name}"

    @property
    def is_json(self) -> bool:
        return self.language == "node" or self.settings.get("protocol") == "json"

    @property
    def command(self) -> list[str]:
        if self.language == "java":
            return [*_JAVA, "-cp", "tools", self.name]
        if self.language == "node":
            return ["node", f"tools/{self.name}.js"]
        program = ["python3", f"tools/{self.name}.py", *(["--json"] if self.is_json else [])]
        if self.settings.get("command") == "sh":
            return ["/bin/sh", "-c", '"$0" "$@"; exit $?', *program]
        return program


def samples() -> list[Sample]:
    """Return all samples, those with defects first."""
    names = [f"{kind}_{language}" for kind in ("broken", "good") for language in _SUFFIXES]
    return [each for name in names for each in _sections(name)]


def _sections(name: str) -> Iterator[Sample]:
    _, _, language = name.partition("_")
    for section in (WORKERS / f"{name}.txt").read_text().split("#### ")[1:]:
        header, _, source = section.partition("\n")
        title, expected, settings = (each.strip() for each in header.split("|"))
        found = dict(each.split("=", 1) for each in settings.split())
        yield Sample(
            name=title,
            language=language,
            source=source,
            expected=_words(expected),
            also=_words(found.pop("also", "")),
            polluters=_words(found.pop("polluters", "")),
            settings=found,
        )


def _words(text: str) -> frozenset[str]:
    return frozenset(filter(None, text.split(",")))


def stage(folder: Path, sample: Sample, classes: Path | None = None) -> Path:
    """Write the suite of a sample, and return its path; ``classes`` has compiled Java workers."""
    for path, text in _FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    _put_tools(folder / "tools", sample, classes)
    switches = sample.settings.get("worker", "").split(",") if "worker" in sample.settings else []
    lines = ["[worker]", f"command = {json.dumps(sample.command)}", 'tool_inputs = ["tools/**"]']
    lines += (
        ["timeout = 5"]
        + [f"{each} = true" for each in switches]
        + ['protocol = "json"'] * sample.is_json
    )
    for name in _ACTIONS:
        lines += _action(name, sample.settings.get("suite"))
    (folder / "suite.toml").write_text("\n".join(lines) + "\n")
    return folder / "suite.toml"


def _put_tools(tools: Path, sample: Sample, classes: Path | None) -> None:
    tools.mkdir()
    if sample.language == "java":
        assert classes is not None
        for pattern in ("Kit*.class", f"{sample.name}.class", f"{sample.name}$*.class"):
            for each in classes.glob(pattern):
                shutil.copy(each, tools)
        return
    suffix = _SUFFIXES[sample.language]
    shutil.copy(WORKERS / f"kit{suffix}.txt", tools / f"kit{suffix}")
    source = sample.source.replace("{FOLDER}", str(tools.parent))
    (tools / f"{sample.name}{suffix}").write_text(source)


def _action(name: str, kind: str | None) -> list[str]:
    """Return an action's lines; ``kind`` is "config" for one more input, "map" for one more output."""
    arguments, inputs, exit_code = _ACTIONS[name]
    more_inputs = ["render.config.json"] if kind == "config" else []
    outputs = [f"out/{name}.txt", *([f"out/{name}.map"] if kind == "map" else [])]
    return [
        "[[action]]",
        f'name = "{name}"',
        f"arguments = {json.dumps(['--out', f'out/{name}.txt', *arguments, f'src/{name}.txt'])}",
        f"inputs = {json.dumps([f'src/{name}.txt', *inputs, *more_inputs])}",
        f"outputs = {json.dumps(outputs if not exit_code else [])}",
        f"exit_code = {exit_code}",
    ]


def compile_java(folder: Path) -> Path:
    """Compile all Java workers, and return the folder of their classes."""
    shutil.copy(WORKERS / "Kit.java.txt", folder / "Kit.java")
    for each in samples():
        if each.language == "java":
            (folder / f"{each.name}.java").write_text(each.source)
    classes = folder / "classes"
    sources = sorted(str(each) for each in folder.glob("*.java"))
    subprocess.run(["javac", "-nowarn", "-g:none", "-d", str(classes), *sources], check=True)
    return classes
