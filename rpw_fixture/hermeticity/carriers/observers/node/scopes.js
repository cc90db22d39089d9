/**
 * Reach the variables of the tool's modules, also those that are not exported.
 *
 * Each module gets one statement in memory, on its first line: it hands over a function that evaluates
 * text in the module's scope. No file is changed, and lines keep their numbers.
 */
'use strict';

const Module = require('node:module');
const path = require('node:path');
const { fileURLToPath } = require('node:url');

const KEY = 'rpw_fixture observer';
/** Scope functions by file; a module that is loaded twice keeps the newest. */
const modules = new Map();

/** The text before a module's first statement: blanks and comments. */
const BEFORE = /^(?:\s+|\/\/[^\n]*(?:\n|$)|\/\*[^]*?\*\/)*/;

function statement(file) {
  const key = JSON.stringify(KEY); // text, not a symbol: the module may have a class Symbol
  const evaluate = '(__rpw,__rpw_value)=>eval(__rpw)';
  return `globalThis[${key}]?.(${JSON.stringify(file)},${evaluate});`;
}

/** Return a module's text with the statement; `'use strict'` keeps its meaning. */
function withStatement(text, file) {
  let rest = text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  if (rest.startsWith('#!')) rest = `//${rest}`;
  const isStrict = /^(['"])use strict\1/.test(rest.slice(BEFORE.exec(rest)[0].length));
  return `${isStrict ? "'use strict';" : ''}${statement(file)}${rest}`;
}

/** Called with each module after its own statements have run. */
let onLoad = null;

function loaded(file) {
  try {
    onLoad?.(file);
  } catch {
    // never into the tool
  }
}

function setOnLoad(action) {
  onLoad = action;
}

function isOurs(file) {
  return file.startsWith(`${__dirname}${path.sep}`);
}

function installCommonJs() {
  const compile = Module.prototype._compile;
  Module.prototype._compile = function _compile(content, filename, ...rest) {
    const isPlain = typeof content === 'string' && rest[0] !== 'module' && !isOurs(filename);
    const text = isPlain ? withStatement(content, filename) : content;
    const made = compile.call(this, text, filename, ...rest);
    if (isPlain) loaded(filename);
    return made;
  };
}

/** The text of the loader hook for ES modules, which Node.js runs in another thread. */
function hook() {
  return `
const statement = ${statement.toString().replace('JSON.stringify(KEY)', JSON.stringify(JSON.stringify(KEY)))};
export async function load(url, context, nextLoad) {
  const loaded = await nextLoad(url, context);
  if (loaded.format !== 'module' || loaded.source == null || !url.startsWith('file:')) return loaded;
  let text = typeof loaded.source === 'string' ? loaded.source : new TextDecoder().decode(loaded.source);
  if (text.startsWith('#!')) text = '//' + text;
  return { ...loaded, source: statement(url) + text };
}`;
}

function installModules() {
  if (!Module.register) return; // Node.js below 20.6: ES modules show only what functions hold
  Module.register(`data:text/javascript,${encodeURIComponent(hook())}`);
}

function install() {
  const take = (file, evaluate) => {
    const isModule = file.startsWith('file:');
    const name = isModule ? fileURLToPath(file) : file;
    modules.set(name, evaluate);
    // An ES module's statements run right after this one, or until its first await.
    if (isModule && onLoad) queueMicrotask(() => loaded(name));
  };
  Object.defineProperty(globalThis, KEY, { value: take, configurable: true });
  installCommonJs();
  installModules();
}

module.exports = { install, modules, isOurs, setOnLoad };
