const WIDTH = 900;
const HEIGHT = 260;
const MARGIN = { left: 60, right: 20, top: 14, bottom: 36 };
const COLOURS = ['#2563eb', '#d97706', '#059669', '#9333ea', '#dc2626', '#475569'];

/** Text that stays text within markup. */
export const escape = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const n = (value: number) => Number(value.toFixed(2)).toString();
/** Two digits that say something, however small the value. */
const label = (value: number) => (Math.abs(value) < 0.1 ? Number(value.toPrecision(2)).toString() : n(value));

/** Round steps of which about `wanted` fit below `most`. */
export function ticks(most: number, wanted = 5): number[] {
  const raw = Math.max(most, 1e-9) / wanted;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= raw) ?? 10) * power;
  return Array.from({ length: Math.floor(most / step + 1e-9) + 1 }, (_, i) => Number((i * step).toPrecision(12)));
}

const figure = (title: string, body: string, height = HEIGHT) =>
  `<figure><figcaption>${escape(title)}</figcaption><svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escape(title)}">${body}</svg></figure>`;

export interface Series {
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Points joined by lines; both axes begin at 0. */
export function lines(title: string, xLabel: string, unit: string, series: readonly Series[]): string {
  const points = series.flatMap((each) => each.points);
  const mostX = Math.max(1e-9, ...points.map(([x]) => x));
  const mostY = Math.max(1e-9, ...points.map(([, y]) => y)) * 1.05;
  const x = (value: number) => MARGIN.left + (value / mostX) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) => HEIGHT - MARGIN.bottom - (value / mostY) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const grid = ticks(mostY).map(
    (value) =>
      `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${n(y(value))}" y2="${n(y(value))}"/><text x="${MARGIN.left - 6}" y="${n(y(value) + 4)}" text-anchor="end">${n(value)}</text>`,
  );
  const below = ticks(mostX, 8).map(
    (value) => `<text x="${n(x(value))}" y="${HEIGHT - 18}" text-anchor="middle">${n(value)}</text>`,
  );
  const drawn = series.map(({ points: own }, i) => {
    const colour = COLOURS[i % COLOURS.length];
    const path = own.map(([px, py], k) => `${k === 0 ? 'M' : 'L'}${n(x(px))} ${n(y(py))}`).join('');
    const dots =
      own.length <= 80
        ? own.map(([px, py]) => `<circle cx="${n(x(px))}" cy="${n(y(py))}" r="3" fill="${colour}"/>`).join('')
        : '';
    return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="1.6"/>${dots}`;
  });
  const label = `<text x="${WIDTH / 2}" y="${HEIGHT - 3}" text-anchor="middle">${escape(xLabel)}</text><text x="4" y="12">${escape(unit)}</text>`;
  const legend = series
    .map(({ name }, i) => `<span style="color:${COLOURS[i % COLOURS.length]}">● ${escape(name)}</span>`)
    .join(' ');
  return `${figure(title, [...grid, ...below, ...drawn, label].join(''))}<p class="legend">${legend}</p>`;
}

const legendOf = (names: readonly string[]) =>
  `<p class="legend">${names.map((name, i) => `<span style="color:${COLOURS[i % COLOURS.length]}">● ${escape(name)}</span>`).join(' ')}</p>`;

/** The places of the round steps from `least` to `most`, 0 among them where it lies between. */
function steps(least: number, most: number, wanted: number): number[] {
  const up = ticks(Math.max(most, 0), wanted);
  const down = ticks(Math.max(-least, 0), wanted);
  const step = Math.max(up[1] ?? 0, down[1] ?? 0) || 1;
  const first = Math.ceil(least / step - 1e-9);
  const last = Math.floor(most / step + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Points by themselves; values may be negative. `limits` are drawn across. */
export function scatter(
  title: string,
  xLabel: string,
  unit: string,
  series: readonly Series[],
  limits: readonly number[] = [],
): string {
  const points = series.flatMap((each) => each.points);
  const mostX = Math.max(1e-9, ...points.map(([x]) => x));
  const ys = [0, ...limits, ...points.map(([, y]) => y)];
  const [least, most] = [Math.min(...ys) * 1.05, Math.max(1e-9, ...ys) * 1.05];
  const x = (value: number) => MARGIN.left + (value / mostX) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) =>
    HEIGHT - MARGIN.bottom - ((value - least) / (most - least)) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const across = (value: number, style: string) =>
    `<line ${style} x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${n(y(value))}" y2="${n(y(value))}"/>`;
  const grid = steps(least, most, 4).map(
    (value) =>
      `${across(value, 'class="grid"')}<text x="${MARGIN.left - 6}" y="${n(y(value) + 4)}" text-anchor="end">${n(value)}</text>`,
  );
  const marks = limits.map((value) => across(value, 'stroke="#dc2626" stroke-dasharray="4 4"'));
  const below = ticks(mostX, 8).map(
    (value) => `<text x="${n(x(value))}" y="${HEIGHT - 18}" text-anchor="middle">${n(value)}</text>`,
  );
  const drawn = series.flatMap(({ points: own }, i) =>
    own.map(
      ([px, py]) =>
        `<circle cx="${n(x(px))}" cy="${n(y(py))}" r="3" fill="${COLOURS[i % COLOURS.length]}" fill-opacity=".7"/>`,
    ),
  );
  const labels = `<text x="${WIDTH / 2}" y="${HEIGHT - 3}" text-anchor="middle">${escape(xLabel)}</text><text x="4" y="12">${escape(unit)}</text>`;
  return `${figure(title, [...grid, ...marks, ...below, ...drawn, labels].join(''))}${legendOf(series.map(({ name }) => name))}`;
}

export interface Bins {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}
/** How many values fall into each of equal bins; what lies outside counts for the outermost ones. */
export function binned(values: readonly number[], { from, to, count }: Bins): number[] {
  const counts = new Array<number>(count).fill(0);
  for (const value of values) {
    if (Number.isNaN(value)) continue;
    const bin = Math.min(count - 1, Math.max(0, Math.floor(((value - from) / (to - from)) * count + 1e-9)));
    counts[bin] = (counts[bin] ?? 0) + 1;
  }
  return counts;
}

/** How values are spread, as shares; several sets side by side in each bin. `limits` are drawn from top to bottom. */
export function histogram(
  title: string,
  xLabel: string,
  sets: readonly { readonly name: string; readonly values: readonly number[] }[],
  bins: Bins,
  limits: readonly number[] = [],
): string {
  const shares = sets.map(({ values }) => {
    const counts = binned(values, bins);
    const all = Math.max(1, values.length);
    return counts.map((count) => (100 * count) / all);
  });
  const most = Math.max(1e-9, ...shares.flat()) * 1.05;
  const x = (value: number) =>
    MARGIN.left + ((value - bins.from) / (bins.to - bins.from)) * (WIDTH - MARGIN.left - MARGIN.right);
  const y = (value: number) => HEIGHT - MARGIN.bottom - (value / most) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const width = (bins.to - bins.from) / bins.count;
  const bar = (x(width) - x(0)) / Math.max(1, sets.length) - 0.5;
  const drawn = shares.flatMap((own, i) =>
    own.map((share, bin) => {
      const left = x(bins.from + bin * width) + i * (bar + 0.5);
      return `<rect x="${n(left)}" y="${n(y(share))}" width="${n(Math.max(0.5, bar))}" height="${n(Math.max(0, y(0) - y(share)))}" fill="${COLOURS[i % COLOURS.length]}"/>`;
    }),
  );
  const grid = ticks(most, 4).map(
    (value) =>
      `<line class="grid" x1="${MARGIN.left}" x2="${WIDTH - MARGIN.right}" y1="${n(y(value))}" y2="${n(y(value))}"/><text x="${MARGIN.left - 6}" y="${n(y(value) + 4)}" text-anchor="end">${n(value)}</text>`,
  );
  const below = steps(bins.from, bins.to, 10).map(
    (value) => `<text x="${n(x(value))}" y="${HEIGHT - 18}" text-anchor="middle">${n(value)}</text>`,
  );
  const marks = limits.map(
    (value) =>
      `<line stroke="#dc2626" stroke-dasharray="4 4" x1="${n(x(value))}" x2="${n(x(value))}" y1="${MARGIN.top}" y2="${HEIGHT - MARGIN.bottom}"/>`,
  );
  const labels = `<text x="${WIDTH / 2}" y="${HEIGHT - 3}" text-anchor="middle">${escape(xLabel)}</text><text x="4" y="12">%</text>`;
  const legend = legendOf(sets.map(({ name, values }) => `${name} (${values.length})`));
  return `${figure(title, [...grid, ...drawn, ...below, ...marks, labels].join(''))}${legend}`;
}

/** One row a bar; further values are drawn as ticks on it. */
export function bars(
  title: string,
  unit: string,
  rows: readonly (readonly [name: string, ...values: number[]])[],
): string {
  const row = 22;
  // Seven pixels a letter.
  const left = Math.min(460, Math.max(150, 16 + 7 * Math.max(0, ...rows.map(([name]) => name.length))));
  const most = Math.max(1e-9, ...rows.flatMap(([, ...values]) => values)) * 1.1;
  const x = (value: number) => left + (value / most) * (WIDTH - left - 90);
  const drawn = rows.map(([name, value = 0, ...more], i) => {
    const top = i * row + 4;
    const marks = more
      .map(
        (other) =>
          `<line x1="${n(x(other))}" x2="${n(x(other))}" y1="${top}" y2="${top + row - 6}" stroke="#dc2626" stroke-width="2"/>`,
      )
      .join('');
    const said = [value, ...more].map(label).join(' / ');
    return `<text x="${left - 8}" y="${top + 12}" text-anchor="end">${escape(name)}</text><rect x="${left}" y="${top}" width="${n(Math.max(0, x(value) - left))}" height="${row - 6}" fill="${COLOURS[0]}"/>${marks}<text x="${n(x(Math.max(value, ...more)) + 6)}" y="${top + 12}">${said} ${escape(unit)}</text>`;
  });
  return figure(title, drawn.join(''), rows.length * row + 8);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const cells = (tag: 'td' | 'th', values: readonly string[]) =>
    values.map((value) => `<${tag}>${escape(value)}</${tag}>`).join('');
  return `<table><thead><tr>${cells('th', head)}</tr></thead><tbody>${rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('')}</tbody></table>`;
}

/** A page that needs nothing but itself. */
export function page(title: string, parts: readonly string[]): string {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escape(title)}</title>
<style>
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:960px;margin:2rem auto;padding:0 1rem}
figure{margin:2rem 0 0}figcaption{font-weight:600}svg{width:100%;height:auto}svg text{font-size:12px;fill:currentColor}
.grid{stroke:currentColor;opacity:.15}.legend{display:flex;flex-wrap:wrap;gap:1rem;margin:.2rem 0 0}
table{border-collapse:collapse;margin:1.5rem 0;width:100%}td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #8884}
</style>
<h1>${escape(title)}</h1>
${parts.join('\n')}
</html>
`;
}
