#!/usr/bin/env node
/**
 * A well-behaved JSON worker in Node.js, without packages: the tiny compiler of ../python/good.py.
 *
 * What it shows: requests told apart by their braces, so that neither newlines nor the size of reads
 * matter; console.log sent to stderr, because stdout is the protocol (bazel#4897); a cache keyed by
 * content; failing requests answered; run once without --persistent_worker.
 *
 * Arguments: --in PATH (repeatable), --out PATH, --header TEXT, --fail MESSAGE, --wait-for PATH, @flagfile.
 * Files: worker.js
 */
'use strict';

const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const CACHE_ENTRIES = 256;
const FLAGFILE_DEPTH = 16;
const POLL_MILLISECONDS = 5;

/** A failure whose text is meant for the author of the action. */
class ToolError extends Error {}

const translations = new Map();

function resolve(request, name) {
  return path.join(request.sandboxDir || '', name);
}

function sha256(data) {
  return createHash('sha256').update(data).digest('hex');
}

function reading(name, action) {
  try {
    return action();
  } catch (error) {
    throw new ToolError(`${name}: ${error.code || error.message}`);
  }
}

function readFile(request, name) {
  return reading(name, () => fs.readFileSync(resolve(request, name)));
}

/** The arguments with flagfiles replaced by their lines; @@x and @repo//x stay (Bazel's rule). */
function expand(request, args, depth = FLAGFILE_DEPTH) {
  return args.flatMap((argument) => {
    if (!/^@[^@]/.test(argument) || argument.includes('//')) return [argument];
    if (depth === 0) throw new ToolError(`${argument}: flagfiles are nested too deeply`);
    const lines = readFile(request, argument.slice(1)).toString('utf8').split(/\r\n|\r|\n/);
    if (lines.at(-1) === '') lines.pop();
    return expand(request, lines, depth - 1);
  });
}

function parse(args) {
  const options = { inputs: [], out: '', header: '', fail: '', waitFor: '' };
  const setters = {
    '--in': (value) => options.inputs.push(value),
    '--out': (value) => (options.out = value),
    '--header': (value) => (options.header = value),
    '--fail': (value) => (options.fail = value),
    '--wait-for': (value) => (options.waitFor = value),
  };
  for (let at = 0; at < args.length; at += 2) {
    if (!Object.hasOwn(setters, args[at]) || at + 1 === args.length) {
      throw new ToolError(`${args[at]}: unknown option, or its value is missing`);
    }
    setters[args[at]](args[at + 1]);
  }
  if (!options.out) throw new ToolError('--out is missing');
  return options;
}

/** The upper-case text of an input, remembered under the digest of its content. */
function translate(request, name) {
  const content = readFile(request, name);
  const digest = sha256(content);
  if (!translations.has(digest)) {
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const text = reading(name, () => decoder.decode(content)).toUpperCase().replace(/\n+$/, '');
    if (translations.size >= CACHE_ENTRIES) translations.clear();
    translations.set(digest, text);
  }
  return translations.get(digest);
}

function waitFor(file) {
  const never = new Int32Array(new SharedArrayBuffer(4));
  while (!fs.existsSync(file)) Atomics.wait(never, 0, 0, POLL_MILLISECONDS);
}

function compile(request) {
  const options = parse(expand(request, request.arguments || []));
  const output = resolve(request, options.out);
  fs.rmSync(output, { force: true }); // stale, and perhaps a link to a file that others share
  if (options.waitFor) waitFor(resolve(request, options.waitFor));
  if (options.fail) throw new ToolError(options.fail);
  const parts = options.header ? [options.header] : [];
  parts.push(...options.inputs.map((name) => translate(request, name)));
  const text = `${parts.join('\n')}\n`;
  reading(options.out, () => fs.writeFileSync(output, `${text}sha256 ${sha256(text)}\n`));
}

/** Run one request; whatever it throws becomes its response. */
function answer(request) {
  const response = { exitCode: 0, output: '', requestId: request.requestId || 0 };
  try {
    compile(request);
  } catch (error) {
    response.exitCode = 1;
    response.output = `${error instanceof ToolError ? error.message : error.stack}\n`;
  }
  return response;
}

/** Cuts a stream of bytes into JSON objects by counting braces outside strings. */
class ObjectSplitter {
  constructor() {
    this.pending = [];
    this.depth = 0;
    this.inText = this.escaped = false;
  }

  *push(chunk) {
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      if (this.closes(chunk[at])) {
        yield Buffer.concat([...this.pending, chunk.subarray(start, at + 1)]);
        this.pending = [];
        start = at + 1;
      }
    }
    this.pending.push(chunk.subarray(start));
  }

  /** Take one byte; true if it ends an object. */
  closes(byte) {
    if (this.inText) {
      if (this.escaped) this.escaped = false;
      else if (byte === 0x5c) this.escaped = true;
      else if (byte === 0x22) this.inText = false;
      return false;
    }
    if (byte === 0x22) this.inText = true;
    else if (byte === 0x7b) this.depth += 1;
    else if (byte === 0x7d) return --this.depth <= 0;
    return false;
  }

  /** True if the bytes so far end inside an object. */
  get unfinished() {
    return Buffer.concat(this.pending).toString().trim() !== '';
  }
}

function stop(reason) {
  process.stderr.write(`the worker stops: ${reason}\n`);
  process.exit(1);
}

function serve(startup) {
  console.log = console.info = console.debug = console.error;
  const splitter = new ObjectSplitter();
  process.stdin.on('data', (chunk) => {
    for (const text of splitter.push(chunk)) {
      let request;
      try {
        request = JSON.parse(text);
      } catch (error) {
        stop(error.message);
      }
      // One request at a time: a cancel read here is about one that is answered already.
      if (request.cancel) continue;
      request.arguments = [...startup, ...(request.arguments || [])];
      process.stdout.write(`${JSON.stringify(answer(request))}\n`);
    }
  });
  process.stdin.on('end', () => {
    if (splitter.unfinished) stop('stdin ended inside a request');
  });
}

function main(args) {
  const startup = args.filter((argument) => argument !== '--persistent_worker');
  if (startup.length < args.length) {
    serve(startup);
    return;
  }
  const response = answer({ arguments: args });
  process.stderr.write(response.output);
  process.exitCode = response.exitCode;
}

main(process.argv.slice(2));
