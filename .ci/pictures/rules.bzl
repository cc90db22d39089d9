"""Rules for the pictures: two tools that run as workers, one that does not."""

def _arguments(ctx, output):
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add_all(ctx.files.srcs, before_each = "--in")
    arguments.add("--out", output)
    if ctx.attr.header:
        arguments.add("--header", ctx.attr.header)
    return arguments

def _impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ctx.attr.suffix)
    ctx.actions.run(
        executable = ctx.executable.tool,
        tools = ctx.files.tool_files,
        inputs = ctx.files.srcs,
        outputs = [output],
        arguments = [_arguments(ctx, output)],
        mnemonic = ctx.attr.mnemonic,
        execution_requirements = {"supports-workers": "1"},
    )
    return [DefaultInfo(files = depset([output]))]

tool = rule(
    implementation = _impl,
    attrs = {
        "srcs": attr.label_list(allow_files = True),
        "header": attr.string(),
        "mnemonic": attr.string(),
        "suffix": attr.string(default = ".txt"),
        "tool": attr.label(executable = True, cfg = "host", allow_single_file = True),
        "tool_files": attr.label_list(allow_files = True),
    },
)
