// Verdicts, keys, buttons: where everything comes together.

function act(verdict) {
  const sample = here();
  if (sample < 0) return;
  if (verdict === 'choose') openChoice();
  else if (verdict === 'suggest') { if (suggested[sample] >= 0) settle(suggested[sample]); else say('There is no suggestion for this sample.'); }
  else if (verdict === 'keep') settle(given[sample]);
  else settle(null);
}

/** Decide the current sample for a class, or as unsure, and go on to the next one. */
function settle(code) {
  const sample = here();
  if (code === null) decide(sample, 'unsure');
  else if (code === given[sample]) decide(sample, 'keep');
  else decide(sample, 'correct', code);
  say(code === null ? 'Unsure.' : `${code === given[sample] ? 'Kept' : 'Corrected to'} ${classes[code]}.`);
  drawProgress();
  if (filter.verdict) {
    const place = current;
    select();
    if (here() === sample) go(place + 1);
    return;
  }
  refresh(current);
  if (current + 1 < list.length) go(current + 1);
  else drawDesk();
}

function takeBack() {
  const sample = undo();
  if (sample === null) {
    say('There is nothing to undo.');
    return;
  }
  drawProgress();
  select();
  const place = list.indexOf(sample);
  if (place >= 0) go(place);
  say(`Undone: ${spoken(sample)}.`);
}

function drawProgress() {
  const whole = issues || N;
  const ready = issues ? tally.issues : decided.size;
  $('done').max = whole;
  $('done').value = ready;
  $('done-text').textContent = `${count(ready)} of ${count(whole)} ${issues ? 'suspects' : 'samples'} decided`;
  $('undo').disabled = !before.length;
  $('download').disabled = !decided.size;
  if (!data.noise) return;
  const left = (rate) => count(Math.max(0, Math.round(rate * data.total) - tally.correct));
  const [low, high] = data.noise.interval;
  $('left-text').textContent = `about ${left(data.noise.rate)} errors left (${left(low)}–${left(high)})`;
}

function about() {
  const rest = data.total - N;
  const parts = [rest > 0
    ? `This page has the ${count(N)} most suspect of ${count(data.total)} training samples.`
    : `This page has all ${count(N)} training samples.`];
  parts.push(`${count(data.issues)} labels are called wrong.`);
  parts.push(data.noise
    ? 'The number of errors left is the estimate of the run, with its 90 % interval, minus the labels that were corrected here.'
    : 'The run has no estimate of how many errors there are.');
  $('about').textContent = parts.join(' ');
}

function download() {
  const file = new Blob([asCsv(corrections())], { type: 'text/csv;charset=utf-8' });
  const link = element('a', { href: URL.createObjectURL(file), download: 'corrections.csv' });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

async function load() {
  const [file] = $('load').files;
  $('load').value = '';
  if (!file) return;
  let found;
  try {
    found = readCorrections(new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer()));
  } catch {
    found = 'This file is no text in UTF-8.';
  }
  if (typeof found === 'string') {
    notice(`${file.name} was not loaded. ${found}`, true);
    return;
  }
  takeOver(found);
  drawProgress();
  select();
  notice(`${file.name}: ${count(found.size)} decisions were loaded.`);
}

// Filters

const FIELDS = { text: 'f-text', issue: 'f-issue', verdict: 'f-verdict', given: 'f-given', suggested: 'f-suggested', low: 'f-low', high: 'f-high', sort: 'f-sort' };

function showFilters() {
  for (const [name, id] of Object.entries(FIELDS)) $(id).value = filter[name] ?? '';
  $('reset').disabled = Object.keys(NOTHING).every((name) => filter[name] === NOTHING[name]);
  drawPairs();
}

function readFilters() {
  const number = (id) => ($(id).value === '' ? null : Number($(id).value));
  filter.text = $('f-text').value.toLowerCase();
  for (const name of ['issue', 'verdict', 'sort']) filter[name] = $(FIELDS[name]).value;
  for (const name of ['given', 'suggested']) filter[name] = Number($(FIELDS[name]).value);
  filter.low = number('f-low');
  filter.high = number('f-high');
  $('reset').disabled = Object.keys(NOTHING).every((name) => filter[name] === NOTHING[name]);
  drawPairs();
  select();
}

function startFilters() {
  for (const id of ['f-given', 'f-suggested']) {
    $(id).append(element('option', { value: -1 }, 'any'), ...classes.map((name, code) => element('option', { value: code }, name)));
  }
  for (const id of Object.values(FIELDS)) $(id).oninput = readFilters;
  if (!issues) $('f-issue').querySelector('[value=issue]').disabled = true;
  $('reset').onclick = () => {
    Object.assign(filter, NOTHING);
    $('map-clear').disabled = true;
    showFilters();
    select();
  };
  $('pairs').onkeydown = walkPairs;
}

// Keys

const MOVES = {
  ArrowLeft: () => current - 1,
  ArrowRight: () => current + 1,
  ArrowUp: () => (current >= across ? current - across : current),
  ArrowDown: () => (current + across < list.length ? current + across : current),
  Home: () => 0,
  End: () => list.length - 1,
  PageUp: () => current - across * pageRows(),
  PageDown: () => current + across * pageRows(),
};
const pageRows = () => Math.max(1, Math.floor($('scroll').clientHeight / (CARD_HEIGHT + GAP)));
const LETTERS = {
  k: () => act('keep'), s: () => act('suggest'), c: () => act('choose'), u: () => act('unsure'), z: takeBack,
  n: () => $('note')?.focus(), g: toList, '?': () => $('help').showModal(),
  '/': () => { showTools(true); $('f-text').focus(); },
};

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  const typing = event.target.matches('input, select, textarea');
  if (event.key === 'Escape' && event.target === $('f-text')) {
    $('f-text').value = '';
    readFilters();
    toList();
  }
  if (typing || document.querySelector('dialog[open]')) return;
  const move = event.target.closest('.sideways') ? null : MOVES[event.key];
  const letter = LETTERS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!move && !letter) return;
  event.preventDefault();
  if (letter) letter();
  else go(move());
}

function showTools(open) {
  document.body.classList.toggle('tools-open', open);
  $('tools-button').setAttribute('aria-expanded', String(open));
  drawMap();
}

function start() {
  restore();
  startFilters();
  startMap();
  startDialogs();
  about();
  drawProgress();
  showFilters();
  select();
  $('undo').onclick = takeBack;
  $('download').onclick = download;
  $('load-button').onclick = () => $('load').click();
  $('load').onchange = load;
  $('tools-button').onclick = () => showTools(!document.body.classList.contains('tools-open'));
  $('scroll').addEventListener('scroll', draw, { passive: true });
  $('grid').onclick = (event) => {
    const chosen = event.target.closest('.card');
    if (chosen) go(Number(chosen.dataset.place));
  };
  document.addEventListener('keydown', onKey);
  new ResizeObserver(() => { redraw(); drawMap(); }).observe($('scroll'));
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => drawMap());
  toList();
}

start();
