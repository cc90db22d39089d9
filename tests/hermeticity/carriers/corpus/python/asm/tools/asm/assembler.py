"""Two passes over a source: labels, then instructions."""

from asm.symbols import SymbolTable


class AssemblyError(Exception):
    """A source is wrong."""


MNEMONICS = {"nop": 0x00, "push": 0x10, "add": 0x20, "jump": 0x30, "call": 0x31, "ret": 0x40}


def _statements(source):
    with open(source, encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            words = line.split(";")[0].split()
            if words:
                yield number, words


def assemble(source):
    symbols = SymbolTable()
    address = 0
    program = []
    for number, words in _statements(source):
        if words[0].endswith(":"):
            symbols.define(words[0][:-1], address)
            continue
        if words[0] not in MNEMONICS:
            raise AssemblyError(f"{source}:{number}: unknown instruction {words[0]}")
        program.append((address, words))
        address += len(words)
    for address, (mnemonic, *operands) in program:
        code = " ".join(symbols.encode(each) for each in operands)
        yield f"{address:04x}: {MNEMONICS[mnemonic]:02x} {code}".rstrip()
    yield from (f"extern {name}" for name in sorted(symbols.unresolved))
