// Which samples are shown, and in which order.

const filter = { text: '', issue: issues ? 'issue' : 'all', verdict: '', given: -1, suggested: -1, low: null, high: null, sort: 'score', some: null };
const NOTHING = { ...filter };

function fits(sample) {
  if (filter.issue === 'issue' && !issue[sample]) return false;
  if (filter.given >= 0 && given[sample] !== filter.given) return false;
  if (filter.suggested >= 0 && suggested[sample] !== filter.suggested) return false;
  if (filter.low !== null && quality[sample] < filter.low) return false;
  if (filter.high !== null && quality[sample] > filter.high) return false;
  if (filter.some !== null && !filter.some[sample]) return false;
  if (filter.verdict) {
    const verdict = decisionOf(sample)?.verdict ?? 'open';
    if (filter.verdict === 'decided' ? verdict === 'open' : verdict !== filter.verdict) return false;
  }
  return !filter.text || ids[sample].toLowerCase().includes(filter.text);
}

const orders = new Map();

/** All samples in an order, which is made once. Samples are numbered by their score. */
function ordered(sort) {
  if (!orders.has(sort)) {
    const all = Uint32Array.from({ length: N }, (_, sample) => sample);
    const by = {
      margin: (a, b) => margin[a] - margin[b] || a - b,
      given: (a, b) => given[a] - given[b] || a - b,
      suggested: (a, b) => suggested[a] - suggested[b] || a - b,
    };
    if (sort === 'random') shuffle(all);
    else if (by[sort]) all.sort(by[sort]);
    orders.set(sort, all);
  }
  return orders.get(sort);
}

/** Shuffle in an order that belongs to the run, so that a reload shows the same one. */
function shuffle(all) {
  let state = parseInt(data.key.slice(0, 8), 16);
  for (let i = all.length - 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((state / 2 ** 32) * (i + 1));
    [all[i], all[j]] = [all[j], all[i]];
  }
}

const selected = () => Array.from(ordered(filter.sort).filter(fits));
