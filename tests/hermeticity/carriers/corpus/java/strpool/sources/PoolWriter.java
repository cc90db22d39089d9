import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** Replaces the words of a text by their places in a pool, and writes pool and places. */
final class PoolWriter {
  private final StringPool pool = StringPool.instance();

  void write(Path source, Path output) throws IOException {
    List<String> result = new ArrayList<>();
    for (String line : Files.readAllLines(source)) {
      StringBuilder code = new StringBuilder("code");
      for (String word : line.split("\\s+")) {
        code.append(' ').append(pool.intern(word));
      }
      result.add(code.toString());
    }
    for (int place = 0; place < pool.size(); place++) {
      result.add(place + " " + pool.get(place));
    }
    Files.write(output, result);
  }
}
