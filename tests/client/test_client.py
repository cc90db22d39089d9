"""Actions on our own server: what goes there and what comes back."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import trustme

from rpw_fixture import (
    Action,
    ActionFailedError,
    Client,
    Config,
    ConfigError,
    EmptyFolder,
    File,
    Server,
    Symlink,
)
from rpw_fixture.client.channel import channel_options
from rpw_fixture.client.outcome import OutputFile, OutputFiles
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.digests import FUNCTIONS, SHA256, Digest

WORKERS = Path(__file__).parents[2] / "sample_workers/python"
COMPILE = Action(
    arguments=[sys.executable, "tools/good.py"],
    flagfile=["--in", "src/a", "--out", "out/a"],
    inputs={"src/a": "hello\n"},
    tool_inputs={f"tools/{name}": WORKERS / name for name in ("good.py", "rpw_worker.py")},
    outputs=["out/a"],
    worker_key="good",
)


def shell(script: str, **others: Any) -> Action:
    return Action(
        arguments=["/bin/sh", "-c", script], environment={"PATH": "/bin:/usr/bin"}, **others
    )


def test_an_outcome_carries_what_the_command_did(rpw_server: Server) -> None:
    outcome = rpw_server.run(
        shell(
            "cat in/a >out; echo said; echo complained >&2; exit 3",
            inputs={"in/a": "x"},
            outputs=["out"],
        )
    )
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (3, b"said\n", b"complained\n")
    assert outcome.outputs == {"out": b"x"}
    assert (outcome.status, outcome.ok, outcome.cached) == ("OK", False, False)
    assert (outcome.worker, outcome.reused) == (None, None)
    assert outcome.digest == rpw_server.actions.only().action
    assert outcome.operation == rpw_server.actions.only().operation
    stamps = outcome.timestamps
    assert stamps["queued"] <= stamps["execution_start"] <= stamps["execution_completed"]


def test_links_modes_and_folders_among_the_outputs_are_reported(rpw_server: Server) -> None:
    script = (
        "mkdir -p d/sub d/empty; echo 1 >d/sub/file; ln -s sub/file d/link; "
        "echo 2 >run; chmod +x run; ln -s run link"
    )
    outputs = rpw_server.run(shell(script, outputs=["d/", "run", "link", "missing"])).outputs
    assert dict(outputs) == {"d/sub/file": b"1\n", "run": b"2\n"}
    assert outputs.symlinks == {"d/link": "sub/file", "link": "run"}
    assert outputs.folders == ("d", "d/empty", "d/sub")
    assert [file.is_executable for file in outputs.files.values()] == [False, True]


def test_inputs_are_staged_as_they_were_given(rpw_server: Server) -> None:
    inputs = {
        "link": Symlink("sub/run"),
        "sub/run": File(b"#!/bin/sh\necho ran\n", is_executable=True),
        "empty": EmptyFolder(),
    }
    outcome = rpw_server.run(shell("./link && ls empty && readlink link", inputs=inputs))
    assert outcome.stdout == b"ran\nsub/run\n"


def test_a_worker_answers_and_is_known_by_its_number(rpw_server: Server) -> None:
    first = rpw_server.run(COMPILE)
    second = rpw_server.run(COMPILE.with_input("src/a", "other\n"))
    assert first.outputs["out/a"].startswith(b"HELLO\n")
    assert second.outputs["out/a"].startswith(b"OTHER\n")
    assert (first.worker, first.reused) == (second.worker, False)
    assert second.reused
    rpw_server.assert_worker_reused(first, second)


def test_a_second_run_is_cached_unless_the_lookup_is_skipped(rpw_server: Server) -> None:
    first, second = rpw_server.run(COMPILE), rpw_server.run(COMPILE)
    third = rpw_server.run(COMPILE, skip_cache_lookup=True)
    assert [each.cached for each in (first, second, third)] == [False, True, False]
    assert second.worker is None
    assert first == second == third


def test_an_action_that_can_not_be_run_raises_with_its_outcome(rpw_server: Server) -> None:
    action = shell(
        "true", mnemonic="Broken", target="//a:b", platform={"container-image": "docker://x"}
    )
    with pytest.raises(ActionFailedError, match=r"^Broken //a:b \([0-9a-f]{12}…\): ") as failure:
        rpw_server.run(action)
    outcome = rpw_server.run(action, check=False)
    assert not outcome.ok
    assert outcome.status == failure.value.outcome.status == "FAILED_PRECONDITION"
    assert "containers are off" in outcome.message


def test_the_operation_is_reported_as_soon_as_it_is_known(rpw_server: Server) -> None:
    operations: list[str] = []
    outcome = rpw_server.client.run(shell("true"), on_operation=operations.append)
    assert operations == [outcome.operation]


def test_mnemonic_and_target_reach_the_server(rpw_server: Server) -> None:
    rpw_server.run(shell("true", mnemonic="Javac", target="//a:b"))
    assert rpw_server.actions.with_mnemonic("Javac").for_target("@//a:b").only()


@pytest.mark.parametrize("size", [0, 1, 3 << 20, (4 << 20) + 1])
def test_blobs_of_every_size_come_back_as_they_went(rpw_server: Server, size: int) -> None:
    content = b"\xa5" * size
    action = shell("cp in out; cat in", inputs={"in": content}, outputs=["out"])
    outcome = rpw_server.run(action)
    assert outcome.outputs == {"out": content}
    assert outcome.stdout == content


def test_many_blobs_are_sent_in_batches(rpw_server: Server) -> None:
    blobs = {SHA256.of(data): data for data in (f"{n}".encode() * 500 for n in range(3000))}
    client = rpw_server.client
    assert client.find_missing(blobs) == blobs.keys()
    client.upload(blobs)
    assert client.find_missing(blobs) == set()
    assert client.download(blobs).items() >= blobs.items()


def test_a_blob_that_is_not_there_is_not_found(rpw_server: Server) -> None:
    for size in (10, 10 << 20):
        with pytest.raises(RequestError) as failure:
            rpw_server.client.download([Digest("0" * 64, size)])
        assert failure.value.code is Code.NOT_FOUND


def test_one_client_serves_many_threads(rpw_server: Server) -> None:
    actions = [shell(f"echo {number}") for number in range(12)]
    with ThreadPoolExecutor(6) as threads:
        outcomes = list(threads.map(rpw_server.run, actions))
    assert [each.stdout for each in outcomes] == [b"%d\n" % number for number in range(12)]


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_the_digest_function_is_one_that_the_server_offers(make_rpw_server: Any, name: str) -> None:
    server = make_rpw_server(digest_functions=(name,))
    outcome = server.run(shell("mkdir d; echo x >d/out", outputs=["d"]))
    assert outcome.outputs == {"d/out": b"x\n"}
    assert len(outcome.digest.partition("/")[0]) == FUNCTIONS[name].hex_length
    server.assert_one_shot(shell("mkdir d; echo x >d/out", outputs=["d"]))


def test_a_digest_function_can_be_asked_for(make_rpw_server: Any) -> None:
    server = make_rpw_server(digest_functions=("SHA256", "SHA1"))
    with server.connect(digest_function="sha1") as client:
        assert len(client.run(shell("true")).digest.partition("/")[0]) == 40
    with server.connect(digest_function="MD4") as client, pytest.raises(ConfigError, match="MD4"):
        client.run(shell("true"))


def test_servers_of_the_oldest_api_are_understood(make_rpw_server: Any) -> None:
    server = make_rpw_server(high_api_version="2.0")
    outcome = server.run(
        shell("echo 1 >f; mkdir d; echo 2 >d/g; ln -s f l", outputs=["f", "d/", "l"])
    )
    assert dict(outcome.outputs) == {"d/g": b"2\n", "f": b"1\n"}
    assert outcome.outputs.symlinks == {"l": "f"}


def test_instance_names_are_kept_apart(make_rpw_server: Any) -> None:
    server = make_rpw_server()
    with server.connect(instance_name="some/instance") as client:
        assert client.run(shell("echo x")).stdout == b"x\n"
        assert client.run(shell("echo x")).cached
    assert not server.run(shell("echo x")).cached


def test_a_server_behind_a_token_is_reached_with_it(make_rpw_server: Any, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    server = make_rpw_server(auth_token_file=str(tmp_path / "token"))
    assert server.run(shell("echo x")).ok
    assert "--remote_header=authorization=Bearer secret" in server.bazel_flags()
    with Client(server.endpoint) as client, pytest.raises(RequestError) as failure:
        client.run(shell("echo x"))
    assert failure.value.code is Code.UNAUTHENTICATED


def test_a_server_with_tls_is_reached_with_its_certificate(
    make_rpw_server: Any, tmp_path: Path
) -> None:
    ca = trustme.CA()
    certificate = ca.issue_cert("127.0.0.1", "localhost")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    for blob in certificate.cert_chain_pems:
        blob.write_to_path(tmp_path / "cert", append=True)
    ca.cert_pem.write_to_path(tmp_path / "ca")
    server = make_rpw_server(tls_cert=str(tmp_path / "cert"), tls_key=str(tmp_path / "key"))
    assert server.endpoint.startswith("grpcs://127.0.0.1:")
    with server.connect(tls_ca=tmp_path / "ca") as client:
        assert client.run(shell("echo x")).ok


def test_a_unix_socket_is_an_endpoint_too(tmp_path: Path) -> None:
    with Server(listen=f"unix:{tmp_path}/s") as server:
        assert server.endpoint == f"unix:{tmp_path}/s"
        assert server.run(shell("echo x")).ok


@pytest.mark.parametrize("endpoint", ["http://x:1", "grpc://host", "nonsense"])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigError, match=f"endpoint '{endpoint}' is neither"):
        Client(endpoint)


def test_a_closed_client_says_so(rpw_server: Server) -> None:
    client = rpw_server.connect()
    client.capabilities()
    client.close()
    with pytest.raises(RequestError, match="closed"):
        client.run(shell("true"))


def test_a_server_that_was_not_started_has_no_endpoint() -> None:
    with pytest.raises(ConfigError, match="was not started"):
        _ = Server(Config()).endpoint


def test_outputs_are_equal_by_content_mode_links_and_folders() -> None:
    one = OutputFile(SHA256.of(b"1"))
    outputs = OutputFiles({"a": one}, known={one.digest: b"1"})
    assert outputs == OutputFiles({"a": one})
    assert outputs != OutputFiles({"a": OutputFile(one.digest, is_executable=True)})
    assert outputs != OutputFiles({"a": one}, symlinks={"l": "a"})
    assert outputs != OutputFiles({"a": one}, folders=["d"])
    assert outputs == {"a": b"1"}
    assert outputs != {"a": b"2"}
    assert repr(outputs) == "Outputs({'a': <1 bytes>})"


def test_outputs_are_fetched_once_and_when_they_are_read() -> None:
    fetched: list[list[Digest]] = []

    def fetch(digests: Any) -> dict[Digest, bytes]:
        fetched.append(sorted(digests))
        return dict.fromkeys(digests, b"x")

    digest = SHA256.of(b"x")
    outputs = OutputFiles({"a": OutputFile(digest), "b": OutputFile(digest)}, fetch=fetch)
    assert len(outputs) == 2
    assert fetched == []
    assert (outputs["a"], outputs["b"]) == (b"x", b"x")
    outputs.fetch()
    assert fetched == [[digest]]


@pytest.mark.parametrize(
    ("target", "is_local"),
    [
        ("127.0.0.1:1", True),
        ("127.8.0.1:1", True),
        ("[::1]:1", True),
        ("localhost:1", True),
        ("unix:/a", True),
        ("192.0.2.1:1", False),
        ("localhost.example.org:1", False),
        ("example.org:1", False),
    ],
)
def test_only_targets_of_this_machine_are_reached_without_a_proxy(
    target: str, is_local: bool
) -> None:
    assert (("grpc.enable_http_proxy", 0) in channel_options(target)) is is_local
