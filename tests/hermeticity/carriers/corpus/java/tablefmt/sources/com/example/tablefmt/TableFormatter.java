package com.example.tablefmt;

import java.io.DataInputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Lines up the columns of a table: {@code [--width=N] [--fill=CHARACTER] SOURCE OUTPUT}. */
public final class TableFormatter {
  private TableFormatter() {}

  static void format(List<String> arguments) throws IOException {
    List<String> files = arguments.stream().filter(each -> !each.startsWith("--")).toList();
    for (String each : arguments) {
      Layout layout = Layout.current();
      if (each.startsWith("--width=")) {
        layout.width = Integer.parseInt(each.substring("--width=".length()));
      } else if (each.startsWith("--fill=")) {
        layout.fill = each.substring("--fill=".length());
      }
    }
    List<String> rows = Files.readAllLines(Path.of(files.get(0)));
    Files.write(Path.of(files.get(1)), rows.stream().map(TableFormatter::row).toList());
  }

  private static String row(String line) {
    StringBuilder text = new StringBuilder();
    for (String cell : line.split(",")) {
      text.append(Layout.current().pad(cell)).append('|');
    }
    return text.toString();
  }

  static Answer answer(List<String> arguments) {
    try {
      format(arguments);
      return new Answer(0, "");
    } catch (IOException | RuntimeException error) {
      return new Answer(1, error + "\n");
    }
  }

  record Answer(int exitCode, String output) {}

  public static void main(String[] args) throws Exception {
    if (!args[args.length - 1].equals("--persistent_worker")) {
      List<String> arguments =
          args[0].startsWith("@") ? Files.readAllLines(Path.of(args[0].substring(1))) : List.of(args);
      Answer answer = answer(arguments);
      System.err.print(answer.output());
      System.exit(answer.exitCode());
    }
    PrintStream responses = System.out;
    System.setOut(System.err);
    Wire wire = new Wire(new DataInputStream(System.in), responses);
    // The protocol stays responsive while a thread does the work.
    ExecutorService work = Executors.newSingleThreadExecutor();
    Wire.Request request;
    while ((request = wire.read()) != null) {
      List<String> arguments = request.arguments();
      Future<Answer> answer = work.submit(() -> answer(arguments));
      wire.write(answer.get().exitCode(), answer.get().output(), request.id());
    }
    work.shutdown();
  }
}
