import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.FileSystemException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.zip.ZipEntry;
import java.util.zip.ZipException;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.JavaFileObject.Kind;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardLocation;

/**
 * What one request's compilation sees: the JDK's classes from a file manager that lives on, and the
 * request's own class path, opened for it alone.
 *
 * <p>A standard file manager would remember jars by their path and so give a later request the
 * classes of an earlier one. Here nothing of the user's outlives {@link #close}.
 */
final class RequestFiles extends ForwardingJavaFileManager<JavaFileManager> {
  private final List<JarFile> jars = new ArrayList<>();
  private final Map<String, List<JavaFileObject>> classesByPackage = new HashMap<>();
  private final TreeMap<String, CompiledClass> compiled = new TreeMap<>();

  /** The platform's manager answers for all but class path and output, and isn't closed here. */
  RequestFiles(JavaFileManager platform) {
    super(platform);
  }

  /** Adds a jar to the end of the class path. */
  void addJar(String name, Path file) throws IOException {
    JarFile jar = open(file);
    jars.add(jar);
    jar.stream()
        .filter(entry -> entry.getName().endsWith(".class"))
        .forEach(entry -> addClass(name, jar, entry));
  }

  private static JarFile open(Path file) throws IOException {
    try {
      return new JarFile(file.toFile());
    } catch (ZipException error) {
      throw new FileSystemException(file.toString(), null, error.getMessage());
    }
  }

  private void addClass(String jarName, JarFile jar, ZipEntry entry) {
    String path = entry.getName();
    String packageName = path.substring(0, Math.max(0, path.lastIndexOf('/'))).replace('/', '.');
    classesByPackage
        .computeIfAbsent(packageName, unused -> new ArrayList<>())
        .add(new JarClass(jarName, jar, entry));
  }

  /** The classes compiled so far, by their path in a jar, sorted. */
  Map<String, byte[]> compiledClasses() {
    TreeMap<String, byte[]> contents = new TreeMap<>();
    compiled.forEach((path, file) -> contents.put(path, file.bytes.toByteArray()));
    return contents;
  }

  @Override
  public Iterable<JavaFileObject> list(
      Location location, String packageName, Set<Kind> kinds, boolean recurse) throws IOException {
    if (location != StandardLocation.CLASS_PATH) {
      return super.list(location, packageName, kinds, recurse);
    }
    if (!kinds.contains(Kind.CLASS)) {
      return List.of();
    }
    if (!recurse) {
      return classesByPackage.getOrDefault(packageName, List.of());
    }
    return classesByPackage.entrySet().stream()
        .filter(entry -> (entry.getKey() + ".").startsWith(packageName + "."))
        .flatMap(entry -> entry.getValue().stream())
        .toList();
  }

  @Override
  public boolean hasLocation(Location location) {
    return location == StandardLocation.CLASS_PATH
        || location == StandardLocation.CLASS_OUTPUT
        || super.hasLocation(location);
  }

  @Override
  public String inferBinaryName(Location location, JavaFileObject file) {
    return file instanceof JarClass jarClass
        ? jarClass.binaryName()
        : super.inferBinaryName(location, file);
  }

  @Override
  public JavaFileObject getJavaFileForOutput(
      Location location, String className, Kind kind, FileObject sibling) {
    CompiledClass file = new CompiledClass(className.replace('.', '/') + kind.extension, kind);
    compiled.put(file.path, file);
    return file;
  }

  /** Refuses every option: a source or module path would stay in the long-lived file manager. */
  @Override
  public boolean handleOption(String option, Iterator<String> rest) {
    return false;
  }

  @Override
  public int isSupportedOption(String option) {
    return -1;
  }

  @Override
  public boolean isSameFile(FileObject one, FileObject other) {
    return one.equals(other);
  }

  /** Closes the class path; the platform's file manager stays open. */
  @Override
  public void close() {
    for (JarFile jar : jars) {
      try {
        jar.close();
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  private static final class JarClass extends SimpleJavaFileObject {
    private final JarFile jar;
    private final ZipEntry entry;

    JarClass(String jarName, JarFile jar, ZipEntry entry) {
      super(JavaSource.uri("jar-entry", jarName + "!/" + entry.getName()), Kind.CLASS);
      this.jar = jar;
      this.entry = entry;
    }

    String binaryName() {
      String path = entry.getName();
      return path.substring(0, path.length() - Kind.CLASS.extension.length()).replace('/', '.');
    }

    @Override
    public InputStream openInputStream() throws IOException {
      return jar.getInputStream(entry);
    }
  }

  private static final class CompiledClass extends SimpleJavaFileObject {
    private final String path;
    private final ByteArrayOutputStream bytes = new ByteArrayOutputStream();

    CompiledClass(String path, Kind kind) {
      super(JavaSource.uri("compiled", path), kind);
      this.path = path;
    }

    @Override
    public OutputStream openOutputStream() {
      return bytes;
    }
  }
}
