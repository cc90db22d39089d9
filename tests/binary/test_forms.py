"""Every form of the program works in an empty folder: wheel, sdist, single file and zipapp."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from rpw_fixture import Action
from rpw_fixture._version import __version__
from rpw_fixture.client import Client
from tests.server_process import ServerProcess

from .programs import SHELL_SUITE, Programs, run

FORMS = ("wheel", "sdist", "file", "zipapp")
NAMES = {"wheel": "installed", "sdist": "installed", "file": "single file", "zipapp": "zipapp"}
LANGUAGES = ("java/JavaCompileWorker.java", "node/worker.js", "python/good.py", "shell/worker.sh")
#: Subcommands that need nothing but an empty folder, and what they print.
COMMANDS = [
    ("demo", "worker 2  no, started"),
    ("check --explain RPW202", "state-leak"),
    ("completion bash", "complete -F _rpw_fixture rpw-fixture"),
    ("run -- env", "RPW_ENDPOINT=grpc://127.0.0.1:"),
]


@pytest.fixture(scope="session", params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def command(form: str, programs: Programs, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What starts the program of that form."""
    if form in {"file", "zipapp"}:
        return programs.command(form)
    archive = programs.wheel if form == "wheel" else programs.sdist
    return [str(install(archive, tmp_path_factory.mktemp(form)) / "bin" / "rpw-fixture")]


def install(archive: Path, folder: Path) -> Path:
    """An environment with the package from an archive, and what it requires from the tests' own."""
    python = str(Path(sys.executable).resolve())
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    pip += ["--python", str(folder / "bin" / "python"), "install", "--no-deps", str(archive)]
    subprocess.run(pip, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    ours = [each for each in sys.path if each.endswith("site-packages")]
    (packages / "requirements.pth").write_text("\n".join(ours) + "\n")
    return folder


def test_it_says_which_form_it_is(
    form: str, command: list[str], programs: Programs, tmp_path: Path
) -> None:
    done = run([*command, "--version"], tmp_path, programs.environment())
    assert done.stdout == f"rpw_fixture {__version__} ({NAMES[form]})\n"
    facts = run([*command, "doctor", "--format", "json"], tmp_path, programs.environment()).stdout
    assert json.loads(facts)["rpw_fixture"] == f"{__version__} ({NAMES[form]})"


@pytest.mark.parametrize(("arguments", "shown"), COMMANDS, ids=lambda each: str(each)[:20])
def test_commands_in_an_empty_folder(
    command: list[str], programs: Programs, tmp_path: Path, arguments: str, shown: str
) -> None:
    done = run([*command, *arguments.split()], tmp_path, programs.environment())
    assert shown in done.stdout + done.stderr


def test_check_of_what_init_wrote(command: list[str], programs: Programs, tmp_path: Path) -> None:
    environment = programs.environment()
    environment["PATH"] = f"{Path(sys.executable).resolve().parent}:{environment['PATH']}"
    run([*command, "init", "example"], tmp_path, environment)
    check = ["check", "suite.toml", "--select", "RPW1,RPW202", "--pause", "0"]
    done = run([*command, *check], tmp_path / "example", environment)
    assert "no errors" in done.stdout


def test_check_of_a_worker_in_another_language(
    command: list[str], programs: Programs, tmp_path: Path
) -> None:
    arguments = [
        "check",
        str(SHELL_SUITE / "suite.toml"),
        "--format",
        "json",
        "--pause",
        "0",
        "--select",
    ]
    done = run([*command, *arguments, "RPW1,RPW201,RPW202"], tmp_path, programs.environment())
    report = json.loads(done.stdout)
    assert report["findings"] == []
    assert {each["code"] for each in report["checks"] if each["status"] == "passed"} >= {"RPW202"}


def test_serve_and_a_client(command: list[str], programs: Programs, tmp_path: Path) -> None:
    """An action of a client runs in the server; the leak check sees that SIGKILL leaves no process."""
    serve = [*command, "serve", "--listen", "127.0.0.1:0"]
    with ServerProcess(command=serve, environment=programs.environment()) as server:
        with Client(server.endpoint) as client:
            outcome = client.run(number_lines("first"))
        assert outcome.outputs["first.numbered"] == b"  1  one\n  2  two\n"
        server.kill()


def test_a_reproducer_starts_the_program_that_wrote_it(
    command: list[str], form: str, programs: Programs, tmp_path: Path
) -> None:
    source = (SHELL_SUITE / "worker.sh").read_text()
    (tmp_path / "worker.sh").write_text(source.replace("    count=0\n", "    : ${count:=0}\n"))
    shutil.copytree(SHELL_SUITE / "src", tmp_path / "src")
    suite = shutil.copy(SHELL_SUITE / "suite.toml", tmp_path)
    arguments = [
        "check",
        str(suite),
        "--select",
        "RPW202",
        "--pause",
        "0",
        "--reproducers",
        "found",
    ]
    run([*command, *arguments], tmp_path, programs.environment(), expected=1)
    found = next((tmp_path / "found").iterdir())
    pytest_run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(found)]
    done = run(pytest_run, tmp_path, programs.environment(), expected=1)
    assert "1 failed" in done.stdout
    assert "gives a different result than in a fresh worker" in done.stdout
    written = next(found.glob("test_*.py")).read_text()
    assert (str(programs.folder) in written) == (form in {"file", "zipapp"})


def number_lines(name: str) -> Action:
    source = (SHELL_SUITE / "src" / f"{name}.txt").read_bytes()
    return Action(
        arguments=("/bin/sh", "worker.sh"),
        flagfile=("--in", f"src/{name}.txt", "--out", f"{name}.numbered"),
        tool_inputs={"worker.sh": SHELL_SUITE / "worker.sh"},
        inputs={f"src/{name}.txt": source},
        outputs=(f"{name}.numbered",),
        worker_key="shell",
        protocol="json",
    )


def test_sample_workers_of_all_languages_are_in_wheel_and_zipapp(programs: Programs) -> None:
    for archive, prefix in ((programs.wheel, ""), (programs.zipapp, "site/")):
        with zipfile.ZipFile(archive) as opened:
            names = set(opened.namelist())
        assert not [
            each for each in LANGUAGES if f"{prefix}rpw_fixture/sample_workers/{each}" not in names
        ]
    with tarfile.open(programs.sdist) as opened:
        paths = {each.partition("/")[2] for each in opened.getnames()}
    assert not [each for each in LANGUAGES if f"sample_workers/{each}" not in paths]
