// What Python has put into the page. Columns are arrays of numbers, position = sample.

const data = JSON.parse($('data').textContent);
const N = data.count;
const classes = data.classes;
const ids = data.ids;
const K = classes.length;

function bytes(text) {
  const raw = atob(text);
  const out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
  return out;
}

const numbers = (text, Kind) => new Kind(bytes(text).buffer);

const given = numbers(data.columns.given, Uint16Array);
const suggested = numbers(data.columns.suggested, Int16Array);
const probability = numbers(data.columns.probability, Float32Array);
const quality = numbers(data.columns.quality, Float32Array);
const weight = numbers(data.columns.weight, Float32Array);
const margin = numbers(data.columns.margin, Float32Array);
const issue = numbers(data.columns.issue, Uint8Array);
const near = numbers(data.near, Int32Array);
const classOf = numbers(data.classOf, Uint16Array);
const spots = numbers(data.map, Uint16Array);
const background = numbers(data.background, Uint16Array);
const BESIDE = N ? near.length / N / 2 : 0;

/** Places of the nearest samples: side 0 of the given class, side 1 of the suggested one. */
function neighbours(sample, side) {
  const start = (2 * sample + side) * BESIDE;
  return Array.from(near.subarray(start, start + BESIDE)).filter((place) => place >= 0);
}

const issues = issue.reduce((sum, one) => sum + one, 0);
