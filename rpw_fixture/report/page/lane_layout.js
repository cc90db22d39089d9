// Where everything stands in the picture of lanes: workers downwards, time to the right. No drawing here.

import { hasFailed, kindOf } from "./model.js";
import { describeDifference } from "./key_differences.js";
import { niceStep } from "./numbers.js";

export const ROW = 18;
const PADDING = 6;
const NOTE = 16;

// Gives overlapping slices rows of their own; returns the number of rows.
export function assignSlots(slices) {
  slices.sort((one, other) => one.start - other.start || one.end - other.end);
  const ends = [];
  for (const slice of slices) {
    let slot = ends.findIndex((end) => end <= slice.start);
    if (slot < 0) slot = ends.length;
    ends[slot] = slice.end;
    slice.slot = slot;
  }
  return Math.max(1, ends.length);
}

// Returns the lanes of a run: a lane for each worker, neighbours by key, then one-shot and cache.
export function lanesOf(run, recordings = []) {
  const slices = new Map();
  const processes = [];
  const cached = [];
  for (const action of run.actions) {
    for (const request of action.requests || []) add(slices, request.worker, sliceOf(run, action, request));
    if ((action.requests || []).length > 0) continue;
    const kind = kindOf(action);
    if (kind === "cache") cached.push(sliceOf(run, action, null));
    else processes.push(sliceOf(run, action, null));
  }
  const lanes = sortedWorkers(run).map((worker) => laneOf("worker", `worker ${worker.id}`, slices.get(worker.id) || [], worker));
  if (processes.length) lanes.push(laneOf("one-shot", "no worker", processes, null));
  if (cached.length) lanes.push(laneOf("cache", "action cache", cached, null));
  return placed(lanes, run, recordings);
}

function add(groups, name, value) {
  if (!groups.has(name)) groups.set(name, []);
  groups.get(name).push(value);
}

function sliceOf(run, action, request) {
  const start = request ? request.sent : action.start;
  const end = (request ? request.received : action.end) ?? action.end ?? run.end;
  return { action, request, start, end: Math.max(end, start), slot: 0, kind: kindOf(action), failed: hasFailed(action) };
}

function laneOf(kind, title, slices, worker) {
  const slots = assignSlots(slices);
  const longest = slices.reduce((most, each) => Math.max(most, each.end - each.start), 0);
  return { kind, title, slices, worker, slots, longest };
}

// Workers of one tool stand together, then those of one key, the first started first.
function sortedWorkers(run) {
  const first = new Map();
  const tool = (worker) => (worker.arguments || []).join(" ");
  const note = (name, worker) => first.set(name, Math.min(first.get(name) ?? Infinity, worker.start));
  for (const worker of run.workers) {
    note(tool(worker), worker);
    note(worker.key, worker);
  }
  const order = (worker) => [first.get(tool(worker)), first.get(worker.key), worker.start, worker.id];
  return [...run.workers].sort((one, other) => {
    const [left, right] = [order(one), order(other)];
    const at = left.findIndex((value, index) => value !== right[index]);
    return at < 0 ? 0 : left[at] - right[at];
  });
}

function placed(lanes, run, recordings) {
  let top = 0;
  lanes.forEach((lane, index) => {
    const before = lanes[index - 1];
    lane.note = before && before.worker && lane.worker ? describeDifference(run, before.worker, lane.worker, recordings) : "";
    lane.noteTop = top;
    top += lane.note ? NOTE : 0;
    lane.top = top;
    lane.height = lane.slots * ROW + PADDING;
    top += lane.height;
  });
  return { lanes, height: top };
}

// Returns the slices of a lane that can be seen between two times.
export function visible(lane, from, to) {
  const first = lowerBound(lane.slices, from - lane.longest);
  const found = [];
  for (let index = first; index < lane.slices.length && lane.slices[index].start <= to; index += 1) {
    if (lane.slices[index].end >= from) found.push(lane.slices[index]);
  }
  return found;
}

function lowerBound(slices, time) {
  let [low, high] = [0, slices.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (slices[middle].start < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// A span of time that is shown. Every change returns a new one, within `begin` and `end`.
// A server may wait for its first action for a long time; that wait is not shown.
export function fitted(run) {
  const first = Math.min(run.end, ...[run.workers, run.actions].map((rows) => rows.reduce((least, each) => Math.min(least, each.start), Infinity)));
  const begin = Math.max(0, first - Math.max(run.end - first, 1e-3) * 0.01);
  const end = Math.max(run.end, begin + 1e-3);
  return { from: begin, to: end, begin, end };
}

export function zoomed(view, factor, around) {
  const span = Math.min(Math.max((view.to - view.from) * factor, 1e-5), view.end - view.begin);
  const share = (around - view.from) / (view.to - view.from);
  return within({ ...view, from: around - span * share, to: around + span * (1 - share) });
}

export function moved(view, seconds) {
  return within({ ...view, from: view.from + seconds, to: view.to + seconds });
}

function within(view) {
  const span = Math.min(view.to - view.from, view.end - view.begin);
  const from = Math.min(Math.max(view.from, view.begin), view.end - span);
  return { ...view, from, to: from + span };
}

// Returns a span that shows a slice, unless it can be seen already.
export function revealing(view, slice) {
  if (slice.start >= view.from && slice.end <= view.to) return view;
  const span = Math.max(view.to - view.from, (slice.end - slice.start) * 1.5);
  const middle = (slice.start + slice.end) / 2;
  return within({ ...view, from: middle - span / 2, to: middle + span / 2 });
}

export function ticks(view, width) {
  const step = niceStep(view.to - view.from, width / 110);
  const found = [];
  for (let index = Math.ceil(view.from / step); index * step <= view.to; index += 1) found.push(index * step);
  return { step, times: found };
}

// Returns the slice at a place, the closest one within a few pixels.
export function hit(layout, view, width, x, y) {
  const lane = layout.lanes.find((each) => y >= each.top && y < each.top + each.height);
  if (!lane) return null;
  const slot = Math.floor((y - lane.top - PADDING / 2) / ROW);
  const scale = (view.to - view.from) / width;
  const time = view.from + x * scale;
  const near = visible(lane, time - 3 * scale, time + 3 * scale).filter((each) => each.slot === slot);
  const distance = (slice) => Math.max(slice.start - time, time - slice.end, 0);
  return near.sort((one, other) => distance(one) - distance(other))[0] || null;
}

// Returns the slice that an arrow key leads to.
export function neighbour(layout, slice, key) {
  const filled = layout.lanes.filter((each) => each.slices.length);
  if (!slice) return filled.length ? filled[0].slices[0] : null;
  const row = filled.findIndex((each) => each.slices.includes(slice));
  const lane = filled[row];
  const place = lane.slices.indexOf(slice);
  if (key === "ArrowRight") return lane.slices[place + 1] || slice;
  if (key === "ArrowLeft") return lane.slices[place - 1] || slice;
  const other = filled[row + (key === "ArrowDown" ? 1 : -1)];
  if (!other) return slice;
  const index = Math.min(lowerBound(other.slices, slice.start), other.slices.length - 1);
  return other.slices[index];
}

export function laneWith(layout, slice) {
  return layout.lanes.find((each) => each.slices.includes(slice)) || null;
}
