"""``check --executor`` through mutual TLS and a token: uploads, executions and downloads."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.cli import main
from tests.hermeticity.samples import stage
from tests.hermeticity.trials.certificates import Certificates

from .test_executor import HERE

TOKEN = "correct horse battery staple"


def test_a_bug_is_found_with_credentials_and_nothing_is_run_without(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = Certificates(tmp_path / "known")
    token = tmp_path / "token"
    token.write_text(TOKEN)
    suite = str(stage(tmp_path / "suite", "ignores_eof.py", headers=["alpha"]))
    command = ["check", suite, "--select", "RPW106", "--executor-path", HERE]
    files = ["--tls-certificate", known.ca, "--tls-client-certificate", known.client[0]]
    files += ["--tls-client-key", known.client[1]]
    header = ["--remote-header", f"authorization=Bearer {TOKEN}"]
    with Server(
        tls_cert=known.server[0],
        tls_key=known.server[1],
        tls_client_ca=known.ca,
        auth_token_file=str(token),
    ) as server:
        endpoint = ["--executor", server.endpoint]
        for some in (files, header, [*files[:2], *header]):
            assert main([*command, *endpoint, *some]) == 3
            said = capsys.readouterr().err
            assert "--executor: " in said
            assert TOKEN not in said
        assert not server.actions.one_shot()
        assert main([*command, *endpoint, *files, *header]) == 1
        assert "RPW106" in capsys.readouterr().out
        assert server.actions.one_shot()
        server.assert_no_internal_error()
