// The list: only the cards that can be seen are in the page.

const SIZES = { pictures: [252, 222], rows: [310, 216], texts: [310, 200] };
const [CARD_WIDTH, CARD_HEIGHT] = SIZES[looks.kind];
const GAP = 10;
const SPARE = 2;
const STATES = { keep: ['✓', 'kept'], correct: ['→', 'corrected'], unsure: ['?', 'unsure'] };

let list = [];
let current = 0;
let across = 1;
const cards = new Map();

const here = () => (list.length ? list[current] : -1);

function stateOf(sample) {
  const decision = decisionOf(sample);
  if (!decision) return null;
  const [sign, word] = STATES[decision.verdict];
  return element('span', { class: `state ${decision.verdict}` }, `${sign} `,
    decision.verdict === 'correct' ? datum(classes[decision.label]) : word);
}

function spoken(sample) {
  const decision = decisionOf(sample);
  const parts = [`${ids[sample]}: given ${classes[given[sample]]}`];
  if (suggested[sample] >= 0) parts.push(`suggested ${classes[suggested[sample]]} ${percent(probability[sample])}`);
  parts.push(`score ${short(quality[sample])}`, `weight ${short(weight[sample])}`);
  if (decision) parts.push(`${STATES[decision.verdict][1]} ${decision.verdict === 'correct' ? classes[decision.label] : ''}`);
  else parts.push('not decided');
  return parts.join(', ');
}

/** Given and suggested label of a sample. */
function labels(sample) {
  const other = suggested[sample];
  return element('div', { class: 'labels' },
    element('span', { class: 'name' }, 'given'), datum(classes[given[sample]], 'label'), element('span'),
    ...(other < 0 ? [] : [
      element('span', { class: 'name' }, 'suggested'), datum(classes[other], 'label'),
      element('span', { class: 'share' }, percent(probability[sample]))]));
}

function facts(sample, ...names) {
  const values = { score: quality, weight, margin };
  return element('dl', { class: 'facts' }, ...names.map((name) =>
    element('div', {}, element('dt', {}, name), element('dd', {}, short(values[name][sample])))));
}

function card(place) {
  const sample = list[place];
  const decision = decisionOf(sample);
  const main = {
    pictures: () => [
      element('div', { class: 'body' },
        element('div', { class: 'frame' }, picture(sample, 104, 'large')),
        element('div', { class: 'side' }, labels(sample), facts(sample, 'score', 'weight'))),
      pictures(sample, 36)],
    rows: () => [element('div', { class: 'lead' }, labels(sample), facts(sample, 'score', 'weight')), cells(sample, 4)],
    texts: () => [element('div', { class: 'lead' }, labels(sample), facts(sample, 'score', 'weight')), text(sample)],
  }[looks.kind]();
  const made = element('div', {
    role: 'option', id: `card-${place}`, class: `card ${decision?.verdict ?? ''}`, 'aria-label': spoken(sample),
    'aria-selected': String(place === current), 'aria-posinset': place + 1, 'aria-setsize': list.length,
  }, element('div', { class: 'head' }, datum(ids[sample], 'id'), stateOf(sample)), ...main);
  made.dataset.place = place;
  return made;
}

function arrange(made, place) {
  const width = ($('grid').clientWidth - GAP * (across - 1)) / across;
  made.style.width = `${width}px`;
  made.style.height = `${CARD_HEIGHT}px`;
  made.style.transform = `translate(${(place % across) * (width + GAP)}px, ${Math.floor(place / across) * (CARD_HEIGHT + GAP)}px)`;
}

/** Bring the page in line with what can be seen. */
function draw() {
  const view = $('scroll');
  const step = CARD_HEIGHT + GAP;
  const top = Math.max(0, Math.floor((view.scrollTop - $('grid').offsetTop) / step) - SPARE);
  const bottom = Math.ceil((view.scrollTop + view.clientHeight) / step) + SPARE;
  const first = top * across;
  const last = Math.min(list.length, bottom * across);
  for (const [place, made] of cards) {
    if (place < first || place >= last) {
      made.remove();
      cards.delete(place);
    }
  }
  for (let place = first; place < last; place++) {
    if (cards.has(place)) continue;
    const made = card(place);
    arrange(made, place);
    cards.set(place, made);
    $('grid').append(made);
  }
  const focused = cards.has(current) ? `card-${current}` : null;
  if (focused) $('grid').setAttribute('aria-activedescendant', focused);
  else $('grid').removeAttribute('aria-activedescendant');
}

/** Make all cards anew: another list, or another width. */
function redraw() {
  const width = $('scroll').clientWidth - 2 * GAP;
  across = Math.max(1, Math.floor((width + GAP) / (CARD_WIDTH + GAP)));
  for (const made of cards.values()) made.remove();
  cards.clear();
  const rows = Math.ceil(list.length / across);
  $('grid').style.height = `${Math.max(0, rows * (CARD_HEIGHT + GAP) - GAP)}px`;
  draw();
}

function refresh(place) {
  const old = cards.get(place);
  if (!old) return;
  const made = card(place);
  arrange(made, place);
  old.replaceWith(made);
  cards.set(place, made);
}

function reveal(place) {
  const view = $('scroll');
  const top = $('grid').offsetTop + Math.floor(place / across) * (CARD_HEIGHT + GAP);
  if (top - GAP < view.scrollTop) view.scrollTop = top - GAP;
  else if (top + CARD_HEIGHT + GAP > view.scrollTop + view.clientHeight) view.scrollTop = top + CARD_HEIGHT + GAP - view.clientHeight;
}

/** Make another sample the current one. */
function go(place) {
  if (!list.length) return;
  const old = current;
  current = Math.min(Math.max(place, 0), list.length - 1);
  reveal(current);
  draw();
  cards.get(old)?.setAttribute('aria-selected', 'false');
  cards.get(current)?.setAttribute('aria-selected', 'true');
  drawDesk();
  drawMap(false);
}

/** Put the focus on the list; where it is empty, on the button that fills it. */
function toList() {
  $(list.length ? 'grid' : 'reset').focus({ preventScroll: true });
}

/** Choose the samples anew by the filters; the current one stays if it is among them. */
function select() {
  const stays = here();
  list = selected();
  const place = list.indexOf(stays);
  current = place >= 0 ? place : Math.min(current, Math.max(0, list.length - 1));
  $('list-title').textContent = filter.issue === 'issue' ? 'Suspects' : 'Samples';
  $('shown').textContent = `${count(list.length)} of ${count(N)}`;
  $('nothing').hidden = list.length > 0;
  $('grid').hidden = !list.length;
  redraw();
  if (list.length) reveal(current);
  draw();
  drawDesk();
  drawMap();
}
