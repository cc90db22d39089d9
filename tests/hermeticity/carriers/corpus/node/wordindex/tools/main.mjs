// Wordindex: the lines of each word of a text.
import { readFileSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

import { Index } from './index.mjs';

function run(args) {
  const words = args.flatMap((each) =>
    each.startsWith('@') ? readFileSync(each.slice(1), 'utf8').trim().split('\n') : [each],
  );
  const [source, output] = words;
  const index = Index.of(readFileSync(source, 'utf8'));
  writeFileSync(output, index.encode());
}

function answer(request) {
  try {
    run(request.arguments ?? []);
  } catch (error) {
    return { exitCode: 1, output: `${error.message}\n`, requestId: request.requestId ?? 0 };
  }
  return { exitCode: 0, output: '', requestId: request.requestId ?? 0 };
}

if (process.argv[2] === '--persistent_worker') {
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(answer(JSON.parse(line))));
  }
} else {
  const response = answer({ arguments: process.argv.slice(2) });
  process.stderr.write(response.output);
  process.exitCode = response.exitCode;
}
