"""Problems of users with files that workers read and leave, each named after the issue that reports it.

SCENARIOS.md lists them among all others.
"""

from __future__ import annotations

import hashlib
import sys
import textwrap
from pathlib import Path
from typing import Any

from rpw_fixture.client.inputs import Symlink
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.testing.endpoint import Endpoint

from .worker_actions import (
    MUX,
    SAMPLES,
    SANDBOX,
    action,
    begun,
    compile_action,
    probe_action,
    seen,
    tools_of,
)


def tools_for(script: str, handling: str, beginning: str = "") -> dict[str, Any]:
    """The tool inputs of a worker that does only what ``handling`` says, with ``request``."""
    source = (
        "import os, sys; sys.dont_write_bytecode = True; import rpw_worker\n"
        f"{beginning}\n"
        "def handle(request):\n"
        f"{textwrap.indent(textwrap.dedent(handling), '    ')}\n"
        "sys.exit(rpw_worker.main(handle))\n"
    )
    return {f"tools/{script}": source, "tools/rpw_worker.py": SAMPLES / "rpw_worker.py"}


def test_buildfarm_2615_files_and_folders_of_output_paths_are_collected(
    rpw_server: Endpoint,
) -> None:
    tools = tools_for(
        "t.py",
        """
        os.makedirs('tree/deep')
        for path in ('file', 'tree/one', 'tree/deep/two'):
            open(path, 'w').write(path)
        return rpw_worker.WorkResponse()
        """,
    )
    outcome = rpw_server.run(action("t.py", tool_inputs=tools, outputs=["file", "tree"]))
    assert outcome.outputs == {
        path: path.encode() for path in ("file", "tree/one", "tree/deep/two")
    }


def test_bazel_22589_and_25400_parallel_requests_have_separate_sandboxes(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(jobs=8)
    running = [
        begun(server, tmp_path, f"{n}", platform=SANDBOX, inputs={f"in{n}": "x"}, **MUX)
        for n in range(6)
    ]
    (tmp_path / "gate").touch()
    views = [seen(each.result()) for each in running]

    assert len({each["sandbox_dir"] for each in views}) == 6
    for number, view in enumerate(views):
        assert [each for each in view["files"] if each.startswith("in")] == [f"in{number}"]


def test_bazel_23990_a_tool_at_a_mapped_path_is_found_beside_sandboxes(
    rpw_server: Endpoint,
) -> None:
    mapped = "bazel-out/cfg/bin/"
    tools = {f"{mapped}{path}": file for path, file in tools_of("probe.py").items()}
    base = probe_action(platform=SANDBOX, tool_inputs=tools)
    arguments = (sys.executable, f"{mapped}tools/probe.py", "--multiplex")
    view = seen(rpw_server.run(base.replace(arguments=arguments)))
    assert f"{mapped}tools/probe.py" in view["inputs"]


def test_bazel_2769_the_working_directory_stays_the_same_folder(rpw_server: Endpoint) -> None:
    tools = tools_for(
        "cwd.py",
        """
        inode = os.stat(".").st_ino
        return rpw_worker.WorkResponse(0, f"{inode} {inode == os.stat(os.getcwd()).st_ino}")
        """,
    )
    said = {
        rpw_server.run(action("cwd.py", tool_inputs=tools, inputs={f"d{n}/x": "x"})).stderr
        for n in range(3)
    }
    assert len(said) == 1
    assert said.pop().endswith(b" True")


def test_rules_nodejs_2975_what_a_worker_made_at_its_start_is_gone_at_the_next_request(
    rpw_server: Endpoint,
) -> None:
    handling = "return rpw_worker.WorkResponse(0, str(os.path.lexists('node_modules')))"
    tools = tools_for("link.py", handling, beginning="os.symlink('tools', 'node_modules')")
    rpw_server.run(action("link.py", tool_inputs=tools, inputs={"a": "1"}))
    second = rpw_server.run(action("link.py", tool_inputs=tools, inputs={"b": "1"}))
    assert second.stderr == b"False"

    kept = action(
        "late.py",
        tool_inputs=tools_for("late.py", handling),
        inputs={"node_modules": Symlink("tools"), "c": "1"},
    )
    assert rpw_server.run(kept).stderr == b"True", "what it needs has to be an input"


def test_rules_nodejs_2437_inputs_change_from_request_to_request(rpw_server: Endpoint) -> None:
    for names in (("a", "b"), ("b", "c"), ("c",), ("a", "c")):
        view = seen(rpw_server.run(probe_action(inputs={f"src/{n}": n for n in names})))
        assert [each for each in view["files"] if each.startswith("src/")] == [
            f"src/{n}" for n in names
        ]


def test_rules_kotlin_531_and_559_new_content_of_the_same_size_and_time_is_seen(
    rpw_server: Endpoint,
) -> None:
    digests = []
    for content in (b"aaaa", b"bbbb"):
        outcome = rpw_server.run(compile_action("x", inputs={"src/x": content}))
        assert outcome.outputs["out/x"].startswith(content.upper())
        view = seen(rpw_server.run(probe_action(inputs={"src/x": content})))
        digests.append(bytes.fromhex(view["inputs"]["src/x"]).decode())
    assert digests == [hashlib.sha256(content).hexdigest() for content in (b"aaaa", b"bbbb")]


def test_rules_ts_128_an_output_that_is_not_written_again_is_missing_and_not_stale(
    rpw_server: Endpoint,
) -> None:
    tools = tools_for(
        "ts.py",
        """
        if 'x' not in done:
            open('out', 'w').write('emitted')
        done.add('x')
        return rpw_worker.WorkResponse()
        """,
        beginning="done = set()",
    )
    once, twice = (
        rpw_server.run(action("ts.py", tool_inputs=tools, inputs={n: n}, outputs=["out"]))
        for n in "ab"
    )
    assert dict(once.outputs) == {"out": b"emitted"}
    assert dict(twice.outputs) == {}


def test_rules_typescript_300_a_tool_that_writes_beside_itself_stays_warm(
    rpw_server: Endpoint,
) -> None:
    outcomes = [
        rpw_server.run(
            probe_action("--leave", f"tools/__cache__{n}", "--overwrite", "tools/good.py")
        )
        for n in range(3)
    ]
    rpw_server.assert_worker_reused(*outcomes)
    files = seen(rpw_server.run(probe_action()))["files"]
    assert not [each for each in files if "__cache__" in each]


def test_bb_remote_execution_254_files_of_the_tool_are_there_at_the_second_request(
    rpw_server: Endpoint,
) -> None:
    handling = "return rpw_worker.WorkResponse(0, open(sys.path[0] + '/lib/data').read())"
    tools = tools_for("t.py", handling)
    for data, how in ((Symlink("real"), "tool_inputs"), ("there", "inputs")):
        extra = {"tools/lib/data": data, "tools/lib/real": "there"}
        for name in "ab":
            given = {"tool_inputs": tools, "inputs": {name: name}}
            given[how] = {**given[how], **extra}
            assert rpw_server.run(action("t.py", **given)).stderr == b"there"
