// The desk: the current sample in full, and what can be said about it.

function verdictButton(sample, verdict, key, sign, label, disabled = false) {
  const decision = decisionOf(sample);
  const another = decision?.verdict === 'correct' && decision.label !== suggested[sample];
  const pressed = { keep: 'keep', correct: 'suggest', unsure: 'unsure' }[decision?.verdict];
  const button = element('button', {
    type: 'button', class: `verdict ${verdict}`, disabled,
    'aria-pressed': String((another ? 'choose' : pressed) === verdict),
    '.onclick': () => act(verdict),
  }, element('span', { class: 'sign', 'aria-hidden': 'true' }, sign), element('span', { class: 'words' }, ...label), element('kbd', {}, key));
  button.dataset.verdict = verdict;
  return button;
}

function verdicts(sample) {
  const other = suggested[sample];
  return element('div', { class: 'verdicts', role: 'group', 'aria-label': 'Verdict' },
    verdictButton(sample, 'keep', 'k', '✓', ['Keep ', datum(classes[given[sample]])]),
    verdictButton(sample, 'suggest', 's', '→', other < 0 ? ['No suggestion'] : ['Take ', datum(classes[other])], other < 0),
    verdictButton(sample, 'choose', 'c', '→', ['Another']),
    verdictButton(sample, 'unsure', 'u', '?', ['Unsure']));
}

/** Nearest samples in full: pictures, the same cells, or the beginnings of texts. */
function besideInFull(sample) {
  if (looks.kind === 'pictures') return pictures(sample, 84);
  const sides = [[given[sample], 0], [suggested[sample], 1]].filter(([code]) => code >= 0);
  let cell = 1;
  return element('div', { class: 'beside full' }, ...sides.map(([code, side]) => {
    const found = neighbours(sample, side);
    const group = element('div', { class: 'group' }, nearestOf(code));
    if (looks.kind === 'texts') {
      group.append(element('ul', { class: 'texts' }, ...found.map((member) => element('li', { dir: 'auto', title: ids[member] }, looks.texts[member]))));
      return group;
    }
    const columns = found.map((member) => ({ member, cells: looks.cells[sample][cell++] }));
    group.append(element('div', { class: 'sideways', tabindex: '0', role: 'region', 'aria-label': `Nearest of ${classes[code]}` },
      element('table', { class: 'cells' },
        element('thead', {}, element('tr', {}, element('td'), ...columns.map(({ member }) => element('th', { scope: 'col' }, datum(ids[member]))))),
        element('tbody', {}, ...looks.which[sample].map((feature, place) => element('tr', {},
          element('th', { scope: 'row', title: looks.features[feature] }, datum(looks.features[feature])),
          ...columns.map((column) => element('td', { class: 'number' }, datum(column.cells[place] || 'missing')))))))));
    return group;
  }));
}

function inFull(sample) {
  if (looks.kind === 'pictures') return element('div', { class: 'frame big' }, picture(sample, looks.tiny ? 160 : 256, 'large'));
  if (looks.kind === 'rows') {
    return element('div', { class: 'sideways', tabindex: '0', role: 'region', 'aria-label': 'Cells that differ most' }, cells(sample, 6));
  }
  return text(sample);
}

function wordsFor(sample) {
  if (looks.kind !== 'texts') return null;
  const rows = looks.words[sample].map((words, side) => {
    const code = side ? suggested[sample] : given[sample];
    if (!words.length || code < 0) return null;
    return element('p', { class: 'words-for' }, 'For ', datum(classes[code], 'label'), ': ',
      ...words.map((word) => element('mark', { class: side ? 'for-suggested' : 'for-given', dir: 'auto' }, word)));
  });
  return element('div', {}, ...rows);
}

function drawDesk() {
  const desk = $('desk');
  const focused = desk.contains(document.activeElement) ? document.activeElement.dataset.verdict : null;
  const sample = here();
  desk.hidden = sample < 0;
  if (sample < 0) return;
  const note = element('input', { id: 'note', type: 'text', dir: 'auto', autocomplete: 'off', '.value': notes.get(sample) ?? '' });
  note.oninput = () => write(sample, note.value);
  note.onkeydown = (event) => { if (event.key === 'Escape' || event.key === 'Enter') toList(); };
  desk.replaceChildren(
    element('div', { class: 'head' }, element('h2', {}, datum(ids[sample])), stateOf(sample), element('span', { class: 'quiet' }, `${count(current + 1)} / ${count(list.length)}`)),
    element('div', { class: `what ${looks.kind}` },
      element('div', { class: 'said' }, labels(sample), facts(sample, 'score', 'weight', 'margin')),
      element('div', { class: 'seen' }, inFull(sample), wordsFor(sample))),
    verdicts(sample),
    element('label', { class: 'note' }, element('span', {}, 'Note ', element('kbd', {}, 'n')), note),
    element('h3', {}, 'What the classes look like'),
    besideInFull(sample));
  if (focused) desk.querySelector(`[data-verdict=${focused}]`)?.focus();
}
