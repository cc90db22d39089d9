"""Sessions within the session: pytest with the plugin, in this process or in another one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import rpw_fixture.client.client
import rpw_fixture.server
import rpw_fixture.services.backend
import rpw_fixture.testing.assertions
import rpw_fixture.testing.lookup  # noqa: F401 - all of them: see below

# A session in this process forgets the modules that it imported: without these imports, later sessions
# would load gRPC twice, which fails, and have two versions of each event.

ROOT = Path(__file__).parents[2]
WORKERS = ROOT / "sample_workers/python"
PLUGIN = "rpw_fixture.pytest_plugin"

#: What every suite starts with: an action for a worker, and one without.
PREAMBLE = f"""
import sys
from pathlib import Path
import pytest
from rpw_fixture import Action

WORKERS = Path({str(WORKERS)!r})
COMPILE = Action(
    arguments=[sys.executable, "tools/good.py"],
    flagfile=["--in", "src/a", "--out", "out/a"],
    inputs={{"src/a": "hello\\n"}},
    tool_inputs={{f"tools/{{name}}": WORKERS / name for name in ("good.py", "rpw_worker.py")}},
    outputs=["out/a"],
    worker_key="good",
    mnemonic="Compile",
    target="//pkg:a",
)
OTHER = COMPILE.with_input("src/a", "other\\n")
EDITED = COMPILE.with_tool_input("tools/rpw_worker.py", (WORKERS / "rpw_worker.py").read_bytes() + b"#")
ECHO = Action(arguments=["/bin/echo", "hi"])
NOISY = COMPILE.replace(
    arguments=[sys.executable, "tools/noisy.py"],
    tool_inputs={{f"tools/{{name}}": WORKERS / name for name in ("noisy.py", "good.py", "rpw_worker.py")}},
)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes a test module, after `PREAMBLE`; the plugin is loaded in sessions that run it."""
    for name in [each for each in os.environ if each.startswith("RPW_FIXTURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makeconftest(
        f"""
        def pytest_addoption(pluginmanager):
            loaded = [getattr(each, "__name__", "") for each in pluginmanager.get_plugins()]
            if {PLUGIN!r} not in loaded:
                pluginmanager.import_plugin({PLUGIN!r})
        """
    )
    sys.modules.pop("test_suite", None)

    def write(tests: str) -> None:
        pytester.makepyfile(test_suite=PREAMBLE + tests)

    return write
