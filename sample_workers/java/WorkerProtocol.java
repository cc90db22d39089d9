import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * The messages of blaze.worker and their length-prefixed protobuf encoding, without a library.
 *
 * <p>Copy this file next to your tool; nothing in it knows about Java compilation. Fields that are
 * not needed here, such as the list of inputs, are skipped like unknown ones.
 */
final class WorkerProtocol {
  private WorkerProtocol() {}

  /** One action to run. {@code sandboxDir} is empty, or the folder that its paths are below. */
  record WorkRequest(List<String> arguments, int requestId, boolean cancel, String sandboxDir) {}

  /** The answer to one request; {@code output} is what the user gets to read. */
  record WorkResponse(int exitCode, String output, int requestId, boolean wasCancelled) {}

  /** The next request, or null if the stream ends before its first byte. */
  static WorkRequest readRequest(InputStream stream) throws IOException {
    int first = stream.read();
    if (first < 0) {
      return null;
    }
    int size = Math.toIntExact(readVarint(stream, first));
    byte[] payload = stream.readNBytes(size);
    if (payload.length < size) {
      throw new EOFException("stdin ended after " + payload.length + " of " + size + " bytes");
    }
    return new Decoder(payload).request();
  }

  /** Writes one response whole and flushes. The caller sees to it that no two threads are here. */
  static void writeResponse(OutputStream stream, WorkResponse response) throws IOException {
    ByteArrayOutputStream message = new ByteArrayOutputStream();
    writeField(message, 1, response.exitCode());
    byte[] text = response.output().getBytes(StandardCharsets.UTF_8);
    if (text.length > 0) {
      message.write(2 << 3 | 2);
      writeVarint(message, text.length);
      message.write(text);
    }
    writeField(message, 3, response.requestId());
    writeField(message, 4, response.wasCancelled() ? 1 : 0);
    ByteArrayOutputStream frame = new ByteArrayOutputStream();
    writeVarint(frame, message.size());
    message.writeTo(frame);
    frame.writeTo(stream);
    stream.flush();
  }

  /** A proto3 integer, which is left out when it is zero. */
  private static void writeField(ByteArrayOutputStream out, int number, int value) {
    if (value != 0) {
      out.write(number << 3);
      writeVarint(out, value); // sign-extended: negative numbers take ten bytes
    }
  }

  private static void writeVarint(ByteArrayOutputStream out, long value) {
    while ((value & ~0x7FL) != 0) {
      out.write((int) (value & 0x7F | 0x80));
      value >>>= 7;
    }
    out.write((int) value);
  }

  private static long readVarint(InputStream stream, int first) throws IOException {
    long value = first & 0x7F;
    int current = first;
    for (int shift = 7; current >= 0x80; shift += 7) {
      current = stream.read();
      if (current < 0 || shift > 63) {
        throw new IOException("a length prefix is cut short or too long");
      }
      value |= (long) (current & 0x7F) << shift;
    }
    return value;
  }

  /** Walks over the fields of one message. */
  private static final class Decoder {
    private final byte[] data;
    private int at;

    Decoder(byte[] data) {
      this.data = data;
    }

    WorkRequest request() throws IOException {
      List<String> arguments = new ArrayList<>();
      int requestId = 0;
      boolean cancel = false;
      String sandboxDir = "";
      while (at < data.length) {
        int tag = (int) varint();
        switch (tag) {
          case 1 << 3 | 2 -> arguments.add(text());
          case 3 << 3 -> requestId = (int) varint();
          case 4 << 3 -> cancel = varint() != 0;
          case 6 << 3 | 2 -> sandboxDir = text();
          default -> skip(tag & 7);
        }
      }
      return new WorkRequest(arguments, requestId, cancel, sandboxDir);
    }

    private long varint() throws IOException {
      long value = 0;
      for (int shift = 0; shift <= 63 && at < data.length; shift += 7) {
        byte current = data[at++];
        value |= (long) (current & 0x7F) << shift;
        if (current >= 0) {
          return value;
        }
      }
      throw new IOException("a varint in a request is cut short or too long");
    }

    private String text() throws IOException {
      int size = advance(varint());
      return new String(data, at - size, size, StandardCharsets.UTF_8);
    }

    private void skip(int wireType) throws IOException {
      switch (wireType) {
        case 0 -> varint();
        case 1 -> advance(8);
        case 2 -> advance(varint());
        case 5 -> advance(4);
        default -> throw new IOException("wire type " + wireType + " in a request");
      }
    }

    /** Moves behind a field of that many bytes, which it returns. */
    private int advance(long size) throws IOException {
      if (size < 0 || size > data.length - at) {
        throw new IOException("a field of a request is longer than the request");
      }
      at += (int) size;
      return (int) size;
    }
  }
}
