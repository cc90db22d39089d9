import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import javax.tools.SimpleJavaFileObject;

/**
 * A source file, read when the request comes. Its name is the path as the action wrote it, so that
 * neither a sandbox folder nor the exec root gets into diagnostics or classes.
 */
final class JavaSource extends SimpleJavaFileObject {
  private final String name;
  private final String content;

  JavaSource(String name, Path file) throws IOException {
    super(uri("source", name), Kind.SOURCE);
    this.name = name;
    this.content = read(file);
  }

  private static String read(Path file) throws IOException {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (CharacterCodingException error) {
      throw new FileSystemException(file.toString(), null, "no UTF-8 text");
    }
  }

  @Override
  public String getName() {
    return name;
  }

  @Override
  public CharSequence getCharContent(boolean ignoreEncodingErrors) {
    return content;
  }

  /** An absolute URI of a file that has no place of its own on disk. */
  static URI uri(String scheme, String path) {
    try {
      return new URI(scheme, null, "/" + path, null);
    } catch (URISyntaxException error) {
      throw new IllegalArgumentException(path + ": no usable file name", error);
    }
  }
}
