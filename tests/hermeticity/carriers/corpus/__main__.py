"""Send the requests of each worker by hand, in both orders, and compare with fresh workers.

`python -m tests.hermeticity.carriers.corpus [PATTERN]` prints a line for each worker. It speaks the worker
protocol itself, and shows so that the corpus is right without the code that the corpus tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.hermeticity.carriers.corpus.staging import CorpusWorker, compile_java, stage, workers

Result = tuple[int, str, dict[str, bytes | None]]


def main() -> int:
    pattern = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = [each for each in workers() if re.search(pattern, str(each))]
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="corpus") as name:
        has_java = any(each.language == "java" for each in chosen)
        classes = compile_java(Path(name, "classes")) if has_java else None
        for each in chosen:
            folder = Path(name, str(each))
            stage(each, folder, classes)
            wrong += not Trial(each, folder).run()
    return 1 if wrong else 0


class Trial:
    """A staged worker and its actions."""

    def __init__(self, worker: CorpusWorker, folder: Path) -> None:
        self.worker = worker
        self.folder = folder
        suite = worker.read_suite()
        self.start: dict[str, Any] = suite["worker"]
        self.actions: dict[str, dict[str, Any]] = {each["name"]: each for each in suite["action"]}
        self._runs = 0

    def run(self) -> bool:
        """Print a line, and return whether all is as the manifest says."""
        fresh = {name: self.serve([name])[0] for name in self.actions}
        once = {name: self.run_once(name) for name in self.actions}
        changed = {
            (first, second)
            for first in self.actions
            for second in self.actions
            if self.serve([first, second])[1] != fresh[second]
        }
        problems = [
            f"{name} ends with {result[0]}: {result[1]}"
            for name, result in fresh.items()
            if result[0] != self.actions[name].get("exit_code", 0)
        ]
        problems += [f"{name} differs when run once" for name in fresh if fresh[name] != once[name]]
        expected = [[self.worker.polluter, self.worker.victim]] if self.worker.victim else []
        if changed != {tuple(each) for each in [*expected, *self.worker.others]}:
            problems.append("other actions are changed than the manifest says")
        text = ", ".join(f"{victim} after {polluter}" for polluter, victim in sorted(changed))
        print(f"{self.worker!s:20} {text or 'no change'}", *problems, sep="\n    ", flush=True)
        if "-v" in sys.argv and self.worker.victim:
            print(fresh[self.worker.victim])
            print(self.serve([self.worker.polluter, self.worker.victim])[1])
        return not problems

    def serve(self, names: list[str]) -> list[Result]:
        """The results of requests to a new worker."""
        root, environment = self._new_root(names[0])
        command = [*self.start["command"], "--persistent_worker"]
        results = []
        with subprocess.Popen(
            command, cwd=root, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for name in names:
                self._place(root, name)
                self._send(process.stdin, self.actions[name]["arguments"])
                exit_code, output = self._receive(process.stdout)
                results.append((exit_code, output, self._outputs(root, name)))
            process.stdin.close()
            process.wait(10)
        return results

    def run_once(self, name: str) -> Result:
        root, environment = self._new_root(name)
        Path(root, "a.params").write_text("\n".join(self.actions[name]["arguments"]) + "\n")
        done = subprocess.run(
            [*self.start["command"], "@a.params"],
            cwd=root, env=environment, check=False, capture_output=True, text=True,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr, self._outputs(root, name)

    def _new_root(self, name: str) -> tuple[Path, dict[str, str]]:
        self._runs += 1
        root = self.folder.with_name(f"{self.folder.name}-{self._runs}")
        shutil.copytree(self.folder / "tools", root / "tools")
        temporary = self.folder.with_name(f"{root.name}.tmp")
        temporary.mkdir()
        self._place(root, name)
        environment = {"PATH": os.environ["PATH"], "HOME": str(temporary), "TMPDIR": str(temporary)}
        return root, environment | self.start.get("env", {})

    def _place(self, root: Path, name: str) -> None:
        """Leave only the action's inputs, as a server does."""
        for folder in ("src", "out"):
            shutil.rmtree(root / folder, ignore_errors=True)
        (root / "out").mkdir()
        for pattern in self.actions[name]["inputs"]:
            for each in filter(Path.is_file, self.folder.glob(pattern.replace("**", "**/*"))):
                target = root / each.relative_to(self.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(each, target)

    def _outputs(self, root: Path, name: str) -> dict[str, bytes | None]:
        paths = self.actions[name]["outputs"]
        return {
            each: (root / each).read_bytes() if (root / each).is_file() else None for each in paths
        }

    @property
    def _is_json(self) -> bool:
        return self.start.get("protocol") == "json"

    def _send(self, stream: Any, arguments: list[str]) -> None:
        if self._is_json:
            stream.write(json.dumps({"arguments": arguments}).encode() + b"\n")
        else:
            fields = [each.encode() for each in arguments]
            message = b"".join(b"\x0a" + _varint(len(each)) + each for each in fields)
            stream.write(_varint(len(message)) + message)
        stream.flush()

    def _receive(self, stream: Any) -> tuple[int, str]:
        if self._is_json:
            response = json.loads(stream.readline())
            return response.get("exitCode", 0), response.get("output", "")
        data = iter(stream.read(_read_varint(lambda: stream.read(1)[0])))
        fields: dict[int, int | bytes] = {}
        for tag in data:
            value = _read_varint(lambda: next(data))
            fields[tag >> 3] = bytes(next(data) for _ in range(value)) if tag & 7 == 2 else value
        text = fields.get(2, b"")
        assert isinstance(text, bytes)
        return int(fields.get(1, 0)), text.decode()


def _varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + _varint(value >> 7)


def _read_varint(read: Callable[[], int]) -> int:
    byte = read()
    return byte & 127 | (_read_varint(read) << 7 if byte > 127 else 0)


if __name__ == "__main__":
    sys.exit(main())
