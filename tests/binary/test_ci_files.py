"""The files for CI do what they promise: GitHub action, pre-commit hook, container image."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.containers import engines
from tests.interop.requirements import require_program

from .programs import PATIENCE, ROOT, SHELL_SUITE, Programs

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
HOOKS: list[dict[str, Any]] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
LEAKY = ("    count=0\n", "    : ${count:=0}\n")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A suite in a repository of another project."""
    folder = tmp_path / "repository" / "worker"
    shutil.copytree(SHELL_SUITE, folder)
    return folder / "suite.toml"


def break_worker(suite: Path) -> None:
    worker = suite.with_name("worker.sh")
    worker.write_text(worker.read_text().replace(*LEAKY))


class Runner:
    """Runs the steps of the composite action as GitHub's runner does."""

    def __init__(self, folder: Path, workspace: Path, inputs: Mapping[str, str]) -> None:
        self._folder = folder
        self._workspace = workspace
        defaults = {name: each.get("default") for name, each in ACTION["inputs"].items()}
        self._values = {f"inputs.{name}": value for name, value in {**defaults, **inputs}.items()}

    def run(self) -> subprocess.CompletedProcess[str]:
        for step in ACTION["runs"]["steps"]:
            done = self._run_step(step)
            if done.returncode:
                break
        return done

    def _run_step(self, step: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        assert step["shell"] == "bash"
        output = self._folder / "output"
        output.write_text("")
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env={**os.environ, **self._environment(step, output)},
            cwd=self._workspace,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        for line in output.read_text().splitlines():
            name, _, value = line.partition("=")
            self._values[f"steps.{step.get('id')}.outputs.{name}"] = value
        return done

    def _environment(self, step: Mapping[str, Any], output: Path) -> dict[str, str]:
        # A value goes into a script through a variable only, so that none of it is run as a script.
        assert "${{" not in step["run"]
        given = {
            name: re.sub(r"\${{ *(.*?) *}}", self._value, text)
            for name, text in step["env"].items()
        }
        files = {"GITHUB_OUTPUT": output, "GITHUB_STEP_SUMMARY": self._folder / "summary.md"}
        paths = {"GITHUB_ACTION_PATH": ROOT, "RUNNER_TEMP": self._folder, **files}
        return {**given, **{name: str(path) for name, path in paths.items()}}

    def _value(self, match: re.Match[str]) -> str:
        return str(self._values[match[1]])


@pytest.mark.usefixtures("python3_is_this_interpreter")
def test_the_github_action_checks_a_suite(
    programs: Programs, suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the package requires from the tests' own environment, so that it needs no network."""
    monkeypatch.setenv("PIP_NO_DEPS", "1")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join(each for each in sys.path if "-packages" in each)
    )
    inputs = {"suite": "worker/suite.toml", "arguments": "--select RPW202 --jobs 1 --pause 0"}
    runner = Runner(tmp_path, suite.parents[1], {**inputs, "package": str(programs.wheel)})
    good = runner.run()
    assert good.returncode == 0, good.stdout + good.stderr
    break_worker(suite)
    bad = runner.run()
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "::error" in bad.stdout
    assert "RPW202" in bad.stdout
    assert "RPW202" in (tmp_path / "summary.md").read_text()


def test_the_github_action_names_its_inputs(suite: Path) -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    for name, each in ACTION["inputs"].items():
        assert each["description"]
        assert f"`{name}`" in page
    assert ACTION["runs"]["using"] == "composite"


def test_the_pre_commit_hook(suite: Path, tmp_path: Path) -> None:
    """A commit that breaks the worker is refused; the hook is installed as pre-commit does it."""
    pre_commit = require_program("pre-commit", "pip install pre-commit")
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone of the repository, not its files only")
    repository = suite.parents[1]
    git = ["git", "-C", str(repository), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    hooks = clone_of_this_tree(tmp_path / "hooks")
    (repository / ".pre-commit-config.yaml").write_text(
        yaml.safe_dump({"repos": [{
            "repo": str(hooks),
            "rev": "v1",
            "hooks": [{
                "id": "rpw-check",
                "args": ["worker/suite.toml", "--select", "RPW202", "--pause", "0"],
            }],
        }]})
    )  # fmt: skip
    environment = {**os.environ, "PRE_COMMIT_HOME": str(tmp_path / "home")}

    def run() -> subprocess.CompletedProcess[str]:
        subprocess.run([*git, "add", "."], check=True)
        return subprocess.run(
            [pre_commit, "run"],
            cwd=repository,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    good = run()
    assert good.returncode == 0, good.stdout + good.stderr
    break_worker(suite)
    bad = run()
    assert bad.returncode == 1, bad.stdout + bad.stderr
    assert "RPW202" in bad.stdout


def clone_of_this_tree(folder: Path) -> Path:
    """A repository with the files as they are now, committed or not."""
    listed = subprocess.run(
        ["git", "-C", ROOT, "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        check=True,
    )
    for path in listed.stdout.splitlines():
        if path.startswith(("rpw_fixture/", "sample_workers/")) or "/" not in path:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / path).is_file():
                shutil.copyfile(ROOT / path, folder / path)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"], ["tag", "v1"]):
        subprocess.run([*git, *arguments], check=True)
    return folder


def test_the_image_is_built_and_runs(programs: Programs, suite: Path) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="rpw-", ignore_cleanup_errors=True) as folder,
        (Path(tempfile.gettempdir()) / "rpw_fixture-engine.lock").open("w") as lock,
    ):
        engine = engines.find("podman", Path(folder))
        fcntl.flock(lock, fcntl.LOCK_EX)
        context = Path(folder) / "context"
        (context / "dist").mkdir(parents=True)
        shutil.copy(programs.file, context / "dist")
        for name in ("Containerfile", ".dockerignore"):
            shutil.copy(ROOT / name, context)
        image = "localhost/rpw-fixture-image"
        built = engine.call("build", "--isolation=chroot", "--tag", image, str(context))
        assert built.returncode == 0, built.stderr
        try:
            ran = engine.call("run", "--rm", "--network=none", *engine.run_arguments, image, "demo")
            assert ran.returncode == 0, ran.stderr
            assert b"worker 2  no, started" in ran.stdout
            listed = engine.call("run", "--rm", *engine.run_arguments, "--network=none", image)
            assert b"usage: rpw-fixture" in listed.stdout
        finally:
            engine.call("rmi", "--force", image, engines.IMAGE)
