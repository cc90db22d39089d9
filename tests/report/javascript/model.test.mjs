// What rows mean, what keys differ in, how evidence is read, how runs are compared.

import assert from "node:assert/strict";
import { test } from "node:test";
import { changedActions, changedFigures, changedFindings } from "../../../rpw_fixture/report/page/compare.js";
import { pieces, printable } from "../../../rpw_fixture/report/page/evidence.js";
import { curve } from "../../../rpw_fixture/report/page/growth.js";
import { comparison, describeDifference, keysByTool } from "../../../rpw_fixture/report/page/key_differences.js";
import { actionsOf, ofCode, stateOf } from "../../../rpw_fixture/report/page/matrix.js";
import { applyChanges, hasFailed, kindOf, mergeChanges, phasesOf, predecessors, search } from "../../../rpw_fixture/report/page/model.js";
import { bytes, median, niceStep, percent, seconds, theilSen } from "../../../rpw_fixture/report/page/numbers.js";
import { cells, marked, others } from "../../../rpw_fixture/report/page/difference.js";
import { accessOf, folders, joined, stateOfInput, withUndeclared } from "../../../rpw_fixture/report/page/input_tree.js";
import { sorted } from "../../../rpw_fixture/report/page/actions.js";
import { shownRange } from "../../../rpw_fixture/report/page/virtual_list.js";

const base = { id: 0, action: "abc", target: "//a:b", mnemonic: "Javac", mode: "worker", reason: "flagfile", reused: true, exit: 0, status: "OK", start: 0, end: 1, seconds: 1, requests: [] };

test("numbers are written as people read them", () => {
  assert.deepEqual([0.0001, 0.0042, 0.25, 0.9999, 3.14159, 42, 200, 7300].map(seconds), ["0.10 ms", "4.2 ms", "250 ms", "1.00 s", "3.14 s", "42.0 s", "3 min 20 s", "2 h 1 min"]);
  assert.deepEqual([0, 1023, 2048, 20 << 20].map(bytes), ["0 B", "1023 B", "2.0 KiB", "20 MiB"]);
  assert.equal(seconds(null), "unknown");
  assert.equal(percent(null), "–");
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([]), null);
  assert.equal(niceStep(10, 5), 2);
  assert.equal(theilSen([1, 3, 5, 70, 9]), 2);
});

test("how an action ran", () => {
  assert.equal(kindOf(base), "warm");
  assert.equal(kindOf({ ...base, reused: false }), "cold");
  assert.equal(kindOf({ ...base, mode: "one-shot" }), "one-shot");
  assert.equal(kindOf({ ...base, cached: true }), "cache");
  assert.equal(kindOf({ ...base, end: null }), "unfinished");
  assert.ok(hasFailed({ ...base, exit: 1 }));
  assert.ok(hasFailed({ ...base, exit: null, status: "ABORTED" }));
  assert.ok(!hasFailed({ ...base, end: null, exit: 1 }));
});

test("search needs every word, in any field", () => {
  const other = { ...base, id: 1, target: "//x:y", exit: 1, requests: [{ worker: 3 }] };
  const found = (text) => search([base, other], text).map((each) => each.id);
  assert.deepEqual(found(""), [0, 1]);
  assert.deepEqual(found("JAVAC //x"), [1]);
  assert.deepEqual(found("failed"), [1]);
  assert.deepEqual(found("worker:3"), [1]);
  assert.deepEqual(found("nothing"), []);
});

test("predecessors are those of the same worker, the newest first", () => {
  const at = (id, worker, sent) => ({ ...base, id, worker, requests: [{ worker, id: 0, sent, received: sent + 1 }] });
  const run = { actions: [at(0, 1, 1), at(1, 2, 2), at(2, 1, 3), at(3, 1, 5)] };
  assert.deepEqual(predecessors(run, run.actions[3]).map((each) => each.action.id), [2, 0]);
  assert.deepEqual(predecessors(run, base), []);
});

test("phases are differences of their ends", () => {
  const found = phasesOf({ phases: { queued: 0.1, staged: 0.1, executed: 0.5, replied: 0.6 } });
  assert.deepEqual(found.map((each) => [each.name, Number(each.seconds.toFixed(3))]), [["queued", 0.1], ["staged", 0], ["executed", 0.4], ["replied", 0.1]]);
});

test("changed rows of a live page replace those with their id", () => {
  const run = { actions: [{ ...base, end: null }], workers: [], end: 1 };
  applyChanges(run, { actions: [base, { ...base, id: 1 }], workers: [{ id: 4 }], end: 7 });
  assert.deepEqual([run.actions.length, run.actions[0].end, run.workers.length, run.end], [2, 1, 1, 7]);
});

const keyed = {
  tools: [[["t.py", "a".repeat(64)]], [["t.py", "b".repeat(64)], ["new.py", "c"]]],
  workers: [
    { id: 1, key: "k1", arguments: ["python3", "t.py", "--persistent_worker"], tools: 0, parts: { "cache-silo-key": "blue" } },
    { id: 2, key: "k1", arguments: ["python3", "t.py", "--persistent_worker"], tools: 0, parts: { "cache-silo-key": "blue" } },
    { id: 3, key: "k2", arguments: ["python3", "t.py", "--persistent_worker"], tools: 1, parts: {} },
  ],
  actions: [],
};

test("keys of a tool are compared part by part", () => {
  const [tool] = keysByTool(keyed);
  assert.equal(tool.name, "python3 t.py");
  assert.deepEqual(tool.keys.map((each) => each.workers), [[1, 2], [3]]);
  const differing = comparison(keyed, tool.keys).filter((each) => each.differs).map((each) => each.name);
  assert.deepEqual(differing, ["tool input t.py", "cache-silo-key", "tool input new.py"]);
});

test("the difference of two keys is said in words", () => {
  const [one, same, other] = keyed.workers;
  assert.equal(describeDifference(keyed, one, same), "");
  assert.equal(describeDifference(keyed, one, other), "tool input t.py: aaaaaaaa… → bbbbbbbb…; cache-silo-key removed; tool input new.py added");
});

test("where the log has no difference, what the server said is used", () => {
  const bare = { tools: [[]], workers: [{ id: 1, key: "k1", arguments: ["t"], tools: 0 }, { id: 2, key: "k2", arguments: ["t"], tools: 0 }], actions: [{ key: "k2", closest: { worker: 1, differences: ["container: a → b"] } }] };
  assert.equal(describeDifference(bare, ...bare.workers), "container: a → b");
  assert.match(describeDifference({ ...bare, actions: [] }, ...bare.workers), /not in the log/);
});

test("evidence becomes pieces of text, lines and bytes", () => {
  const text = "ran twice\nout/a.txt:\n  --- fresh worker\n  +++ after the polluters\n  @@ -1,3 +1,3 @@\n   same\n  -old\n  +new\n  +more\nout/b.bin: first difference at byte 7: 41 0a (fresh worker), (end) (after the polluters); 9 and 7 bytes\nlast";
  const [first, lines, inBytes, last] = pieces(text);
  assert.deepEqual([first.text, last.text], ["ran twice", "last"]);
  assert.deepEqual([lines.path, lines.left, lines.right], ["out/a.txt", "fresh worker", "after the polluters"]);
  assert.deepEqual(lines.rows.slice(1), [{ left: "same", right: "same", same: true }, { left: "old", right: "new", same: false }, { left: null, right: "more", same: false }]);
  assert.deepEqual([inBytes.path, inBytes.at, inBytes.left, inBytes.right, inBytes.sizes], ["out/b.bin", 7, "41 0a", "(end)", [9, 7]]);
  assert.equal(printable("41 0a"), "A·");
  assert.deepEqual(pieces(""), []);
});

test("a cell of the matrix is of the action's finding, else of the code", () => {
  const check = { actions: 3, action_names: ["a", "b", "c"], checks: [], accepted: [{ code: "R1", victim: "c", polluters: [] }], findings: [{ code: "R1", victim: "b", polluters: ["a"] }] };
  const state = { code: "R1", status: "failed" };
  assert.deepEqual(actionsOf(check), ["a", "b", "c"]);
  assert.deepEqual(["a", "b", "c"].map((each) => stateOf(check, state, each)), ["polluter", "failed", "accepted"]);
  assert.equal(stateOf(check, { code: "R2", status: "skipped" }, "a"), "skipped");
  assert.equal(stateOf(check, { code: "R2", status: "skipped", applicable: false }, "a"), "not-applicable");
  assert.equal(ofCode({ status: "skipped", applicable: true }), "skipped");
  assert.equal(ofCode({ status: "passed", applicable: false }), "passed");
});

test("changes that wait while a page is paused keep the newest row of each", () => {
  const first = { actions: [{ id: 1, end: null }, { id: 2, end: 3 }], workers: [], summary: 1, worker_starts: ["why"], end: 3 };
  const merged = mergeChanges(mergeChanges(null, first), { actions: [{ id: 1, end: 4 }], workers: [{ id: 9 }], summary: 2, end: 4 });
  assert.deepEqual(merged, { actions: [{ id: 1, end: 4 }, { id: 2, end: 3 }], workers: [{ id: 9 }], summary: 2, worker_starts: ["why"], end: 4 });
  const run = applyChanges({ actions: [], workers: [] }, merged);
  assert.deepEqual([run.worker_starts, run.summary], [["why"], 2]);
});

test("bytes of a row are compared one by one, and a shorter row is filled up", () => {
  const found = cells("41420a", "41430a00");
  assert.deepEqual(found.slice(0, 4), [["41", "A", false], ["42", "B", true], ["0a", "·", false], ["  ", " ", true]]);
  assert.equal(found.length, 16);
  assert.deepEqual(marked(found, 0, " ").slice(0, 3), [["41 ", false], ["42", true], [" 0a ", false]]);
  assert.deepEqual(marked(found, 1, "").slice(0, 2), [["A", false], ["B", true]]);
});

test("what differences show is left out of the evidence, and nothing else", () => {
  const found = pieces("check edited a\nout/c.zip!text:\n  --- fresh\n  +++ after\n  @@ -1 +1 @@\n  -a\n  +b\nout/c.zip!new: absent (fresh), 3 bytes (after)\nout/c.zipper: 1");
  assert.deepEqual(others(found, [{ path: "out/c.zip" }]).map((each) => each.text.trim()), ["check edited a", "out/c.zipper: 1"]);
  assert.deepEqual(others(found, []), found);
});

test("inputs have a state only where a check watched their action", () => {
  const access = { action: "//a:b Javac", read: ["x", "t"], unread: ["y"], undeclared: ["/etc/z"] };
  assert.equal(accessOf([{}, { accesses: [access] }], "//a:b Javac"), access);
  assert.equal(accessOf([{ accesses: [access] }], "//a:c Javac"), null);
  assert.deepEqual(["x", "y", "/etc/z", "other"].map((each) => stateOfInput(access, each)), ["read", "unread", "undeclared", ""]);
  assert.equal(stateOfInput(null, "x"), "");
  assert.deepEqual(withUndeclared([["x", "d", false]], access), [["x", "d", false], ["/etc/z", "", false]]);
  assert.deepEqual(joined([["t", "d", true]], access).map(([path]) => path), ["t", "x", "y"]);
});

test("a curve has a fitted line and stays within its box", () => {
  const { slope, points } = curve([0, 2, 4, 6], 300, 100);
  assert.equal(slope, 2);
  assert.deepEqual([points[0], points[3]], [[0, 100], [300, 0]]);
  assert.ok(curve([5, 5], 300, 100).points.flat().every(Number.isFinite));
});

test("runs are compared by target and mnemonic", () => {
  const run = (actions) => ({ actions, workers: [], violations: [], end: 1, summary: { actions: actions.length, failed: 0, workers: 0, reuse: null } });
  const changes = changedActions(run([base, { ...base, target: "//gone" }]), run([{ ...base, reused: false }, { ...base, target: "//new" }]));
  assert.deepEqual(changes.map((each) => [each.title, each.before, each.after]), [["//a:b Javac", "warm worker", "fresh worker"], ["//new Javac", "absent", "warm worker"], ["//gone Javac", "warm worker", "absent"]]);
  assert.deepEqual(changedFigures(run([base]), run([])).filter((each) => each.changed).map((each) => each.name), ["actions"]);
});

test("findings are compared by what identifies them", () => {
  const finding = (victim) => ({ code: "R1", victim, polluters: [], outputs: [] });
  const { appeared, gone, stayed } = changedFindings({ findings: [finding("a"), finding("b")] }, { findings: [finding("b"), finding("c")] });
  assert.deepEqual([appeared, gone, stayed].map((list) => list.map((each) => each.victim)), [["c"], ["a"], ["b"]]);
});

test("actions are sorted, and files become folders", () => {
  const list = [{ ...base, id: 0, seconds: 1 }, { ...base, id: 1, seconds: 3, exit: 2, start: 1 }];
  assert.deepEqual(sorted(list, "seconds").map((each) => each.id), [1, 0]);
  assert.deepEqual(sorted(list, "outcome").map((each) => each.id), [1, 0]);
  const root = folders([["a/b/c.txt", "d/1", false], ["a/t.py", "d/2", true]]);
  assert.deepEqual([...root.folders.get("a").folders.keys()], ["b"]);
  assert.deepEqual(root.folders.get("a").files, [{ path: "a/t.py", name: "t.py", digest: "d/2", isTool: true }]);
});

test("only rows that can be seen are drawn", () => {
  assert.deepEqual(shownRange(0, 340, 10000), { first: 0, last: 18 });
  const { first, last } = shownRange(34 * 5000, 340, 10000);
  assert.ok(first > 4900 && last < 5100);
});
