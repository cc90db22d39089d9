"""The languages that Constgen writes."""


def emit_c(constants, options):
    if options.guard:
        yield f"#ifndef {options.guard}"
        yield f"#define {options.guard}"
    for name, value in constants:
        yield f"#define {name} {value}"
    if options.guard:
        yield f"#endif  // {options.guard}"


def emit_python(constants, options):
    yield f'"""Generated from {", ".join(options.sources)}."""'
    for name, value in constants:
        yield f"{name} = {value}"


EMITTERS = {"c": emit_c, "python": emit_python}
