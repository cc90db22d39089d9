/**
 * The bundler: puts modules into one script. A persistent worker that speaks JSON.
 *
 * Arguments: --out FILE, then the modules; the last one is the entry point.
 */
'use strict';

const fs = require('node:fs');
const vm = require('node:vm');
const { serve } = require('./worker_loop.js');

const CACHE_ENTRIES = 1000;

/** Wrapped modules by name and content: the same path may have other content in the next request. */
const wrapped = new Map();

function wrap(path) {
  const source = fs.readFileSync(path, 'utf8');
  const key = `${path}\0${source}`;
  if (!wrapped.has(key)) {
    const text = `function (module, exports, require) {\n${source}\n}`;
    try {
      new vm.Script(`(${text})`, { filename: path });
    } catch (error) {
      throw new Error(`${path}: ${error.message}`);
    }
    if (wrapped.size >= CACHE_ENTRIES) wrapped.clear();
    wrapped.set(key, text);
  }
  return wrapped.get(key);
}

function bundle(args) {
  const [flag, out, ...paths] = args;
  if (flag !== '--out' || paths.length === 0) throw new Error('usage: --out FILE MODULE...');
  const modules = paths.map((path) => `${JSON.stringify(`./${path}`)}: ${wrap(path)}`);
  const script = `(function (modules) {
const made = {};
function load(name) {
  if (!made[name]) {
    made[name] = { exports: {} };
    modules[name](made[name], made[name].exports, load);
  }
  return made[name].exports;
}
load(${JSON.stringify(`./${paths.at(-1)}`)});
})({
${modules.join(',\n')}
});
`;
  fs.writeFileSync(out, script);
}

/** The arguments with flagfiles replaced by their lines, as one-shot runs need it. */
function expanded(args) {
  return args.flatMap((each) =>
    each.startsWith('@') ? fs.readFileSync(each.slice(1), 'utf8').split('\n').filter(Boolean) : [each],
  );
}

if (process.argv.includes('--persistent_worker')) {
  serve(bundle);
} else {
  try {
    bundle(expanded(process.argv.slice(2)));
  } catch (error) {
    process.stderr.write(`bundle: ${error.message}\n`);
    process.exitCode = 1;
  }
}
