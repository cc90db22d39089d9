"""The rule `upper`: text in capitals."""

def _upper_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".txt")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add("--out", output)
    arguments.add_all(ctx.files.srcs)
    ctx.actions.run(
        executable = ctx.executable._worker,
        tools = ctx.files._tool_files,
        inputs = ctx.files.srcs,
        outputs = [output],
        arguments = [arguments],
        mnemonic = "Upper",
        execution_requirements = {
            "requires-worker-protocol": "json",
            "supports-workers": "1",
        },
    )
    return [DefaultInfo(files = depset([output]))]

upper = rule(
    implementation = _upper_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = True, mandatory = True),
        "_tool_files": attr.label(cfg = "exec", default = "//upper:tool_files"),
        "_worker": attr.label(
            allow_single_file = True,
            cfg = "exec",
            default = "//upper:worker",
            executable = True,
        ),
    },
)
