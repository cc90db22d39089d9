import java.util.HashMap;
import java.util.Map;

/** The numbers of instructions; made for the first program. */
final class OpcodeTable {
  private static volatile OpcodeTable instance;

  private final Map<String, Integer> numbers = new HashMap<>();

  private OpcodeTable() {
    String[] names = {"load", "store", "add", "jump", "halt"};
    for (int number = 0; number < names.length; number++) {
      numbers.put(names[number], 16 * number);
    }
  }

  static OpcodeTable get() {
    if (instance == null) {
      synchronized (OpcodeTable.class) {
        if (instance == null) {
          instance = new OpcodeTable();
        }
      }
    }
    return instance;
  }

  String encode(String line) {
    String[] words = line.split(" ");
    Integer number = numbers.get(words[0]);
    if (number == null) {
      throw new IllegalArgumentException("unknown instruction " + words[0]);
    }
    return words.length > 1 ? number + " " + words[1] : number.toString();
  }
}
