package rpwfixture.observer;

import java.lang.instrument.ClassFileTransformer;
import java.security.ProtectionDomain;
import jdk.internal.org.objectweb.asm.ClassReader;
import jdk.internal.org.objectweb.asm.ClassVisitor;
import jdk.internal.org.objectweb.asm.ClassWriter;
import jdk.internal.org.objectweb.asm.MethodVisitor;
import jdk.internal.org.objectweb.asm.Opcodes;

/** Lets each constructor of the tool report its object to {@link Births}. */
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
    if ((reader.getAccess() & Opcodes.ACC_INTERFACE) != 0) {
      return null;
    }
    ClassWriter writer = new ClassWriter(reader, ClassWriter.COMPUTE_MAXS);
    reader.accept(
        new ClassVisitor(newest(), writer) {
          @Override
          public MethodVisitor visitMethod(
              int access, String name, String type, String signature, String[] exceptions) {
            MethodVisitor next = super.visitMethod(access, name, type, signature, exceptions);
            return name.equals("<init>") ? new ConstructorVisitor(next) : next;
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

  private static final class ConstructorVisitor extends MethodVisitor {
    ConstructorVisitor(MethodVisitor next) {
      super(newest(), next);
    }

    @Override
    public void visitInsn(int opcode) {
      if (opcode == Opcodes.RETURN) {
        super.visitVarInsn(Opcodes.ALOAD, 0);
        super.visitMethodInsn(
            Opcodes.INVOKESTATIC, "rpwfixture/observer/Births", "born", "(Ljava/lang/Object;)V", false);
      }
      super.visitInsn(opcode);
    }
  }
}
