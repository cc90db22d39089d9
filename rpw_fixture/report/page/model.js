// The model of a run: what its rows mean. No drawing here.

export const KINDS = {
  warm: "warm worker",
  cold: "fresh worker",
  "one-shot": "one-shot process",
  cache: "action cache",
  unfinished: "not finished",
};

export function kindOf(action) {
  if (action.end === null || action.end === undefined) return "unfinished";
  if (action.cached || action.mode === "cache") return "cache";
  if (action.mode === "one-shot") return "one-shot";
  return action.reused ? "warm" : "cold";
}

export function hasFailed(action) {
  if (kindOf(action) === "unfinished") return false;
  return (action.status || "OK") !== "OK" || (action.exit !== 0 && action.exit !== null && action.exit !== undefined);
}

export function outcomeOf(action) {
  if (!hasFailed(action)) return KINDS[kindOf(action)];
  return action.status && action.status !== "OK" ? action.status : `exit code ${action.exit}`;
}

export function titleOf(action) {
  return action.target || action.mnemonic || `action ${action.action.slice(0, 8)}`;
}

// Joins changed rows of a live page into a run.
export function applyChanges(run, changes) {
  for (const name of ["actions", "workers"]) {
    const places = new Map(run[name].map((each, index) => [each.id, index]));
    for (const row of changes[name] || []) {
      if (places.has(row.id)) run[name][places.get(row.id)] = row;
      else {
        places.set(row.id, run[name].length);
        run[name].push(row);
      }
    }
  }
  for (const name of WHOLE) if (name in changes) run[name] = changes[name];
  return run;
}

const WHOLE = ["tools", "violations", "bugs", "summary", "worker_starts", "one_shot", "start", "end"];

// Joins later changes into earlier ones that still wait: of each row only the newest is kept.
export function mergeChanges(earlier, later) {
  if (earlier === null) return later;
  const merged = { ...earlier, ...later };
  for (const name of ["actions", "workers"]) {
    merged[name] = [...new Map([...(earlier[name] || []), ...(later[name] || [])].map((each) => [each.id, each])).values()];
  }
  return merged;
}

// Finds actions by words: each must be in the target, the mnemonic, the digest, the reason or the outcome.
export function search(actions, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) return actions;
  return actions.filter((action) => words.every((word) => matches(action, word)));
}

function matches(action, word) {
  if (/^worker:\d+$/.test(word)) return (action.requests || []).some((each) => `worker:${each.worker}` === word);
  const texts = [action.target, action.mnemonic, action.action, action.reason, outcomeOf(action), kindOf(action)];
  if (hasFailed(action)) texts.push("failed");
  return texts.some((each) => (each || "").toLowerCase().includes(word));
}

// Returns what a worker had served before it got an action's last request, newest first.
export function predecessors(run, action) {
  const own = (action.requests || []).at(-1);
  if (!own) return [];
  return run.actions
    .flatMap((each) => (each.requests || []).map((request) => ({ action: each, request })))
    .filter((each) => each.request.worker === own.worker && each.request.sent < own.sent)
    .sort((one, other) => other.request.sent - one.request.sent);
}

// Returns the time of each phase of an action: what it was, how long it took.
export function phasesOf(action) {
  const names = { queued: "waited", staged: "inputs placed", executed: "executed", collected: "outputs stored", replied: "replied" };
  let before = 0;
  const found = [];
  for (const [name, title] of Object.entries(names)) {
    const end = (action.phases || {})[name];
    if (end === undefined) continue;
    found.push({ name, title, start: before, seconds: Math.max(0, end - before) });
    before = Math.max(before, end);
  }
  return found;
}

export function recordedOf(recordings, action) {
  for (const recording of recordings) {
    const row = recording.actions[action.action];
    if (row) return { recording, row };
  }
  return null;
}

export function workerOf(run, number) {
  return run.workers.find((each) => each.id === number) || null;
}
