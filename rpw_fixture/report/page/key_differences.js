// What makes two pool keys differ, in words. Logs of older versions have start-up arguments and tool inputs
// only; a recording has the rest of the key.

const RECORDED = {
  key: "persistentWorkerKey",
  protocol: "protocol",
  working_directory: "working directory",
};

// Returns the parts of a worker's key by name.
export function partsOf(run, worker, recordings = []) {
  const parts = new Map();
  (worker.arguments || []).forEach((each, index) => parts.set(`startup argument ${index}`, each));
  for (const [path, digest] of run.tools[worker.tools] || []) parts.set(`tool input ${path}`, digest);
  for (const [name, value] of Object.entries(worker.parts || {})) parts.set(name, value);
  if (!parts.has("persistentWorkerKey")) for (const [name, value] of recordedParts(worker.key, recordings)) parts.set(name, value);
  return parts;
}

function recordedParts(key, recordings) {
  for (const recording of recordings) {
    const row = Object.values(recording.actions).find((each) => each.pool === key);
    if (!row) continue;
    const found = Object.entries(RECORDED).filter(([field]) => row[field]).map(([field, name]) => [name, row[field]]);
    const variables = Object.entries(row.environment || {}).map(([name, value]) => [`environment ${name}`, value]);
    const abilities = (row.abilities || []).map((each) => [`ability ${each}`, "yes"]);
    return [...found, ...variables, ...abilities];
  }
  return [];
}

// Returns names, and the values of both sides, of the parts that differ.
export function differences(one, other) {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names]
    .filter((name) => one.get(name) !== other.get(name))
    .map((name) => ({ name, before: one.get(name), after: other.get(name) }));
}

export function short(value) {
  if (value === undefined) return "absent";
  const digest = /^([0-9a-f]{8})[0-9a-f]{24,}(\/\d+)?$/.exec(value);
  return digest ? `${digest[1]}…` : value;
}

function inWords({ name, before, after }) {
  if (before === undefined) return `${name} added${name.startsWith("tool input") ? "" : `: ${short(after)}`}`;
  if (after === undefined) return `${name} removed`;
  return `${name}: ${short(before)} → ${short(after)}`;
}

// Returns how a worker's key differs from the one above it; empty for equal keys.
export function describeDifference(run, above, worker, recordings = []) {
  if (above.key === worker.key) return "";
  const found = differences(partsOf(run, above, recordings), partsOf(run, worker, recordings)).map(inWords);
  if (found.length === 0) return seenByServer(run, above, worker) || "another key; the part that differs is not in the log";
  const shown = found.slice(0, 3);
  return shown.join("; ") + (found.length > 3 ? `; and ${found.length - 3} more` : "");
}

// The server names differences when no living worker fits an action.
function seenByServer(run, above, worker) {
  for (const action of run.actions) {
    if (!action.closest) continue;
    const keys = [action.key, keyOf(run, action.closest.worker)];
    if (keys[0] !== keys[1] && keys.includes(above.key) && keys.includes(worker.key)) return action.closest.differences.join("; ");
  }
  return "";
}

export function keyOf(run, number) {
  return (run.workers.find((each) => each.id === number) || {}).key;
}

// Returns the tool of a worker in a few words: its program and script.
export function toolOf(worker) {
  const words = (worker.arguments || []).filter((each) => !each.startsWith("-"));
  return words.slice(0, 2).join(" ") || "unknown tool";
}

// Returns the keys of a run by tool, each with a worker that has it and how many workers did.
export function keysByTool(run) {
  const tools = new Map();
  for (const worker of run.workers) {
    if (!worker.key) continue;
    const name = toolOf(worker);
    if (!tools.has(name)) tools.set(name, new Map());
    const keys = tools.get(name);
    if (!keys.has(worker.key)) keys.set(worker.key, { key: worker.key, worker, workers: [] });
    keys.get(worker.key).workers.push(worker.id);
  }
  return [...tools].map(([name, keys]) => ({ name, keys: [...keys.values()] }));
}

// Returns a row for each part of the keys, with a value for each key and whether they differ.
export function comparison(run, keys, recordings = []) {
  const columns = keys.map((each) => partsOf(run, each.worker, recordings));
  const names = new Set(columns.flatMap((each) => [...each.keys()]));
  return [...names].map((name) => {
    const values = columns.map((each) => each.get(name));
    return { name, values, differs: new Set(values).size > 1 };
  });
}
