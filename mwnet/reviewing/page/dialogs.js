// Another class by its first letters, and the help.

const MOST_OPTIONS = 100;
let options = [];
let option = 0;

/** Classes whose name begins with some letters, then those that have them elsewhere. */
function matching(letters) {
  const wanted = letters.trim().toLowerCase();
  const names = classes.map((name) => name.toLowerCase());
  const all = classes.map((_, code) => code);
  const begins = all.filter((code) => names[code].startsWith(wanted));
  const holds = all.filter((code) => !names[code].startsWith(wanted) && names[code].includes(wanted));
  return [...begins, ...holds].slice(0, MOST_OPTIONS);
}

function drawOptions() {
  options = matching($('choose-text').value);
  option = 0;
  $('choose-list').replaceChildren(...options.map((code, place) => element('li', {
    id: `choose-${place}`, role: 'option', 'aria-selected': String(place === option),
    '.onclick': () => choose(code),
  }, datum(classes[code]), code === given[here()] ? element('span', { class: 'quiet' }, 'given') : null)));
  $('choose-list').hidden = !options.length;
  $('choose-none').hidden = options.length > 0;
  $('choose-text').setAttribute('aria-expanded', String(options.length > 0));
  mark(0);
}

function mark(place) {
  const list = $('choose-list').children;
  list[option]?.setAttribute('aria-selected', 'false');
  option = Math.min(Math.max(place, 0), options.length - 1);
  const chosen = list[option];
  if (!chosen) {
    $('choose-text').removeAttribute('aria-activedescendant');
    return;
  }
  chosen.setAttribute('aria-selected', 'true');
  chosen.scrollIntoView({ block: 'nearest' });
  $('choose-text').setAttribute('aria-activedescendant', chosen.id);
}

function choose(code) {
  $('choose').close();
  settle(code);
}

function openChoice() {
  $('choose-text').value = '';
  $('choose').showModal();
  drawOptions();
  $('choose-text').focus();
}

function startDialogs() {
  const input = $('choose-text');
  input.oninput = drawOptions;
  input.onkeydown = (event) => {
    if (event.isComposing) return;
    if (event.key === 'ArrowDown') mark(option + 1);
    else if (event.key === 'ArrowUp') mark(option - 1);
    else if (event.key === 'Enter') { if (options.length) choose(options[option]); }
    else return;
    event.preventDefault();
  };
  for (const dialog of [$('choose'), $('help')]) {
    dialog.onclose = toList;
    dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  }
  $('help-button').onclick = () => $('help').showModal();
}
