"""The rule `properties`: files of properties in one, sorted."""

def _properties_impl(ctx):
    output = ctx.actions.declare_file(ctx.label.name + ".properties")
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
        mnemonic = "Properties",
        execution_requirements = {
            "requires-worker-protocol": "proto",
            "supports-workers": "1",
        },
    )
    return [DefaultInfo(files = depset([output]))]

properties = rule(
    implementation = _properties_impl,
    attrs = {
        "srcs": attr.label_list(allow_files = [".properties"], mandatory = True),
        "_tool_files": attr.label(cfg = "exec", default = "//properties:tool_files"),
        "_worker": attr.label(
            allow_single_file = True,
            cfg = "exec",
            default = "//properties:worker",
            executable = True,
        ),
    },
)
