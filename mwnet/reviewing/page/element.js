// Elements are made of text, never of mark-up: what stands in the data cannot become a tag.

const $ = (id) => document.getElementById(id);

/** An element with attributes, properties that begin with a dot, and children or texts. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('.')) made[name.slice(1)] = value;
    else made.setAttribute(name, value === true ? '' : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** A text of the data, in its own direction of writing. */
function datum(text, name = '') {
  return element('bdi', { class: name || null, dir: 'auto' }, text);
}

function say(text) {
  $('said').textContent = text;
}

function notice(text, bad = false) {
  const box = $('notice');
  box.replaceChildren(
    element('span', {}, text),
    element('button', { type: 'button', '.onclick': () => { box.hidden = true; } }, 'Close'),
  );
  box.classList.toggle('bad', bad);
  box.hidden = false;
}

function percent(share) {
  if (Number.isNaN(share)) return '';
  if (share > 0 && share < 0.005) return '<1 %';
  if (share < 1 && share >= 0.995) return '>99 %';
  return `${Math.round(100 * share)} %`;
}

function short(value) {
  if (Number.isNaN(value)) return '–';
  if (value !== 0 && Math.abs(value) < 0.001) return value.toExponential(0);
  return String(Number(value.toPrecision(2)));
}

function count(number) {
  return number.toLocaleString('en');
}
