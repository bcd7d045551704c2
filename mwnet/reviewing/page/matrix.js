// Given against suggested: a click shows the samples of a cell.

const SQUARE = 12;
const MOST_PAIRS = 30;

function pairCounts() {
  const counts = new Map();
  for (let i = 0; i < N; i++) {
    if (suggested[i] < 0 || (filter.issue === 'issue' && !issue[i])) continue;
    const pair = given[i] * K + suggested[i];
    counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  return counts;
}

function togglePair(row, column) {
  const off = filter.given === row && filter.suggested === column;
  filter.given = off ? -1 : row;
  filter.suggested = off ? -1 : column;
  showFilters();
  select();
}

function pairButton(row, column, number, most, ...words) {
  const button = element('button', {
    type: 'button', class: 'pair', 'aria-pressed': String(filter.given === row && filter.suggested === column),
    'aria-label': `given ${classes[row]}, suggested ${classes[column]}: ${count(number)}`,
    '.onclick': () => togglePair(row, column),
  }, ...words, element('span', { class: 'number' }, count(number)));
  button.style.setProperty('--heat', `${Math.round(8 + 52 * Math.sqrt(number / most))}%`);
  button.dataset.pair = `${row} ${column}`;
  return button;
}

function drawPairs() {
  const counts = pairCounts();
  const most = Math.max(1, ...counts.values());
  const box = $('pairs');
  const focused = document.activeElement?.dataset.pair;
  if (K <= SQUARE) {
    const head = element('tr', {}, element('td'), ...classes.map((name) => element('th', { scope: 'col', title: name }, datum(name))));
    const rows = classes.map((name, row) => element('tr', {}, element('th', { scope: 'row', title: name }, datum(name)),
      ...classes.map((_, column) => {
        const number = counts.get(row * K + column);
        return element('td', {}, number ? pairButton(row, column, number, most) : null);
      })));
    box.replaceChildren(element('div', { class: 'sideways' }, element('table', { class: 'pairs' },
      element('caption', { class: 'unseen' }, 'Rows: given label; columns: suggested label'), element('thead', {}, head), element('tbody', {}, ...rows))));
  } else {
    const top = [...counts].sort((a, b) => b[1] - a[1]).slice(0, MOST_PAIRS);
    const rest = counts.size - top.length;
    box.replaceChildren(
      element('ul', { class: 'pairs' }, ...top.map(([pair, number]) => {
        const [row, column] = [Math.floor(pair / K), pair % K];
        return element('li', {}, pairButton(row, column, number, most, datum(classes[row]), ' → ', datum(classes[column])));
      })),
      rest > 0 ? element('p', { class: 'quiet' }, `and ${count(rest)} rarer pairs`) : '');
  }
  const buttons = [...box.querySelectorAll('button')];
  const own = buttons.find((button) => button.dataset.pair === focused);
  buttons.forEach((button, place) => { button.tabIndex = button === (own ?? buttons[0]) && place >= 0 ? 0 : -1; });
  own?.focus();
}

/** Arrows move to the nearest cell that has samples; the tab key passes over all but one. */
function walkPairs(event) {
  const step = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const at = event.target.dataset?.pair;
  if (!step || !at) return;
  event.preventDefault();
  event.stopPropagation();
  const buttons = [...$('pairs').querySelectorAll('button')];
  let next = event.target;
  if (K <= SQUARE) {
    const from = at.split(' ').map(Number);
    const axis = step[0] ? 0 : 1;
    const far = (button) => {
      const to = button.dataset.pair.split(' ').map(Number);
      const along = (to[axis] - from[axis]) * step[axis];
      return along > 0 ? along * K + Math.abs(to[1 - axis] - from[1 - axis]) : Infinity;
    };
    next = buttons.reduce((best, button) => (far(button) < far(best) ? button : best), event.target);
  } else {
    next = buttons[buttons.indexOf(event.target) + step[0] + step[1]];
  }
  if (!next || next === event.target) return;
  event.target.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
}
