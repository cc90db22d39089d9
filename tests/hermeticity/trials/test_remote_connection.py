"""``check --target`` and what lies between: TLS, tokens, headers, instances, platform properties."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.cli import main
from rpw_fixture.client import results
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.events.kinds import ActionRouted
from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.report import CheckState
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.wire.protos import remote_execution as re_protos
from rpw_fixture.workers import personalities
from rpw_fixture.workers.personalities.reference import REFERENCE
from rpw_fixture.workers.personalities.rules import SourcedRule
from tests.client.fake_server import capabilities, fake_server

from .certificates import Certificates
from .test_remote import stage_for_cluster

TOKEN = "correct horse battery staple"


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("known") / "pems")


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("strange") / "pems")


@pytest.fixture
def guarded(tmp_path: Path, known: Certificates) -> Iterator[Server]:
    """Mutual TLS and a token."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    cert, key = known.server
    with Server(
        tls_cert=cert, tls_key=key, tls_client_ca=known.ca, auth_token_file=str(token)
    ) as server:
        yield server


@pytest.fixture
def suite(tmp_path: Path) -> str:
    return str(stage_for_cluster(tmp_path / "suite", "leaky.py"))


def options_for(server: Server, known: Certificates, **changes: str | None) -> list[str]:
    cert, key = known.client
    options = {
        "--target": server.endpoint,
        "--tls-certificate": known.ca,
        "--tls-client-certificate": cert,
        "--tls-client-key": key,
        "--remote-header": f"authorization=Bearer {TOKEN}",
    }
    options.update({f"--{name.replace('_', '-')}": value for name, value in changes.items()})
    return [each for name, value in options.items() if value is not None for each in (name, value)]


def refused(capsys: pytest.CaptureFixture[str], code: int, suite: str, *options: str) -> str:
    """The one line that ``check`` says."""
    assert main(["check", suite, *options]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_a_leak_is_found_through_mutual_tls_and_a_token(
    suite: str, guarded: Server, known: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    options = options_for(guarded, known)
    assert main(["check", suite, "--select", "RPW202", *options]) == 1
    assert "RPW202 state-leak" in capsys.readouterr().out
    assert guarded.workers


def test_wrong_credentials_are_reported_in_one_line(
    suite: str,
    guarded: Server,
    known: Certificates,
    strange: Certificates,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cert, key = strange.client
    foreign = {"tls_client_certificate": cert, "tls_client_key": key}
    nothing = {"tls_client_certificate": None, "tls_client_key": None}
    for changes in ({"tls_certificate": strange.ca}, foreign, nothing):
        error = refused(capsys, 3, suite, *options_for(guarded, known, **changes))
        assert f"--target: no REAPI server answers: {guarded.endpoint}" in error
    for header in (None, "authorization=Bearer wrong"):
        options = options_for(guarded, known, remote_header=header)
        error = refused(capsys, 3, suite, *options)
        assert "UNAUTHENTICATED" in error
        assert "give credentials with --remote-header" in error
        assert TOKEN not in error
    plain = guarded.endpoint.replace("grpcs", "grpc")
    none = dict.fromkeys(("tls_certificate", "tls_client_certificate", "tls_client_key"))
    error = refused(capsys, 3, suite, *options_for(guarded, known, target=plain, **none))
    assert "no REAPI server answers" in error


def test_files_that_are_no_certificates_are_wrong_use(
    suite: str, guarded: Server, known: Certificates, capsys: pytest.CaptureFixture[str]
) -> None:
    for changes, words in (
        ({"tls_certificate": known.rubbish}, "no certificate in PEM"),
        ({"tls_certificate": "/absent.pem"}, "/absent.pem: No such file or directory"),
        ({"tls_client_certificate": known.rubbish}, "no certificate chain and its private key"),
        ({"tls_client_key": known.server[1]}, "no certificate chain and its private key"),
        ({"tls_client_key": None}, "certificate and its key go together"),
        ({"target": "grpc://127.0.0.1:1"}, "write grpcs://"),
        ({"remote_header": "no-value-but-secret"}, "--remote-header: write NAME=VALUE"),
        ({"remote_header": "bad name=secret"}, "--remote-header bad name=…: no name"),
        ({"remote_header": "key=sécret"}, "--remote-header key=…: the value holds more"),
        ({"platform_property": "=x"}, "--platform-property '=x': write NAME=VALUE"),
        ({"target": None}, "is of no use without --target"),
    ):
        error = refused(capsys, 2, suite, *options_for(guarded, known, **changes))
        assert words in error
        assert "secret" not in error
        assert "sécret" not in error


def test_properties_and_the_instance_reach_every_action(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = str(stage_for_cluster(tmp_path / "suite", "good.py"))
    with Server() as server:
        options = ("--remote-instance-name", "some/instance", "--platform-property", "Pool=small")
        options += ("--platform-property", "OSFamily=linux", "--target", server.endpoint)
        assert main(["check", suite, "--select", "RPW202", *options]) == 0
        assert "1 of 1 check passed" in capsys.readouterr().out
        keys = [each.key for each in server.workers]
    assert keys


def test_a_property_that_sends_actions_elsewhere_is_seen(tmp_path: Path) -> None:
    """A container image without dockerReuse rules out workers in the reference rules."""
    suite = load(stage_for_cluster(tmp_path / "suite", "good.py"))
    with Server(allow_docker=False) as server:
        target = ExistingServer(
            endpoint=server.endpoint, platform={"container-image": "docker://x"}
        )
        with pytest.raises(Exception, match="container-image"):
            check(suite, Options(jobs=2, target=target))


# --- cache-silo-key, which strict servers refuse ---

KNOWN = ("persistentWorkerKey", "persistentWorkerProtocol")


def sent_properties(server: Server) -> set[str]:
    """Names of the platform properties of all actions that the server was sent."""
    keys = [each.key_components for each in server.events if isinstance(each, ActionRouted)]
    return {name for key in keys for name, value in key if value}


@pytest.mark.parametrize("personality", ["reference", "buildbuddy", "buildfarm"])
def test_a_strict_server_is_not_sent_a_silo(tmp_path: Path, personality: str) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "leaky.py")
    suite.write_text(suite.read_text().replace('"python3"', json.dumps(sys.executable)))
    with Server(personality=personality, known_properties=KNOWN) as server:
        target = ExistingServer(endpoint=server.endpoint)
        selected = frozenset({"RPW202"})
        report = check(load(suite), Options(jobs=2, target=target, selected=selected))
    assert {each.code for each in report.findings} == {"RPW202"}


def only_silos(monkeypatch: pytest.MonkeyPatch) -> None:
    """The default server distinguishes workers by their silo, and neither by their key nor their tool."""
    parts = REFERENCE.key.value - {"persistentWorkerKey", "tool input"}
    rules = dataclasses.replace(REFERENCE, key=SourcedRule(parts, "a test"))
    monkeypatch.setattr(personalities, "find", lambda _name: rules)


def test_a_server_that_goes_by_silos_gets_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_silos(monkeypatch)
    suite = load(stage_for_cluster(tmp_path / "suite", "leaky.py"))
    with Server() as server:
        target = ExistingServer(endpoint=server.endpoint)
        report = check(suite, Options(jobs=2, target=target, selected=frozenset({"RPW202"})))
        assert "cache-silo-key" in sent_properties(server)
    assert {each.code for each in report.findings} == {"RPW202"}


def test_the_silo_can_be_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    only_silos(monkeypatch)
    suite = str(stage_for_cluster(tmp_path / "suite", "good.py"))
    with Server() as server:
        options = ("--select", "RPW202", "--target", server.endpoint, "--no-cache-silo-key")
        main(["check", suite, *options])
        assert "cache-silo-key" not in sent_properties(server)
    assert "no fresh worker for a new worker key" in capsys.readouterr().out


def test_a_server_that_refuses_the_worker_key_itself_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = str(stage_for_cluster(tmp_path / "suite", "good.py"))
    with Server(known_properties=("OSFamily",)) as server:
        error = refused(capsys, 3, suite, "--target", server.endpoint)
    assert "unregistered platform property 'persistentWorkerKey'" in error


# --- servers that do not say who ran a request ---


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server's workers are known by their names any more."""
    monkeypatch.setattr(results, "_WORKER", re.compile(r"(?!)(\d)"))


def judged(suite: Path, server: Server) -> dict[str, CheckState]:
    target = ExistingServer(endpoint=server.endpoint)
    report = check(load(suite), Options(jobs=2, target=target, selected=frozenset({"RPW202"})))
    assert report.findings == ()
    return {each.code: each for each in report.checks}


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_a_probe_shows_that_workers_are_kept(tmp_path: Path, protocol: str) -> None:
    arguments = ["--worker_protocol=json"] if protocol == "json" else []
    path = stage_for_cluster(tmp_path / "suite", "good.py", *arguments)
    path.write_text(path.read_text().replace("env =", f'protocol = "{protocol}"\nenv ='))
    with Server() as server:
        state = judged(path, server)["RPW202"]
    assert state.status == "passed"
    assert "3 of 3 later requests of a probe met the worker of the first" in state.reason


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"worker_max_requests": 1}, "started a new worker for each request of a probe"),
        ({"personality": "nativelink"}, "keeps no persistent worker: it ran 4 of 4 requests"),
    ],
)
def test_a_probe_shows_that_no_worker_is_kept(
    tmp_path: Path, settings: dict[str, object], words: str
) -> None:
    path = stage_for_cluster(tmp_path / "suite", "good.py")
    with Server(**settings) as server:
        state = judged(path, server)["RPW202"]
    assert state.status == "skipped"
    assert words in state.reason


def test_a_digest_function_that_is_not_known_here_is_named(
    suite: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = capabilities()
    told.execution_capabilities.exec_enabled = True
    told.cache_capabilities.digest_functions[:] = [re_protos.DigestFunction.MURMUR3]
    with fake_server(GetCapabilities=lambda _request: told) as (endpoint, _):
        error = refused(capsys, 3, suite, "--target", endpoint)
    assert "none of the server's digest functions is supported here: MURMUR3" in error


@pytest.mark.parametrize("name", ["buildbuddy", "buildfarm", "buildbarn", "engflow"])
def test_the_rules_of_other_servers_suit_the_check(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage_for_cluster(tmp_path / "suite", "leaky.py")
    # Buildfarm wants a program that is a tool input or has an absolute path.
    suite.write_text(suite.read_text().replace('"python3"', json.dumps(sys.executable)))
    with Server(personality=name) as server:
        options = ["--select", "RPW202", "--target", server.endpoint]
        assert main(["check", str(suite), *options]) == 1
    assert "RPW202 state-leak" in capsys.readouterr().out
