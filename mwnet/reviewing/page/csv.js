// corrections.csv: id,given,verdict,label,note by RFC 4180.

const COLUMNS = ['id', 'given', 'verdict', 'label', 'note'];
const VERDICTS = ['keep', 'correct', 'unsure'];

/** A spreadsheet would run a text with such a beginning; an apostrophe keeps it a text. */
const plain = (text) => (/^[=+@]/.test(text) ? `'${text}` : text);
const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

function asCsv(rows) {
  return [COLUMNS, ...rows].map((row) => `${row.map((text) => cell(plain(text))).join(',')}\r\n`).join('');
}

/** Rows of cells, or a sentence that says where the text is no CSV. */
function readCsv(text) {
  const rows = [];
  let row = [];
  let at = text.startsWith('\ufeff') ? 1 : 0;
  while (at < text.length) {
    let value = '';
    if (text[at] === '"') {
      at += 1;
      for (;;) {
        const end = text.indexOf('"', at);
        if (end < 0) return `Line ${rows.length + 1} has a quotation mark that is not closed.`;
        value += text.slice(at, end);
        at = end + 1;
        if (text[at] !== '"') break;
        value += '"';
        at += 1;
      }
      if (at < text.length && !',\r\n'.includes(text[at])) {
        return `Line ${rows.length + 1} has text after a closing quotation mark.`;
      }
    } else {
      const start = at;
      while (at < text.length && !',\r\n'.includes(text[at])) at += 1;
      value = text.slice(start, at);
    }
    row.push(value);
    if (text[at] === ',') {
      at += 1;
      if (at < text.length) continue;
      row.push('');
    }
    if (text[at] === '\r') at += 1;
    if (text[at] === '\n') at += 1;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Decisions by sample, or a sentence that says why a file does not fit this page. */
function readCorrections(text) {
  const rows = readCsv(text);
  if (typeof rows === 'string') return rows;
  if (!rows.length || rows[0].join() !== COLUMNS.join()) {
    return `This is no corrections.csv: its first line must be ${COLUMNS.join()}.`;
  }
  const samples = new Map();
  const labels = new Map();
  for (let i = 0; i < N; i++) samples.set(ids[i], i).set(plain(ids[i]), i);
  classes.forEach((name, code) => labels.set(name, code).set(plain(name), code));
  const found = new Map();
  for (const [number, row] of rows.slice(1).entries()) {
    const line = `Line ${number + 2}`;
    if (row.length !== COLUMNS.length) return `${line} has ${row.length} cells, not ${COLUMNS.length}.`;
    const [id, label, verdict, final, note] = row;
    const sample = samples.get(id);
    if (sample === undefined) return `${line}: this page has no sample “${id}”.`;
    if (found.has(sample)) return `${line}: the sample “${id}” is there twice.`;
    if (labels.get(label) !== given[sample]) {
      return `${line}: the given label of “${id}” is “${classes[given[sample]]}” here, not “${label}”.`;
    }
    if (!VERDICTS.includes(verdict)) return `${line}: “${verdict}” is no verdict (${VERDICTS.join(', ')}).`;
    const code = labels.get(final);
    if (verdict === 'keep' && final !== '' && code !== given[sample]) return `${line}: a kept label must be the given one.`;
    if (verdict === 'correct' && (code === undefined || code === given[sample])) {
      return `${line}: “${final}” is no other class.`;
    }
    if (verdict === 'unsure' && final !== '') return `${line}: an unsure sample has no label.`;
    found.set(sample, { verdict, label: verdict === 'correct' ? code : null, note });
  }
  return found;
}
