"""The pytest plugin: fixtures, markers, options and report hooks, which call `rpw_fixture.plugin`.

Importing it is fast: gRPC, protobuf and psutil are loaded when the first server starts.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import pytest

from rpw_fixture._version import __version__
from rpw_fixture.config import Config
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.plugin import options, reporting, session_report
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace
from rpw_fixture.plugin.session_servers import SessionServers, make_server

if TYPE_CHECKING:
    from rpw_fixture.server import Server
    from rpw_fixture.testing.endpoint import Endpoint

E = TypeVar("E", bound="Endpoint")
_SERVERS = pytest.StashKey[SessionServers]()
_USED = pytest.StashKey["list[Endpoint]"]()
_WORKSPACE = pytest.StashKey[BazelWorkspace]()
_RUNS = pytest.StashKey["list[str]"]()
_SECTIONS = pytest.StashKey["list[reporting.Section]"]()


class MakeServer(Protocol):
    """The type of `make_rpw_server`."""

    def __call__(self, config: Config | None = None, **settings: Any) -> Server:
        """Return a new server that is running; it is stopped when the test ends.

        Args:
            config: all settings; the default is those of `rpw_config` and the marker.
            settings: single settings that replace those of ``config``.
        """


def close_servers(config: pytest.Config) -> None:
    """Stop the servers that are kept for later tests, which then start new ones."""
    config.stash[_SERVERS].close()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the plugin."""
    options.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers, and refuse settings that cannot be used."""
    config.addinivalue_line("markers", options.MARKER_LINE)
    config.addinivalue_line("markers", options.CHECK_MARKER_LINE)
    options.config_of(config)
    servers = SessionServers(options.existing_server_of(config))
    config.stash[_SERVERS] = servers
    config.add_cleanup(servers.close)
    if not _is_xdist_worker(config):  # these print nothing
        config.pluginmanager.register(reporting.Summary(), "rpw_fixture_summary")
        path = session_report.path_of(config)
        if path is not None:
            session_report.require_room(path)
            config.pluginmanager.register(session_report.SessionReport(path), "rpw_fixture_report")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Return a line with the settings, if there are any or with ``-v``."""
    existing = config.stash[_SERVERS].existing
    settings = options.settings_of(config)
    if not (existing or settings or config.get_verbosity() > 0):
        return None
    shown = [f"endpoint={existing.endpoint}"] if existing else []
    shown += [f"{name}={value}" for name, value in settings.items()]
    return f"rpw-fixture {__version__}: {', '.join(shown) or 'default settings'}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `rpw_every_personality` once for each personality."""
    if "rpw_every_personality" in metafunc.fixturenames:
        from rpw_fixture.workers import personalities  # noqa: PLC0415 - most suites do not need it

        metafunc.parametrize("rpw_every_personality", personalities.names(), indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse markers with settings that cannot be used."""
    if not _is_xdist_worker(config):
        options.check_markers(items, options.config_of(config))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse markers in xdist's workers, where an error of the collection would be lost."""
    if _is_xdist_worker(item.config):
        options.check_markers([item], options.config_of(item.config))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Check the workers that a test with the marker ``rpw_check`` used, if the test passed so far."""
    result = yield
    marker = item.get_closest_marker("rpw_check")
    if marker is not None:
        server = getattr(item, "funcargs", {}).get("rpw_server")
        if server is None:
            pytest.fail(
                "the marker rpw_check needs the fixture rpw_server in the test", pytrace=False
            )
        server.assert_hermetic(**marker.kwargs)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the timeline and the workers' stderr to the report of a failed test."""
    report = yield
    if report.failed:
        used = item.stash.get(_USED, [])
        # A server that is reset or stopped by now has left its sections there.
        saved = item.stash.get(_SECTIONS, None)
        report.sections += saved or reporting.sections_of(used)
        report.sections += reporting.bazel_sections(item.stash.get(_WORKSPACE, None))
        setattr(report, reporting.FAILURES, reporting.failures_of(used))
    path = session_report.path_of(item.config)
    if path is not None:
        _add_runs(item, report, path)
    return report


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Explain why two outcomes or outputs are not equal."""
    return reporting.compared(op, left, right)


@pytest.fixture(scope="session")
def rpw_config(pytestconfig: pytest.Config) -> Config:
    """Return the settings of servers; override it for a package, module or class."""
    return options.config_of(pytestconfig)


@pytest.fixture
def rpw_server(
    request: pytest.FixtureRequest, rpw_config: Config, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Endpoint]:
    """Yield a server with persistent workers, in its initial state."""
    reproducers = tmp_path_factory.getbasetemp() / "rpw-reproducers"
    servers = request.config.stash[_SERVERS]
    settings = options.marked_settings(request.node)
    if servers.existing:
        _skip_if_set(settings)
        with _used(request.node, servers.cluster()) as cluster:
            cluster.reproducers = reproducers / _file_name(request.node)
            yield cluster
        return
    config = options.configured(rpw_config, settings, request.node.nodeid)
    with servers.lend(config) as server, _used(request.node, server):
        server.reproducers = reproducers / _file_name(request.node)
        yield server


@pytest.fixture
def rpw_every_personality(request: pytest.FixtureRequest, rpw_config: Config) -> Iterator[Server]:
    """Yield a server of each personality in turn: a worker that passes works on all known servers."""
    servers = request.config.stash[_SERVERS]
    if servers.existing:
        pytest.skip("needs servers of all personalities, but --rpw-endpoint is a single server")
    settings = {**options.marked_settings(request.node), "personality": request.param}
    config = options.configured(rpw_config, settings, request.node.nodeid)
    with servers.lend(config) as server, _used(request.node, server):
        yield server


@pytest.fixture
def make_rpw_server(request: pytest.FixtureRequest, rpw_config: Config) -> Iterator[MakeServer]:
    """Return a function that makes servers with any settings; the end of the test stops them."""
    servers = request.config.stash[_SERVERS]
    marked = options.marked_settings(request.node)

    with ExitStack() as stack:

        def make(config: Config | None = None, **settings: Any) -> Server:
            if servers.existing:
                _skip_if_set({**marked, **settings})
                cluster = stack.enter_context(servers.make_cluster())
                stack.enter_context(_used(request.node, cluster))
                return cast("Server", cluster)  # it has everything that tests use of a Server
            if config is None:
                config = options.configured(rpw_config, marked, request.node.nodeid)
            server = make_server(config.replace(**settings))
            stack.callback(server.stop)
            return stack.enter_context(_used(request.node, server))

        yield make


@pytest.fixture
def rpw_bazel(request: pytest.FixtureRequest, rpw_server: Endpoint) -> Iterator[BazelWorkspace]:
    """Yield an empty workspace for real Bazel, with its actions on `rpw_server`; skip without Bazel."""
    try:
        workspace = request.config.stash[_SERVERS].workspace(rpw_server.bazel_flags())
    except EnvironmentLacksError as error:
        pytest.skip(f"needs Bazel: {error}")
    workspace.has_one_shot_runs = lambda: len(rpw_server.actions.one_shot()) > 0
    request.node.stash[_WORKSPACE] = workspace
    yield workspace
    del request.node.stash[_WORKSPACE]


@contextmanager
def _used(item: pytest.Item, server: E) -> Iterator[E]:
    """Report on ``server`` if the test fails, and fail the test if the server had an internal error."""
    used = item.stash.setdefault(_USED, [])
    used.append(server)
    try:
        yield server
        server.assert_no_internal_error()
    except BaseException:
        item.stash[_SECTIONS] = reporting.sections_of(used)
        raise
    finally:
        if session_report.path_of(item.config) is not None:
            session_report.add_run(item.stash.setdefault(_RUNS, []), server, item.nodeid)
        used.remove(server)


def _add_runs(item: pytest.Item, report: pytest.TestReport, path: Path) -> None:
    """Add a test's runs to its last report, and a link to them to the report of its failure."""
    runs = item.stash.get(_RUNS, [])
    if report.failed and (runs or item.stash.get(_USED, [])):
        session_report.add_link(report, path, item.nodeid)
    if report.when == "teardown":
        setattr(report, session_report.RUNS, runs)


def _file_name(item: pytest.Item) -> str:
    return re.sub(r"\W+", "_", item.name)


def _is_xdist_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _skip_if_set(settings: Mapping[str, Any]) -> None:
    if settings:
        pytest.skip(
            f"needs a server with {', '.join(sorted(settings))}, but --rpw-endpoint has other settings"
        )
