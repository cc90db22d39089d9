/** Ask V8 about this process, from inside: variables of closures, private fields, live objects. */
'use strict';

const inspector = require('node:inspector');
const vm = require('node:vm');

const GROUP = 'rpw_fixture';
const SLOT = 'rpw_fixture observer slot';
const EXPRESSION = `globalThis[${JSON.stringify(SLOT)}]`;
const TAKE = `function () { ${EXPRESSION}.out = this; }`;
/**
 * A call that stopped at its start is ended by a timeout, which passes during the stop. On a busy
 * machine a short one may pass before the call begins; then the next one is tried.
 */
const CALL_MILLISECONDS = [20, 200, 1000];
const STOP_MILLISECONDS = 300;
const NEVER = new Int32Array(new SharedArrayBuffer(4));

/** A session with V8's inspector in this thread; every answer comes at once. */
class Inspector {
  constructor() {
    this.session = new inspector.Session();
    this.session.connect();
    this.slot = { in: undefined, out: undefined };
    Object.defineProperty(globalThis, SLOT, { value: this.slot, configurable: true });
    /** Addresses of scripts by id; filled by `scripts`. */
    this.urls = new Map();
    this.locations = new WeakMap();
    this.session.on('Debugger.scriptParsed', ({ params }) => this.urls.set(params.scriptId, params.url));
  }

  post(method, params = {}) {
    let answer;
    let failure;
    this.session.post(method, params, (error, result) => {
      failure = error;
      answer = result;
    });
    if (failure) throw new Error(`${method}: ${failure.message}`);
    return answer;
  }

  evaluate(expression) {
    const parameters = { expression, objectGroup: GROUP, silent: true };
    const answer = this.post('Runtime.evaluate', parameters);
    if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description);
    return answer.result;
  }

  /**
   * Run an expression that names private fields of the object in the slot; only this mode allows that
   * outside of the class. It runs at once, but its value comes later, so it goes to the slot.
   */
  evaluatePrivate(expression) {
    this.slot.isDone = false;
    const text = `${expression}; ${EXPRESSION}.isDone = true`;
    this.session.post('Runtime.evaluate', { expression: text, replMode: true, silent: true }, () => {});
    if (!this.slot.isDone) throw new Error('private fields are out of reach in this version of Node.js');
  }

  /** The inspector's id of an object. */
  id(object) {
    this.slot.in = object;
    return this.evaluate(`${EXPRESSION}.in`).objectId;
  }

  /** The object behind an id. */
  value(objectId) {
    this.post('Runtime.callFunctionOn', { objectId, functionDeclaration: TAKE, silent: true });
    const { out } = this.slot;
    this.slot.out = undefined;
    return out;
  }

  /** All live objects with a prototype in their chain, as an array. */
  live(prototype) {
    const prototypeObjectId = this.id(prototype);
    const { objects } = this.post('Runtime.queryObjects', { prototypeObjectId, objectGroup: GROUP });
    return this.value(objects.objectId);
  }

  /** Private fields of an object as pairs of name and value. */
  privates(object) {
    const objectId = this.id(object);
    const { privateProperties = [] } = this.post('Runtime.getProperties', {
      objectId,
      ownProperties: true,
    });
    const names = privateProperties.filter((each) => each.value).map((each) => each.name);
    if (!names.length) return [];
    this.evaluatePrivate(`${EXPRESSION}.out = [${names.map((name) => `${EXPRESSION}.in.${name}`)}]`);
    return names.map((name, index) => [name, this.slot.out[index]]);
  }

  setPrivate(object, name, value) {
    this.slot.in = object;
    this.slot.out = value;
    this.evaluatePrivate(`${EXPRESSION}.in.${name} = ${EXPRESSION}.out`);
  }

  /** Where a function stands, and the scopes around it, the innermost first. */
  closure(callable) {
    const { internalProperties = [] } = this.post('Runtime.getProperties', {
      objectId: this.id(callable),
      ownProperties: true,
    });
    const internal = new Map(internalProperties.map((each) => [each.name, each.value]));
    const { scriptId, lineNumber } = internal.get('[[FunctionLocation]]')?.value ?? {};
    const list = internal.get('[[Scopes]]')?.objectId;
    if (!scriptId || !list) return null;
    const location = { url: this.urls.get(scriptId) ?? '', line: lineNumber + 1 };
    this.locations.set(callable, location);
    return { ...location, scopes: () => this.scopes(list) };
  }

  /** Scopes as objects with `title` and `values`, a copy of the variables. */
  /** Where a function stands; null for one without source. */
  location(callable) {
    return this.locations.get(callable) ?? this.closure(callable);
  }

  scopes(list) {
    const all = Array.prototype.slice.call(this.value(list));
    return all.map(({ description, object }) => ({ title: description, values: object }));
  }

  /** Learn the addresses of all scripts so far. */
  scripts() {
    this.post('Debugger.enable');
    this.post('Debugger.disable');
  }

  release() {
    this.slot.in = this.slot.out = undefined;
    this.post('Runtime.releaseObjectGroup', { objectGroup: GROUP });
  }

  /**
   * Set a variable around a function: call the function, stop before its first statement, set the
   * variable there, and end the call without running any of it.
   *
   * @param depth the scope's index in the function's list of scopes
   * @return the reason for a failure, or ""
   */
  setInClosure(callable, depth, count, name, value) {
    let failure = 'the function could not be stopped at its start';
    const isSet = this.whilePaused(callable, (frame) => {
      const scopeNumber = frame.scopeChain.length - count + depth;
      this.setVariable(frame.callFrameId, scopeNumber, name, value);
      failure = '';
    });
    return isSet ? failure : 'the function could not be stopped at its start';
  }

  setVariable(callFrameId, scopeNumber, variableName, value) {
    this.post('Debugger.setVariableValue', {
      callFrameId,
      scopeNumber,
      variableName,
      newValue: this.argument(value),
    });
  }

  argument(value) {
    this.slot.in = value;
    const { objectId, unserializableValue, ...rest } = this.evaluate(`${EXPRESSION}.in`);
    if (objectId) return { objectId };
    return unserializableValue ? { unserializableValue } : { value: rest.value };
  }

  /** Give the stack of this thread to a function: frames with their scopes, which can be set there. */
  withFrames(act) {
    let failure = null;
    const paused = ({ params }) => {
      try {
        act(params.callFrames);
      } catch (error) {
        failure = error;
      }
    };
    this.post('Debugger.enable');
    this.session.once('Debugger.paused', paused);
    try {
      debugger; // stops here, calls `paused`, and goes on
    } finally {
      this.session.removeListener('Debugger.paused', paused);
      this.post('Debugger.disable');
    }
    if (failure) throw failure;
  }

  /** Call a function, act on its frame before its first statement, and end the call. */
  whilePaused(callable, act) {
    let isDone = false;
    let milliseconds = 0;
    const paused = ({ params }) => {
      try {
        act(params.callFrames[0]);
        isDone = true;
      } catch {
        // It cannot be set there.
      } finally {
        // Asleep, so that the thread that counts the timeout gets its turn. Once the timeout has
        // passed, nothing of the function runs after the stop.
        Atomics.wait(NEVER, 0, 0, milliseconds + STOP_MILLISECONDS);
      }
    };
    this.post('Debugger.enable');
    this.session.on('Debugger.paused', paused);
    try {
      this.post('Debugger.setBreakpointOnFunctionCall', { objectId: this.id(callable) });
      for (milliseconds of CALL_MILLISECONDS) {
        if (isDone) break;
        this.callFor(callable, milliseconds);
      }
    } finally {
      this.session.removeListener('Debugger.paused', paused);
      this.post('Debugger.disable');
    }
    return isDone;
  }

  callFor(callable, timeout) {
    this.slot.call = callable;
    try {
      vm.runInThisContext(`${EXPRESSION}.call()`, { timeout });
    } catch {
      // The timeout, by which the call ends.
    } finally {
      this.slot.call = undefined;
    }
  }
}

module.exports = { Inspector };
