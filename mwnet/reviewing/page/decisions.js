// Verdicts and notes, kept in the browser under the key of the run.

const KEY = `mwnet-review-${data.key}`;
const decided = new Map();
const notes = new Map();
const before = [];
const tally = { keep: 0, correct: 0, unsure: 0, issues: 0 };
let storage = true;

const decisionOf = (sample) => decided.get(sample) ?? null;

/** Set or take back the verdict of a sample: {verdict, label}, or null. */
function put(sample, decision) {
  const old = decisionOf(sample);
  for (const [one, step] of [[old, -1], [decision, 1]]) {
    if (one === null) continue;
    tally[one.verdict] += step;
    tally.issues += step * issue[sample];
  }
  if (decision === null) decided.delete(sample);
  else decided.set(sample, decision);
}

function decide(sample, verdict, label = null) {
  before.push([[sample, decisionOf(sample)]]);
  put(sample, { verdict, label });
  store();
}

/** Take the last step back; returns the sample that it was about, or null. */
function undo() {
  const step = before.pop();
  if (!step) return null;
  for (const [sample, decision] of step) put(sample, decision);
  store();
  return step[0][0];
}

function takeOver(found) {
  before.push([...found.keys()].map((sample) => [sample, decisionOf(sample)]));
  for (const [sample, { verdict, label, note }] of found) {
    put(sample, { verdict, label });
    if (note) notes.set(sample, note);
    else notes.delete(sample);
  }
  store();
}

function write(sample, note) {
  if (note) notes.set(sample, note);
  else notes.delete(sample);
  store();
}

function corrections() {
  const final = (sample, { verdict, label }) =>
    ({ keep: classes[given[sample]], correct: classes[label], unsure: '' })[verdict];
  return [...decided.keys()].sort((a, b) => a - b).map((sample) => {
    const decision = decided.get(sample);
    return [ids[sample], classes[given[sample]], decision.verdict, final(sample, decision), notes.get(sample) ?? ''];
  });
}

function store() {
  if (!storage) return;
  const kept = [...new Set([...decided.keys(), ...notes.keys()])].map((sample) => {
    const decision = decisionOf(sample);
    return [ids[sample], decision?.verdict ?? '', decision?.label ?? null, notes.get(sample) ?? ''];
  });
  try {
    localStorage.setItem(KEY, JSON.stringify(kept));
  } catch {
    refused();
  }
}

function restore() {
  let kept = [];
  try {
    localStorage.setItem(`${KEY}-test`, '');
    localStorage.removeItem(`${KEY}-test`);
    kept = JSON.parse(localStorage.getItem(KEY) ?? '[]');
  } catch (error) {
    if (!(error instanceof SyntaxError)) refused();
  }
  const places = new Map(ids.slice(0, N).map((id, sample) => [id, sample]));
  for (const entry of Array.isArray(kept) ? kept : []) {
    const [id, verdict, label, note] = Array.isArray(entry) ? entry : [];
    const sample = places.get(id);
    if (sample === undefined) continue;
    const fits = verdict !== 'correct' || (Number.isInteger(label) && label >= 0 && label < K);
    if (VERDICTS.includes(verdict) && fits) put(sample, { verdict, label });
    if (typeof note === 'string' && note) notes.set(sample, note);
  }
}

function refused() {
  storage = false;
  notice('This browser stores nothing for this page: decisions are lost when it is closed. Download corrections.csv before.', true);
}
