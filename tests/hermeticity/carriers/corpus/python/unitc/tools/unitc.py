"""Unitc folds the constants of a table: `name = expression` with + - * / and earlier names."""

import decimal
import sys

import wire


def evaluate(expression, values):
    result, operator = None, None
    for word in expression.split():
        if word in "+-*/":
            operator = word
            continue
        operand = values[word] if word in values else decimal.Decimal(word)
        if result is None:
            result = operand
        elif operator == "+":
            result += operand
        elif operator == "-":
            result -= operand
        elif operator == "*":
            result *= operand
        else:
            result /= operand
    return result


def fold(text):
    values = {}
    for line in filter(str.strip, text.splitlines()):
        name, _, expression = line.partition("=")
        values[name.strip()] = evaluate(expression, values)
    return values


def run(arguments):
    sources, output = [], ""
    for each in arguments:
        name, _, value = each.partition("=")
        if name == "--digits":
            decimal.getcontext().prec = int(value)
        elif name == "--out":
            output = value
        else:
            sources.append(each)
    with open(output, "w", encoding="utf-8") as target:
        for source in sources:
            with open(source, encoding="utf-8") as file:
                values = fold(file.read())
            target.writelines(f"{name} {value}\n" for name, value in values.items())


def handle(arguments):
    try:
        run(arguments)
    except (ArithmeticError, OSError) as error:
        return 1, f"unitc: {error!r}\n"
    return 0, ""


if __name__ == "__main__":
    sys.exit(wire.main(handle))
