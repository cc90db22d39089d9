"""WorkRequest and WorkResponse on the wire: a varint with the size, then the message."""

import os
import sys


def _varint(stream):
    value = shift = 0
    while True:
        byte = stream.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
        shift += 7


def _encode(value):
    groups = []
    while value > 127:
        groups.append(value & 127 | 128)
        value >>= 7
    return bytes([*groups, value])


def _fields(stream):
    while (tag := _varint(stream)) is not None:
        kind = tag & 7
        value = _varint(stream) if kind in (0, 2) else stream.read(8 if kind == 1 else 4)
        yield tag >> 3, stream.read(value) if kind == 2 else value


def read_request(stream):
    import io

    size = _varint(stream)
    if size is None:
        return None
    fields = list(_fields(io.BytesIO(stream.read(size))))
    arguments = [value.decode() for number, value in fields if number == 1]
    return arguments, next((value for number, value in fields if number == 3), 0)


def write_response(stream, exit_code, text, request_id):
    data = text.encode()
    message = b"".join(
        (
            b"\x08" + _encode(exit_code) if exit_code else b"",
            b"\x12" + _encode(len(data)) + data if data else b"",
            b"\x18" + _encode(request_id) if request_id else b"",
        )
    )
    stream.write(_encode(len(message)) + message)
    stream.flush()


def main(handle):
    arguments = sys.argv[1:]
    if "--persistent_worker" not in arguments:
        if arguments[0].startswith("@"):
            with open(arguments[0][1:], encoding="utf-8") as file:
                arguments = file.read().splitlines()
        exit_code, text = handle(arguments)
        sys.stderr.write(text)
        return exit_code
    responses = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while request := read_request(sys.stdin.buffer):
        arguments, request_id = request
        write_response(responses, *handle(arguments), request_id)
    return 0
