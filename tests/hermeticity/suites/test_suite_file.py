from pathlib import Path

import pytest

from rpw_fixture.client.inputs import File
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite_file import load, load_all

GOOD = """\
[worker]
command = ["python3", "tools/worker.py"]
tool_inputs = ["tools/**"]
env = { LANG = "C.UTF-8" }

[[action]]
name = "hello"
arguments = ["--in", "src/hello.txt"]
inputs = ["src/*.txt"]
outputs = ["out/hello.txt"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("tools/worker.py", "src/hello.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def complaint(folder: Path, text: str) -> str:
    suite = folder / "suite.toml"
    suite.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(suite)
    return str(caught.value).removeprefix(str(suite))


def test_a_suite_is_read_with_its_inputs(folder: Path) -> None:
    (folder / "suite.toml").write_text(GOOD)
    suite = load(folder / "suite.toml")
    assert suite.worker.command == ("python3", "tools/worker.py")
    assert suite.worker.environment == (("LANG", "C.UTF-8"),)
    assert suite.worker.tool_inputs == {"tools/worker.py": File(b"tools/worker.py")}
    (action,) = suite.actions
    assert action.name == "hello"
    assert action.flagfile == "hello.params"
    assert action.inputs == {"src/hello.txt": File(b"src/hello.txt")}
    assert (suite.worker.timeout, suite.worker.protocol, action.exit_code) == (10.0, "proto", 0)


def test_roots_stand_for_the_input_root_and_the_worker_has_a_working_directory(
    folder: Path,
) -> None:
    text = GOOD.replace("[worker]\n", '[worker]\nroot = "tools"\nworking_directory = "pkg/"\n')
    text = text.replace('"tools/**"', '"**"').replace('"src/*.txt"', '"*.txt"')
    (folder / "suite.toml").write_text(text.replace('"hello"', '"hello"\nroot = "./src"', 1))
    suite = load(folder / "suite.toml")
    assert suite.worker.working_directory == "pkg"
    assert list(suite.worker.tool_inputs) == ["worker.py"]
    assert list(suite.actions[0].inputs) == ["hello.txt"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("env =", "environment =", ":4: worker.environment: unknown key"),
        (
            "[worker]",
            "[worker]\nroot = '../x'",
            ":2: worker.root: root '../x' must be a path inside",
        ),
        ("outputs =", "output =", ":10: action[0].output: unknown key"),
        ("[worker]", "[tool]", ":1: tool: unknown key"),
        ('["python3", "tools/worker.py"]', '"python3"', ":2: worker.command: is 'python3', but"),
        ('["python3", "tools/worker.py"]', "[]", ":2: worker.command: must name a program"),
        ('"tools/**"', '"tool/**"', ":3: worker.tool_inputs: glob 'tool/**' matches nothing"),
        ('"src/*.txt"', '"src/gone.txt"', ":9: action[0].inputs: glob 'src/gone.txt' matches"),
        ('"out/hello.txt"', '"../hello.txt"', ":10: action[0].outputs: output '../hello.txt'"),
        (
            '"out/hello.txt"',
            '"src/hello.txt"',
            ":10: action[0].outputs: output 'src/hello.txt' is an",
        ),
        (
            '"out/hello.txt"',
            '"./src/"',
            ":10: action[0].outputs: output './src/' is a folder that co",
        ),
        (
            '"out/hello.txt"',
            '"tools/worker.py"',
            ":10: action[0].outputs: output 'tools/worker.py' is a t",
        ),
        (
            '"out/hello.txt"',
            '"hello.params"',
            ":10: action[0].outputs: output 'hello.params' is the fl",
        ),
        (
            '"tools/worker.py"]',
            '"--persistent_worker"]',
            ":2: worker.command: contains --persistent",
        ),
        ('name = "hello"', "name = 3", ":7: action[0].name: is 3, but must be text"),
        ('name = "hello"', 'name = "a/b"', ":7: action[0].name: 'a/b' can't be part of"),
        ('name = "hello"', "", ":6: action[0].name: is missing"),
        ('"--in"', '"a\\nb"', ":8: action[0].arguments: 'a\\nb' contains a line break"),
        ("[[action]]", "[action]", ":6: action: at least one [[action]]"),
        ('LANG = "C.UTF-8"', "LANG = 1", ":4: worker.env: LANG is 1, but must be a text"),
        ('LANG = "C.UTF-8"', '"A=B" = "1"', ":4: worker.env: 'A=B' is no name of an environment"),
        ('"tools/**"]', '"tools/**"]\ntimeout = 0', ":4: worker.timeout: is 0, but must be more"),
        ('"tools/**"]', '"tools/**"]\ntimeout = inf', ":4: worker.timeout: is inf, but must be"),
        ("[worker]", "[worker]\nworking_directory = 1", ":2: worker.working_directory: is 1, but"),
        ('"tools/**"]', '"tools/**"]\nprotocol = "xml"', ":4: worker.protocol: is 'xml'; allowed"),
        ('"tools/**"]', '"tools/**"]\nmultiplex = 1', ":4: worker.multiplex: is 1, but must be"),
        (
            '"tools/**"]',
            '"tools/**"]\nflagfile = "@"',
            ":4: worker.flagfile: is '@', but must contain",
        ),
        ('"tools/**"]', '"tools/**"]\nflagfile = "{}{}"', ":4: worker.flagfile: is '{}{}', but"),
        ('"tools/**"]', '"tools/**"]\nflagfile = 1', ":4: worker.flagfile: is 1, but must be text"),
        ('"tools/**"]', '"tools/**"]\none_shot = 0', ":4: worker.one_shot: is 0, but must be true"),
        ('"tools/**"]', '"tools/**"]\nreadable = ["gone"]', ":4: worker.readable: "),
        (
            "outputs =",
            "working_directory = '../x'\noutputs =",
            ":10: action[0].working_directory: ",
        ),
        (
            "tool_inputs",
            "tool_input",
            ":3: worker.tool_input: unknown key; did you mean 'tool_inputs'?",
        ),
        ("[[action]]", "[[actions]]", ":6: actions: unknown key; did you mean 'action'?"),
        ("[worker]", "[worker", ": "),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_key(
    folder: Path, old: str, new: str, expected: str
) -> None:
    assert old in GOOD
    assert complaint(folder, GOOD.replace(old, new, 1)).startswith(expected)


def test_outputs_may_lie_beside_the_working_directory(folder: Path) -> None:
    text = GOOD.replace("[worker]", "[worker]\nworking_directory = 'a/b'", 1)
    beside = text.replace('"out/hello.txt"', '"../../hello.txt"')
    outside = text.replace('"out/hello.txt"', '"../../../hello.txt"')
    (folder / "suite.toml").write_text(beside)

    assert load(folder / "suite.toml").actions[0].outputs == ("../../hello.txt",)
    assert complaint(folder, outside).startswith(":11: action[0].outputs: output '../../../hello.")


@pytest.mark.parametrize("pattern", ["/etc/hostname", "../suite.toml"])
def test_globs_stay_in_the_folder_of_the_suite(folder: Path, pattern: str) -> None:
    assert "can't lead out of this folder" in complaint(folder, GOOD.replace("src/*.txt", pattern))


def test_an_input_beside_the_working_directory_is_no_output(folder: Path) -> None:
    text = GOOD.replace("[worker]", "[worker]\nworking_directory = 'src'", 1)
    complaint_text = complaint(folder, text.replace('"out/hello.txt"', '"hello.txt"'))
    assert "output 'hello.txt' is an input of the action" in complaint_text


def test_a_name_used_twice_is_reported_where_it_is_used_again(folder: Path) -> None:
    again = GOOD + GOOD[GOOD.index("[[action]]") :]
    assert complaint(folder, again).startswith(":12: action[1].name: 'hello' is used twice")


def test_a_suite_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no-such\.toml: No such file"):
        load(tmp_path / "no-such.toml")


def test_actions_with_other_working_directories_are_suites_of_other_workers(folder: Path) -> None:
    text = GOOD + '[[action]]\nname = "below"\nworking_directory = "src"\noutputs = ["../x"]\n'
    path = folder / "suite.toml"
    path.write_text(text)
    here, below = load_all(path)
    assert (here.worker.working_directory, below.worker.working_directory) == ("", "src")
    assert ([each.name for each in here.actions], below.actions[0].name) == (["hello"], "below")
    assert here.worker.command == below.worker.command
    with pytest.raises(ConfigError, match="different working directories"):
        load(path)


def test_a_suite_in_the_root_of_a_bazel_workspace_is_read(folder: Path, tmp_path: Path) -> None:
    output_base = tmp_path.parent / f"{tmp_path.name}-base" / "execroot" / "_main"
    (output_base / "bazel-out" / "deep").mkdir(parents=True)
    for name in ("bazel-bin", "bazel-out", "bazel-workspace"):
        (folder / name).symlink_to(output_base)
    forbidden = folder / "huge"
    forbidden.mkdir()
    (forbidden / "link").symlink_to("/usr")  # a walk into it would fail
    path = folder / "suite.toml"
    path.write_text(GOOD.replace('"src/*.txt"', '"src/hello.txt"'))
    assert list(load(path).actions[0].inputs) == ["src/hello.txt"]
    path.write_text(GOOD.replace('"src/*.txt"', '"*/hello.txt"').replace("[worker]", "[worker]\n"))
    forbidden.joinpath("link").unlink()
    assert list(load(path).actions[0].inputs) == ["src/hello.txt"]
    assert "bazel-bin is a link to a folder outside" in complaint(
        folder, GOOD.replace('"src/*.txt"', '"bazel-bin/**"')
    )
