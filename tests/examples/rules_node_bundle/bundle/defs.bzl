"""The rule `bundle`: modules in one script."""

def _bundle_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".bundle.js")
    arguments = ctx.actions.args()
    arguments.use_param_file("@%s", use_always = True)
    arguments.set_param_file_format("multiline")
    arguments.add("--out", output)
    arguments.add_all(ctx.files.deps)
    arguments.add(ctx.file.entry)
    ctx.actions.run(
        executable = ctx.executable._worker,
        tools = ctx.files._tool_files,
        inputs = ctx.files.deps + [ctx.file.entry],
        outputs = [output],
        arguments = [arguments],
        mnemonic = "Bundle",
        execution_requirements = {
            "requires-worker-protocol": "json",
            "supports-workers": "1",
        },
    )
    return [DefaultInfo(files = depset([output]))]

bundle = rule(
    implementation = _bundle_impl,
    attrs = {
        "deps": attr.label_list(allow_files = [".js"]),
        "entry": attr.label(allow_single_file = [".js"], mandatory = True),
        "_tool_files": attr.label(cfg = "exec", default = "//bundle:tool_files"),
        "_worker": attr.label(
            allow_single_file = True,
            cfg = "exec",
            default = "//bundle:worker",
            executable = True,
        ),
    },
)
