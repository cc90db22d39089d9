import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The persistent-worker protocol in protocol buffers: one request at a time. */
final class WorkerLoop {
  private static final int ARGUMENTS = 1;
  private static final int REQUEST_ID = 3;
  private static final int CANCEL = 4;

  /** Does what a request asks for; the message of what it throws is for the user. */
  interface Tool {
    void run(List<String> arguments) throws IOException;
  }

  private WorkerLoop() {}

  /** Answers requests until stdin ends. */
  static void serve(InputStream in, OutputStream out, Tool tool) throws IOException {
    int first;
    while ((first = in.read()) >= 0) {
      byte[] message = in.readNBytes((int) varint(first, in));
      Request request = new Request(message);
      if (request.cancel) {
        continue; // it is about a request that is answered already
      }
      String error = answer(tool, request.arguments);
      ByteArrayOutputStream response = new ByteArrayOutputStream();
      field(response, 1, error.isEmpty() ? 0 : 1);
      byte[] text = error.getBytes(StandardCharsets.UTF_8);
      response.write(2 << 3 | 2);
      writeVarint(response, text.length);
      response.write(text);
      field(response, 3, request.id);
      ByteArrayOutputStream framed = new ByteArrayOutputStream();
      writeVarint(framed, response.size());
      response.writeTo(framed);
      out.write(framed.toByteArray());
      out.flush();
    }
  }

  /** Runs the tool; returns the text of what went wrong, or nothing. */
  static String answer(Tool tool, List<String> arguments) {
    try {
      tool.run(arguments);
      return "";
    } catch (IOException | RuntimeException | Error error) {
      return "properties: " + error + "\n";
    }
  }

  private static final class Request {
    final List<String> arguments = new ArrayList<>();
    int id;
    boolean cancel;

    Request(byte[] message) throws IOException {
      InputStream in = new ByteArrayInputStream(message);
      int first;
      while ((first = in.read()) >= 0) {
        long tag = varint(first, in);
        int number = (int) (tag >>> 3);
        switch ((int) tag & 7) {
          case 0 -> {
            long value = varint(in.read(), in);
            id = number == REQUEST_ID ? (int) value : id;
            cancel = number == CANCEL ? value != 0 : cancel;
          }
          case 2 -> {
            byte[] value = in.readNBytes((int) varint(in.read(), in));
            if (number == ARGUMENTS) {
              arguments.add(new String(value, StandardCharsets.UTF_8));
            }
          }
          case 1 -> in.skipNBytes(8);
          case 5 -> in.skipNBytes(4);
          default -> throw new IOException("not a WorkRequest");
        }
      }
    }
  }

  private static long varint(int first, InputStream in) throws IOException {
    long value = 0;
    int each = first;
    for (int shift = 0; ; shift += 7) {
      if (each < 0) {
        throw new EOFException("stdin ended inside a request");
      }
      value |= (long) (each & 0x7f) << shift;
      if (each < 0x80) {
        return value;
      }
      each = in.read();
    }
  }

  private static void field(OutputStream out, int number, int value) throws IOException {
    out.write(number << 3);
    writeVarint(out, value);
  }

  private static void writeVarint(OutputStream out, int value) throws IOException {
    int rest = value;
    for (; (rest & ~0x7f) != 0; rest >>>= 7) {
      out.write(rest & 0x7f | 0x80);
    }
    out.write(rest);
  }
}
