"""Rules for tests of persistent workers.

    load("@rpw_fixture//:defs.bzl", "rpw_check_test", "rpw_server")

Both run the single file `rpw-fixture`, or the zipapp `rpw-fixture.pyz`, which needs python3 on PATH. Say where it is for
all targets (`build --@rpw_fixture//:program=//tools:rpw-fixture`), or for one (`program`).
"""

_HEAD = """#!/bin/sh
# Written by {rule} of rpw_fixture.
set -eu
runfiles=${{TEST_SRCDIR:-${{RUNFILES_DIR:-$0.runfiles}}}}
work=${{TEST_TMPDIR:-$(mktemp -d)}}/rpw_fixture
"""

# Runfiles are links; a suite's files are staged as they are, so that it gets copies.
_PLACE = """place() {
    mkdir -p "$work/${2%/*}"
    cp -L "$runfiles/$1" "$work/$2"
}
"""

_PROGRAM = """program() {{
    case {program} in
        *.pyz) python3 "$runfiles/"{program} "$@" ;;
        *) "$runfiles/"{program} "$@" ;;
    esac
}}
"""

# Bazel wants the report where XML_OUTPUT_FILE says.
_CHECK = """set -- check "$work/"{suite} --format text {arguments} "$@"
if [ -n "${{XML_OUTPUT_FILE:-}}" ]; then
    set -- "$@" --format "junit=$XML_OUTPUT_FILE"
fi
program "$@"
"""

_SERVE = """mkdir -p "$work"
program serve --listen 127.0.0.1:0 --port-file "$work/port" \\
    --events "${{TEST_UNDECLARED_OUTPUTS_DIR:-$work}}/events.jsonl" {arguments} >"$work/ready" &
server=$!
trap 'kill "$server" 2>/dev/null; wait "$server" || true' EXIT
until [ -s "$work/port" ]; do
    kill -0 "$server" || exit 3
    sleep 0.05
done
RPW_ENDPOINT=grpc://127.0.0.1:$(cat "$work/port")
export RPW_ENDPOINT
"$runfiles/"{test} "$@"
"""

_SWITCHES = ["multiplex", "sandbox", "cancellation"]

def _quote(text):
    return "'" + text.replace("'", "'\\''") + "'"

def _runfiles_path(ctx, file):
    """Return the path of a file below the folder of runfiles."""
    if file.short_path.startswith("../"):
        return file.short_path[len("../"):]
    return ctx.workspace_name + "/" + file.short_path

def _path_in_package(ctx, file):
    """Return the path of a file as a suite in this package names it."""
    prefix = ctx.label.package + "/" if ctx.label.package else ""
    if file.short_path.startswith(prefix):
        return file.short_path[len(prefix):]
    return file.short_path.replace("../", "external/")

def _worker_files(ctx, path):
    """Return pairs of runfiles path and place for a worker and its runfiles."""
    executable = ctx.executable.worker
    pairs = [(_runfiles_path(ctx, executable), path)]
    for each in ctx.attr.worker[DefaultInfo].default_runfiles.files.to_list():
        if each != executable:
            pairs.append((_runfiles_path(ctx, each), path + ".runfiles/" + _runfiles_path(ctx, each)))
    return pairs

def _suite_text(ctx, worker, has_runfiles):
    """Return a suite for `actions`: the strings and lists of JSON are those of TOML."""
    tools = [worker] + ([worker + ".runfiles/**"] if has_runfiles else [])
    lines = [
        "[worker]",
        "command = " + json.encode([worker] + ctx.attr.worker_arguments),
        "tool_inputs = " + json.encode(tools),
        "protocol = " + json.encode(ctx.attr.protocol),
        "timeout = %d" % ctx.attr.worker_timeout,
    ]
    lines += [name + " = true" for name in _SWITCHES if getattr(ctx.attr, name)]
    if ctx.attr.worker_environment:
        pairs = ["%s = %s" % (json.encode(name), json.encode(value)) for name, value in ctx.attr.worker_environment.items()]
        lines.append("env = { " + ", ".join(pairs) + " }")
    for action in json.decode(ctx.attr.actions):
        lines += ["", "[[action]]"]
        lines += ["%s = %s" % (name, json.encode(value)) for name, value in action.items()]
    return "\n".join(lines) + "\n"

def _write_test(ctx, rule_name, body, files, others = []):
    script = ctx.actions.declare_file(ctx.label.name)
    program = _PROGRAM.format(program = _quote(_runfiles_path(ctx, ctx.file.program)))
    text = _HEAD.format(rule = rule_name) + program + body
    ctx.actions.write(script, text, is_executable = True)
    runfiles = ctx.runfiles(files = files + [ctx.file.program] + ctx.files.data)
    for each in others + ctx.attr.data:
        runfiles = runfiles.merge(each[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, runfiles = runfiles)]

def _check_test_impl(ctx):
    pairs = []
    files = []
    if ctx.file.suite:
        suite = "files/" + ctx.file.suite.short_path
        files.append(ctx.file.suite)
        for each in ctx.files.data + [ctx.file.suite]:
            pairs.append((_runfiles_path(ctx, each), each.short_path.replace("../", "external/")))
        if ctx.attr.worker:
            pairs += _worker_files(ctx, ctx.executable.worker.short_path.replace("../", "external/"))
    else:
        suite = "files/suite.toml"
        worker = "tool/" + ctx.executable.worker.basename
        tools = _worker_files(ctx, worker)
        written = ctx.actions.declare_file(ctx.label.name + ".suite.toml")
        ctx.actions.write(written, _suite_text(ctx, worker, len(tools) > 1))
        files.append(written)
        pairs += tools + [(_runfiles_path(ctx, written), "suite.toml")]
        pairs += [(_runfiles_path(ctx, each), _path_in_package(ctx, each)) for each in ctx.files.data]
    if ctx.attr.worker:
        files.append(ctx.executable.worker)
    places = ["place %s %s" % (_quote(path), _quote("files/" + place)) for path, place in depset(pairs).to_list()]
    check = _CHECK.format(suite = _quote(suite), arguments = " ".join([_quote(each) for each in ctx.attr.arguments]))
    body = _PLACE + "\n".join(places) + "\n" + check
    return _write_test(ctx, "rpw_check_test", body, files, [ctx.attr.worker] if ctx.attr.worker else [])

def _server_test_impl(ctx):
    arguments = " ".join([_quote(each) for each in ctx.attr.arguments])
    body = _SERVE.format(test = _quote(_runfiles_path(ctx, ctx.executable.test)), arguments = arguments)
    return _write_test(ctx, "rpw_server", body, [ctx.executable.test], [ctx.attr.test])

def _no_program_impl(_ctx):
    fail("rpw_fixture: no program is named. Fix: put rpw-fixture or rpw-fixture.pyz into a package, export it, and set " +
         "'build --@rpw_fixture//:program=//PACKAGE:rpw-fixture' in .bazelrc, or the attribute program.")

_COMMON = {
    "arguments": attr.string_list(doc = "More arguments for the program."),
    "data": attr.label_list(allow_files = True, doc = "Files that are there when the test runs."),
    "program": attr.label(
        allow_single_file = True,
        default = Label("//:program"),
        doc = "rpw-fixture or rpw-fixture.pyz",
    ),
}

_rpw_check_test = rule(
    implementation = _check_test_impl,
    test = True,
    attrs = dict(
        _COMMON,
        actions = attr.string(),
        cancellation = attr.bool(),
        multiplex = attr.bool(),
        protocol = attr.string(default = "proto", values = ["proto", "json"]),
        sandbox = attr.bool(),
        suite = attr.label(allow_single_file = True),
        worker = attr.label(executable = True, cfg = "target"),
        worker_arguments = attr.string_list(),
        worker_environment = attr.string_dict(),
        worker_timeout = attr.int(default = 10),
    ),
)

_rpw_server_test = rule(
    implementation = _server_test_impl,
    test = True,
    attrs = dict(
        _COMMON,
        test = attr.label(executable = True, cfg = "target", mandatory = True),
    ),
)

rpw_no_program = rule(implementation = _no_program_impl)

def rpw_check_test(name, worker = None, suite = None, actions = None, data = [], **others):
    """Checks a persistent worker for state leaks and protocol errors.

    Args:
        name: name of the test.
        worker: the worker's executable; with `suite`, its command names it.
        suite: a suite file; what it names must be in `data`, at the same paths below the suite's package.
        actions: instead of a suite: a list of dicts with the keys of `[[action]]` in a suite. Paths are
            relative to this package; inputs are added to `data` unless they are globs.
        data: more files.
        **others: `protocol`, `multiplex`, `sandbox`, `cancellation`, `worker_arguments`, `worker_environment`
            and `worker_timeout` (seconds), which say with `actions` what `[worker]` says in a suite; `arguments`
            for `rpw-fixture check`; `program`; what every test has, such as `size` and `tags`.
    """
    if (suite == None) == (actions == None):
        fail("%s: rpw_check_test needs one of suite and actions" % name)
    if actions != None and worker == None:
        fail("%s: rpw_check_test needs a worker for its actions" % name)
    inputs = {each: None for each in data}
    for action in actions or []:
        for each in action.get("inputs", []):
            if "*" not in each:
                inputs[each] = None
    _rpw_check_test(
        name = name,
        actions = json.encode(actions or []),
        data = inputs.keys(),
        suite = suite,
        worker = worker,
        **others
    )

def rpw_server(name, test, arguments = [], **others):
    """Runs a test beside an REAPI server; RPW_ENDPOINT is its address, `grpc://127.0.0.1:PORT`.

    The events are in the test's undeclared outputs, as events.jsonl.

    Args:
        name: name of the new test.
        test: an executable, such as another test (tag that one "manual").
        arguments: settings of the server, as of `rpw-fixture serve`.
        **others: `data`, `program`, and what every test has.
    """
    _rpw_server_test(name = name, test = test, arguments = arguments, **others)
