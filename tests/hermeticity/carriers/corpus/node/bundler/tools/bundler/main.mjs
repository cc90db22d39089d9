// Bundler: joins a module and what it imports into one file.
import fs from 'node:fs';
import process from 'node:process';
import readline from 'node:readline';

import { bundle } from './bundle.mjs';
import { createResolver } from './resolver.mjs';

const resolve = createResolver({ extensions: ['.js', '.json'] });

function run(args) {
  if (args.length === 1 && args[0].startsWith('@')) {
    args = fs.readFileSync(args[0].slice(1), 'utf8').trim().split('\n');
  }
  const [entry, output] = args;
  fs.writeFileSync(output, bundle(entry, resolve));
}

function answer({ arguments: args = [], requestId = 0 }) {
  try {
    run(args);
    return { exitCode: 0, output: '', requestId };
  } catch (error) {
    return { exitCode: 1, output: `bundler: ${error.message}\n`, requestId };
  }
}

if (process.argv.includes('--persistent_worker')) {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + '\n');
  }
} else {
  const { exitCode, output } = answer({ arguments: process.argv.slice(2) });
  process.stderr.write(output);
  process.exitCode = exitCode;
}
