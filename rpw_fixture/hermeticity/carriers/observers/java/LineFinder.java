package rpwfixture.observer;

import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.Label;
import jdk.internal.org.objectweb.asm.MethodVisitor;

/** The source file of a class, and the lines on which its fields are set first. */
final class LineFinder extends ClassVisitor implements Places.Finder {
  private final Map<String, Integer> lines = new HashMap<>();
  private final Map<String, Integer> later = new HashMap<>();
  private String source = "";
  private String owner = "";

  LineFinder() {
    super(BirthTransformer.newest());
  }

  @Override
  public String find(Class<?> type, String field) throws java.io.IOException {
    String file = type.getName().replace('.', '/');
    try (InputStream bytes = type.getResourceAsStream("/" + file + ".class")) {
      if (bytes == null) {
        return "";
      }
      new ClassReader(bytes).accept(this, ClassReader.SKIP_FRAMES);
    }
    if (source.isEmpty()) {
      return "";
    }
    String folder = file.substring(0, file.lastIndexOf('/') + 1);
    Integer line = lines.containsKey(field) ? lines.get(field) : later.get(field);
    return folder + source + (line == null ? "" : ":" + line);
  }

  @Override
  public void visit(
      int version, int access, String name, String signature, String base, String[] interfaces) {
    owner = name;
  }

  @Override
  public void visitSource(String file, String debug) {
    source = file == null ? "" : file;
  }

  @Override
  public MethodVisitor visitMethod(
      int access, String name, String type, String signature, String[] exceptions) {
    Map<String, Integer> found = name.startsWith("<") ? lines : later;
    return new MethodVisitor(BirthTransformer.newest()) {
      private int line;

      @Override
      public void visitLineNumber(int number, Label start) {
        line = number;
      }

      @Override
      public void visitFieldInsn(int opcode, String holder, String field, String descriptor) {
        boolean isPut = opcode == 179 || opcode == 181;
        if (isPut && line > 0 && holder.equals(owner)) {
          found.putIfAbsent(field, line);
        }
      }
    };
  }
}
