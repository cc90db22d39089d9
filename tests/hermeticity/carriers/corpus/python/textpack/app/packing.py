"""Reads and writes the files."""


def pack(options):
    lines = []
    for source in options.sources:
        lines.append(f"== {source} ==")
        with open(source, encoding="utf-8") as file:
            lines += [each for each in file.read().splitlines() if each not in options.skip]
    with open(options.output, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
