// How a sample looks: a picture cut out of a sheet, cells of a row, or a text.

const looks = data.looks;
const urls = new Map();

function sheet(number) {
  if (!urls.has(number)) {
    const source = $(`sheet-${number}`);
    const file = new Blob([bytes(source.textContent)], { type: source.dataset.kind });
    urls.set(number, `url("${URL.createObjectURL(file)}")`);
    source.remove();
  }
  return urls.get(number);
}

/** A picture of a member, its longer side as long as asked for. */
function picture(member, side, size = 'small') {
  const set = looks[size];
  const place = set.places[member] ?? -1;
  const box = element('span', { class: 'picture', role: 'img', 'aria-label': `${ids[member]}, ${classes[classOf[member]]}` });
  if (place < 0) return box;
  const [width, height] = set.sizes[set.sizes.length > 1 ? place : 0];
  const scale = side / Math.max(width, height);
  const on = place % set.on;
  const page = Math.floor(place / set.on);
  const style = box.style;
  style.width = `${width * scale}px`;
  style.height = `${height * scale}px`;
  style.backgroundImage = sheet(set.first + page);
  style.backgroundSize = `${set.across * set.cell * scale}px ${set.rows[page] * set.cell * scale}px`;
  style.backgroundPosition = `${-(on % set.across) * set.cell * scale}px ${-Math.floor(on / set.across) * set.cell * scale}px`;
  if (looks.tiny) style.imageRendering = 'pixelated';
  return box;
}

/** Which cells of a row differ most from its class; `most` of them. */
function cells(sample, most) {
  const usual = (feature, code) => (code < 0 ? '' : looks.usual[feature][code]) || '–';
  const rows = looks.which[sample].slice(0, most).map((feature, place) => {
    const far = looks.distance[sample][place];
    return element('tr', {},
      element('th', { scope: 'row', title: looks.features[feature] }, datum(looks.features[feature])),
      element('td', { title: `${far} deviations from the class`, class: `number ${Math.abs(far) >= 3 ? 'far' : ''}` }, datum(looks.cells[sample][0][place] || 'missing')),
      element('td', { class: 'number quiet' }, datum(usual(feature, given[sample]))),
      element('td', { class: 'number quiet' }, datum(usual(feature, suggested[sample]))));
  });
  const head = ['', 'here', classes[given[sample]], suggested[sample] < 0 ? '' : classes[suggested[sample]]];
  return element('table', { class: 'cells' },
    element('thead', {}, element('tr', {}, ...head.map((name, place) => (name ? element('th', { scope: 'col', title: place > 1 ? `usual in ${name}` : null }, datum(name)) : element('td'))))),
    element('tbody', {}, ...rows));
}

/** A text with the words for its given class and for the suggested one marked. */
function text(sample) {
  const whole = looks.texts[sample];
  const kinds = new Map();
  looks.words[sample].forEach((words, side) => words.forEach((word) => kinds.set(word, side ? 'for-suggested' : 'for-given')));
  const parts = whole.split(/([\p{L}\p{N}\p{M}_]+)/u).map((part) => {
    const kind = kinds.get(part.toLowerCase());
    return kind ? element('mark', { class: kind }, part) : part;
  });
  return element('p', { class: 'text', dir: 'auto' }, ...(whole ? parts : [element('span', { class: 'quiet' }, 'an empty text')]));
}

const nearestOf = (code) => element('p', { class: 'nearest' }, 'nearest ', datum(classes[code], 'label'));

/** The nearest samples of both classes, as pictures. */
function pictures(sample, side) {
  const sides = [[given[sample], 0], [suggested[sample], 1]].filter(([code]) => code >= 0);
  return element('div', { class: 'beside' }, ...sides.map(([code, which]) =>
    element('div', { class: 'group' },
      nearestOf(code),
      element('div', { class: 'strip' }, ...neighbours(sample, which).map((member) => picture(member, side))))));
}
