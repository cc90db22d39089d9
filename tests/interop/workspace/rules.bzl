"""Rules whose actions Bazel, or a remote executor, may send to a persistent worker.

The tools are plain executable files: a py_binary would make Bazel download rule sets.
"""

def _worker_arguments(ctx):
    """Arguments that always travel in a flagfile, one a line, so that a worker can take them."""
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    return arguments

def _run_worker(ctx, output, arguments, deps = [], startup_arguments = []):
    ctx.actions.run(
        executable = ctx.executable.tool,
        tools = ctx.files.tool_files,
        inputs = ctx.files.srcs + deps,
        outputs = [output],
        arguments = startup_arguments + [arguments],
        mnemonic = ctx.attr.mnemonic,
        progress_message = "Compiling %s" % ctx.label,
        execution_requirements = {
            "requires-worker-protocol": ctx.attr.protocol,
            "supports-workers": "1",
        },
    )
    return [DefaultInfo(files = depset([output]))]

def _text_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    arguments = _worker_arguments(ctx)
    arguments.add_all(ctx.files.srcs, before_each = "--in")
    arguments.add("--out", output)
    arguments.add("--header", ctx.attr.header)
    startup = ["--worker_protocol=json"] if ctx.attr.protocol == "json" else []
    return _run_worker(ctx, output, arguments, startup_arguments = startup)

def _jar_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".jar")
    arguments = _worker_arguments(ctx)
    arguments.add("--output", output)
    arguments.add_joined("--classpath", ctx.files.deps, join_with = ":")
    arguments.add_all(ctx.files.srcs)
    return _run_worker(ctx, output, arguments, deps = ctx.files.deps)

_COMMON = {
    "srcs": attr.label_list(allow_files = True, mandatory = True),
    "tool": attr.label(executable = True, cfg = "exec", allow_files = True, mandatory = True),
    "tool_files": attr.label_list(cfg = "exec", allow_files = True),
    "protocol": attr.string(default = "proto", values = ["proto", "json"]),
}

text = rule(
    implementation = _text_impl,
    attrs = dict(_COMMON, header = attr.string(), mnemonic = attr.string(default = "RpwText")),
)

jar = rule(
    implementation = _jar_impl,
    attrs = dict(
        _COMMON,
        deps = attr.label_list(allow_files = [".jar"]),
        mnemonic = attr.string(default = "RpwJar"),
    ),
)
