// The layout of lanes: slots, what is visible, what is hit, what a zoom shows.

import assert from "node:assert/strict";
import { test } from "node:test";
import { assignSlots, fitted, hit, lanesOf, moved, neighbour, revealing, ticks, visible, zoomed } from "../../../rpw_fixture/report/page/lane_layout.js";

function action(id, requests, more = {}) {
  return { id, action: `${id}`, target: `//:${id}`, mnemonic: "M", mode: "worker", reused: true, start: requests[0]?.sent ?? 0, end: requests.at(-1)?.received ?? 1, requests, ...more };
}

function run() {
  const request = (worker, sent, received) => ({ worker, id: 0, sent, received });
  return {
    end: 10,
    tools: [[["tool.py", "a"]], [["tool.py", "b"]]],
    workers: [
      { id: 1, key: "k1", arguments: ["tool.py"], tools: 0, start: 1, end: 9, reason: "idle" },
      { id: 2, key: "k2", arguments: ["tool.py"], tools: 1, start: 2, end: null },
      { id: 3, key: "k1", arguments: ["tool.py"], tools: 0, start: 3, end: null },
    ],
    actions: [
      action(0, [request(1, 1, 2)]), action(1, [request(1, 1.5, 3)]), action(2, [request(1, 4, 5)]), action(3, [request(2, 4, null)], { end: null }),
      action(4, [], { mode: "one-shot", start: 6, end: 7, worker: null }), action(5, [], { mode: "cache", cached: true, start: 8, end: 8, worker: null }),
    ],
  };
}

test("overlapping slices get slots of their own, and slots are used again", () => {
  const slices = [{ start: 0, end: 2 }, { start: 1, end: 3 }, { start: 2, end: 4 }];
  assert.equal(assignSlots(slices), 2);
  assert.deepEqual(slices.map((each) => each.slot), [0, 1, 0]);
});

test("workers of one key stand together, then processes and the cache", () => {
  const { lanes } = lanesOf(run());
  assert.deepEqual(lanes.map((each) => each.title), ["worker 1", "worker 3", "worker 2", "no worker", "action cache"]);
  assert.deepEqual(lanes.map((each) => each.slots), [2, 1, 1, 1, 1]);
});

test("a note says how the key differs from the lane above", () => {
  const { lanes } = lanesOf(run());
  assert.deepEqual(lanes.map((each) => each.note), ["", "", "tool input tool.py: a → b", "", ""]);
});

test("lanes do not overlap", () => {
  const { lanes, height } = lanesOf(run());
  lanes.slice(1).forEach((lane, index) => assert.ok(lane.top >= lanes[index].top + lanes[index].height));
  assert.equal(height, lanes.at(-1).top + lanes.at(-1).height);
});

test("a request without response lasts until the end of the log", () => {
  const { lanes } = lanesOf(run());
  assert.equal(lanes[2].slices[0].end, 10);
});

test("visible finds long slices that began before", () => {
  const slices = [{ start: 0, end: 100 }, ...Array.from({ length: 50 }, (_, index) => ({ start: index, end: index + 0.5 }))].sort((one, other) => one.start - other.start);
  const lane = { slices, longest: 100 };
  assert.deepEqual(visible(lane, 30.6, 30.9), [{ start: 0, end: 100 }]);
  assert.equal(visible(lane, 30, 31).length, 3);
});

test("zoom keeps the time under the pointer, and never leaves the run", () => {
  const all = { from: 0, to: 10, begin: 0, end: 10 };
  const near = zoomed(all, 0.5, 2);
  assert.deepEqual([near.from, near.to], [1, 6]);
  assert.deepEqual([moved(near, 100).from, moved(near, 100).to], [5, 10]);
  assert.deepEqual([zoomed(near, 100, 2).from, zoomed(near, 100, 2).to], [0, 10]);
});

test("the wait before the first worker is not shown", () => {
  const { from, to } = fitted({ end: 20, workers: [{ start: 15 }], actions: [{ start: 16 }] });
  assert.ok(from > 14.8 && from < 15);
  assert.equal(to, 20);
  const { from: begin, to: end } = fitted({ end: 0, workers: [], actions: [] });
  assert.ok(begin < end);
});

test("a slice that is far away is moved into view", () => {
  const view = revealing({ from: 0, to: 1, begin: 0, end: 10 }, { start: 8, end: 8.1 });
  assert.ok(view.from < 8 && view.to > 8.1);
  assert.ok(Math.abs(view.to - view.from - 1) < 1e-9);
});

test("a click finds the slice of its slot, also a narrow one", () => {
  const layout = lanesOf(run());
  const view = { from: 0, to: 10, begin: 0, end: 10 };
  const lane = layout.lanes[0];
  assert.equal(hit(layout, view, 1000, 170, lane.top + 5).action.id, 0);
  assert.equal(hit(layout, view, 1000, 170, lane.top + 5 + 18).action.id, 1);
  assert.equal(hit(layout, view, 1000, 350, lane.top + 5), null);
  assert.equal(hit(layout, view, 1000, 802, layout.lanes[4].top + 5).action.id, 5);
  assert.equal(hit(layout, view, 1000, 10, 9999), null);
});

test("arrow keys go through all lanes with slices", () => {
  const layout = lanesOf(run());
  const first = neighbour(layout, null, "");
  assert.equal(first.action.id, 0);
  assert.equal(neighbour(layout, first, "ArrowRight").action.id, 1);
  assert.equal(neighbour(layout, first, "ArrowLeft"), first);
  assert.equal(neighbour(layout, first, "ArrowDown").action.id, 3);
  assert.equal(neighbour(layout, first, "ArrowUp"), first);
});

test("ticks are round and within the view", () => {
  const { step, times } = ticks({ from: 9.2, to: 21.4 }, 1100);
  assert.equal(step, 2);
  assert.deepEqual(times, [10, 12, 14, 16, 18, 20]);
});
