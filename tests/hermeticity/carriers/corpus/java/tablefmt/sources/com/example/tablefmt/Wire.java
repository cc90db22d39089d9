package com.example.tablefmt;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** Requests and responses as protobuf messages, each after its size. */
final class Wire {
  private final DataInputStream requests;
  private final OutputStream responses;

  record Request(List<String> arguments, int id) {}

  Wire(DataInputStream requests, OutputStream responses) {
    this.requests = requests;
    this.responses = responses;
  }

  Request read() throws IOException {
    int size = 0;
    try {
      int current;
      int shift = 0;
      do {
        current = requests.readUnsignedByte();
        size |= (current & 127) << shift;
        shift += 7;
      } while (current > 127);
    } catch (EOFException end) {
      return null;
    }
    ByteBuffer data = ByteBuffer.allocate(size);
    requests.readFully(data.array());
    List<String> arguments = new ArrayList<>();
    int id = 0;
    while (data.hasRemaining()) {
      int tag = varint(data);
      if ((tag & 7) == 0) {
        int value = varint(data);
        id = tag >> 3 == 3 ? value : id;
      } else if ((tag & 7) == 2) {
        byte[] value = new byte[varint(data)];
        data.get(value);
        if (tag >> 3 == 1) {
          arguments.add(new String(value, StandardCharsets.UTF_8));
        }
      } else {
        data.position(data.position() + ((tag & 7) == 1 ? 8 : 4));
      }
    }
    return new Request(arguments, id);
  }

  private static int varint(ByteBuffer data) {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte current = data.get();
      value |= (long) (current & 127) << shift;
      if (current >= 0) {
        return (int) value;
      }
    }
  }

  void write(int exitCode, String output, int id) throws IOException {
    ByteArrayOutputStream message = new ByteArrayOutputStream();
    byte[] text = output.getBytes(StandardCharsets.UTF_8);
    message.write(8);
    put(message, exitCode);
    message.write(18);
    put(message, text.length);
    message.write(text);
    message.write(24);
    put(message, id);
    ByteArrayOutputStream frame = new ByteArrayOutputStream();
    put(frame, message.size());
    message.writeTo(frame);
    frame.writeTo(responses);
    responses.flush();
  }

  private static void put(OutputStream out, int value) throws IOException {
    while (value > 127) {
      out.write(value & 127 | 128);
      value >>= 7;
    }
    out.write(value);
  }
}
