"""Labels and their addresses."""


class SymbolTable:
    """The labels of one source; labels that are not defined in it are left to the linker."""

    labels = {}

    def __init__(self):
        self.unresolved = set()

    def define(self, name, address):
        self.labels[name] = address

    def encode(self, operand):
        if operand.isdigit():
            return f"{int(operand):04x}"
        if operand in self.labels:
            return f"{self.labels[operand]:04x}"
        self.unresolved.add(operand)
        return "????"
