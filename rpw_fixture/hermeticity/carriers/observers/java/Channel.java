package rpwfixture.observer;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** A connection to the check: one line of JSON each way. */
final class Channel {
  private final SocketChannel socket;
  private static final int SIZE = 65536;

  private ByteBuffer buffer = ByteBuffer.wrap(new byte[0]);

  private Channel(SocketChannel socket) {
    this.socket = socket;
  }

  /** Connects to HOST:PORT, or to a path where the JVM has Unix sockets (16 and newer). */
  static Channel connect(String address) throws IOException, ReflectiveOperationException {
    if (address.matches("[0-9.]+:[0-9]+")) {
      int colon = address.indexOf(':');
      int port = Integer.parseInt(address.substring(colon + 1));
      return new Channel(SocketChannel.open(new InetSocketAddress(address.substring(0, colon), port)));
    }
    Class<?> type = Class.forName("java.net.UnixDomainSocketAddress");
    SocketAddress path = (SocketAddress) type.getMethod("of", String.class).invoke(null, address);
    return new Channel(SocketChannel.open(path));
  }

  /** Returns the next line, or null at the end. */
  String receive() throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    while (true) {
      if (!buffer.hasRemaining()) {
        byte[] bytes = new byte[SIZE];
        int size = socket.read(ByteBuffer.wrap(bytes));
        buffer = ByteBuffer.wrap(bytes, 0, Math.max(0, size));
        if (size < 0) {
          return null;
        }
        continue;
      }
      byte next = buffer.get();
      if (next == '\n') {
        return new String(line.toByteArray(), StandardCharsets.UTF_8);
      }
      line.write(next);
    }
  }

  void send(Map<String, Object> message) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap((Json.text(message) + "\n").getBytes(StandardCharsets.UTF_8));
    while (bytes.hasRemaining()) {
      socket.write(bytes);
    }
  }
}
