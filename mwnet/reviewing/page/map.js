// The map: a point for each sample. Drawing around some shows only those.

const COLOURS = ['#4477aa', '#ee6677', '#228833', '#ccbb44', '#66ccee', '#aa3377', '#ee8866', '#44aa99', '#999933', '#8888dd'];
const colour = (code) => (K <= COLOURS.length ? COLOURS[code] : `hsl(${(code * 137.508) % 360} 55% 55%)`);
const MARGIN = 8;
let path = [];
let extent = [0, 0];

/** Where a point is on the screen, in pixels of the map. */
function spot(places, i) {
  return [
    MARGIN + (places[2 * i] / 65535) * (extent[0] - 2 * MARGIN),
    MARGIN + (1 - places[2 * i + 1] / 65535) * (extent[1] - 2 * MARGIN),
  ];
}

let waiting = false;
let points = null;

/** Draw the map once before the next picture on the screen; its points only where they changed. */
function drawMap(changed = true) {
  if (changed) points = null;
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    paintMap();
  });
}

function paintMap() {
  const box = $('map');
  if (!box.clientWidth) return;
  extent = [box.clientWidth, box.clientHeight];
  const scale = window.devicePixelRatio || 1;
  const style = getComputedStyle(document.documentElement);
  const size = [Math.round(box.clientWidth * scale), Math.round(box.clientHeight * scale)];
  if (!points || points.width !== size[0] || points.height !== size[1]) {
    points = element('canvas', { width: size[0], height: size[1] });
    paintPoints(points.getContext('2d'), scale, style.getPropertyValue('--dust'));
  }
  [box.width, box.height] = size;
  const pen = box.getContext('2d');
  pen.drawImage(points, 0, 0);
  pen.scale(scale, scale);
  if (here() >= 0) {
    const [x, y] = spot(spots, here());
    pen.strokeStyle = style.getPropertyValue('--text');
    pen.lineWidth = 2;
    pen.beginPath();
    pen.arc(x, y, 6, 0, 7);
    pen.stroke();
  }
  if (path.length > 1) {
    pen.strokeStyle = style.getPropertyValue('--accent');
    pen.lineWidth = 1.5;
    pen.beginPath();
    path.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    pen.stroke();
  }
}

function paintPoints(pen, scale, dust) {
  pen.scale(scale, scale);
  const size = N > 5000 ? 1.5 : 2.5;
  pen.fillStyle = dust;
  for (let i = 0; i < background.length / 2; i++) dot(pen, background, i, 1.5);
  const inList = new Uint8Array(N);
  for (const sample of list) inList[sample] = 1;
  for (const wanted of [0, 1]) {
    pen.globalAlpha = wanted ? 0.9 : 0.25;
    let code = -1;
    for (const i of ordered('given')) {
      if (inList[i] !== wanted) continue;
      if (given[i] !== code) {
        code = given[i];
        pen.fillStyle = colour(code);
      }
      dot(pen, spots, i, wanted ? size : size * 0.7);
    }
  }
}

function dot(pen, places, i, size) {
  const [x, y] = spot(places, i);
  pen.fillRect(x - size, y - size, 2 * size, 2 * size);
}

/** Whether a point lies within a closed path: a ray from it crosses the path an odd number of times. */
function within([x, y], around) {
  let inside = false;
  for (let i = 0, j = around.length - 1; i < around.length; j = i++) {
    const [xi, yi] = around[i];
    const [xj, yj] = around[j];
    if (yi > y !== yj > y && x < ((xj - xi) * (y - yi)) / (yj - yi) + xi) inside = !inside;
  }
  return inside;
}

function only(some) {
  filter.some = some;
  $('map-clear').disabled = some === null;
  showFilters();
  select();
}

function lasso(around) {
  const some = new Uint8Array(N);
  for (let i = 0; i < N; i++) some[i] = within(spot(spots, i), around) ? 1 : 0;
  only(some);
}

function distances([x, y]) {
  return Float64Array.from({ length: N }, (_, i) => {
    const [a, b] = spot(spots, i);
    return (a - x) ** 2 + (b - y) ** 2;
  });
}

/** The samples that lie nearest to the current one: what a lasso does, by keys. */
function nearest(number) {
  if (here() < 0) return;
  const far = distances(spot(spots, here()));
  const most = far.slice().sort()[Math.min(number, N) - 1];
  only(Uint8Array.from(far, (one) => (one <= most ? 1 : 0)));
}

function pick(point) {
  const far = distances(point);
  const best = list.reduce((least, sample, place) => (far[sample] < far[list[least]] ? place : least), 0);
  if (list.length) go(best);
}

function startMap() {
  const box = $('map');
  const at = (event) => [event.offsetX, event.offsetY];
  box.onpointerdown = (event) => { box.setPointerCapture(event.pointerId); path = [at(event)]; };
  box.onpointermove = (event) => { if (path.length) { path.push(at(event)); drawMap(false); } };
  box.onpointerup = () => {
    const drawn = path;
    path = [];
    const [wide, high] = [0, 1].map((axis) => Math.max(...drawn.map((p) => p[axis])) - Math.min(...drawn.map((p) => p[axis])));
    if (wide + high < 8) pick(drawn[0]);
    else lasso(drawn);
  };
  box.onpointercancel = () => { path = []; drawMap(false); };
  $('near').onclick = () => nearest(Math.max(1, Number($('near-count').value) || 1));
  $('map-clear').onclick = () => only(null);
  if (K <= COLOURS.length) {
    $('legend').append(...classes.map((name, code) => {
      const sign = element('span', { class: 'sign', 'aria-hidden': 'true' });
      sign.style.background = colour(code);
      return element('span', {}, sign, datum(name));
    }));
  }
}
