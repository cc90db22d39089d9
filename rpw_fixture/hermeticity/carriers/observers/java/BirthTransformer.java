package rpwfixture.observer;

import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.ClassWriter;
import jdk.internal.org.objectweb.asm.MethodVisitor;
import jdk.internal.org.objectweb.asm.Opcodes;
import jdk.internal.org.objectweb.asm.Type;

/** Lets constructors and class initializers of the tool report to {@link Births}. */
final class BirthTransformer implements ClassFileTransformer {
  static final int API = Opcodes.ASM5;

  @Override
  public byte[] transform(
      ClassLoader loader, String name, Class<?> redefined, ProtectionDomain domain, byte[] bytes) {
    if (domain == null || !Births.isOfTool(loader, domain.getCodeSource())) {
      return null;
    }
    try {
      return Births.isBelowOurs(loader) ? transformed(bytes) : null;
    } catch (Throwable unknownFormat) {
      return null;
    }
  }

  private static byte[] transformed(byte[] bytes) {
    ClassReader reader = new ClassReader(bytes);
    Type owner = Type.getObjectType(reader.getClassName());
    boolean hasClassConstants = reader.readUnsignedShort(6) >= Opcodes.V1_5;
    ClassWriter writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS);
    reader.accept(
        new ClassVisitor(newest(), writer) {
          @Override
          public MethodVisitor visitMethod(
              int access, String name, String type, String signature, String[] exceptions) {
            MethodVisitor next = super.visitMethod(access, name, type, signature, exceptions);
            if (name.equals("<clinit>") && hasClassConstants) {
              return new ReturnVisitor(next, owner);
            }
            return name.equals("<init>") ? new ReturnVisitor(next, null) : next;
          }
        },
        0);
    return writer.toByteArray();
  }

  /** The newest version of the library's interface; an older one refuses newer classes. */
  static int newest() {
    int found = API;
    for (int version = 6; version < 20; version++) {
      try {
        found = Opcodes.class.getField("ASM" + version).getInt(null);
      } catch (ReflectiveOperationException none) {
        break;
      }
    }
    return found;
  }

  /** Adds a call before each return: with the object, or with the class where there is no object. */
  private static final class ReturnVisitor extends MethodVisitor {
    private static final String BIRTHS = "rpwfixture/observer/Births";
    private final Type type;

    ReturnVisitor(MethodVisitor next, Type type) {
      super(newest(), next);
      this.type = type;
    }

    @Override
    public void visitInsn(int opcode) {
      if (opcode == Opcodes.RETURN && type == null) {
        super.visitVarInsn(Opcodes.ALOAD, 0);
        super.visitMethodInsn(Opcodes.INVOKESTATIC, BIRTHS, "born", "(Ljava/lang/Object;)V", false);
      } else if (opcode == Opcodes.RETURN) {
        super.visitLdcInsn(type);
        super.visitMethodInsn(
            Opcodes.INVOKESTATIC, BIRTHS, "initialized", "(Ljava/lang/Class;)V", false);
      }
      super.visitInsn(opcode);
    }
  }
}
