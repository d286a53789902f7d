const WIDTH = 900;
const HEIGHT = 260;
const MARGIN = { left: 60, right: 20, top: 14, bottom: 36 };
const COLOURS = ['#2563eb', '#d97706', '#059669', '#9333ea', '#dc2626', '#475569'];

const escape = (text: string) =>
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
