import { MEASURES, MEASURE_NAMES, type VideoReport } from '../models/evaluate/video-report.ts';

/** Both pictures at one time, as JPEG. */
export interface Still {
  /** Seconds from the beginning. */
  readonly at: number;
  readonly original: Uint8Array;
  readonly dubbed: Uint8Array;
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
const figure = (value: number | null, unit: string) =>
  value === null ? '—' : `${Number(value.toPrecision(4))}${unit === '' ? '' : ` ${unit}`}`;
const time = (seconds: number) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, '0')}`;
const WORDS = {
  blurred: 'the mouth is less sharp against its face than in the original (1: alike)',
  'changed outside': 'the picture outside of faces differs from the original (SSIM)',
  trembling: 'the mouth trembles more than in the original (eye distances)',
  'open in silence': 'the mouth is open while nothing is heard (eye distances)',
  'face lost': 'the face is not found again',
} as const;

const WIDTH = 900;
const ROW = 110;
const LEFT = 70;
/** Seconds a row of the strip. */
const SPAN = 30;
const RATE = 25;

/** Values as a line, with gaps where nothing is known. */
function path(values: readonly (number | null)[], x: (n: number) => number, y: (value: number) => number): string {
  let out = '';
  let drawing = false;
  for (const [n, value] of values.entries()) {
    if (value !== null) out += `${drawing ? 'L' : 'M'}${x(n).toFixed(1)} ${y(value).toFixed(1)}`;
    drawing = value !== null;
  }
  return out;
}
/** Mouth openings over the level of the sound that is heard with them, half a minute a row. */
function strip({ strip: { openings, levels }, pictures }: VideoReport): string {
  const most = Math.max(0.1, ...[...openings.original, ...openings.dubbed].map((value) => value ?? 0));
  const rows: string[] = [];
  for (let from = 0; from < pictures; from += SPAN * RATE) {
    const count = Math.min(SPAN * RATE, pictures - from);
    const x = (n: number) => LEFT + (n / (SPAN * RATE)) * (WIDTH - LEFT - 10);
    const sides = (['original', 'dubbed'] as const).map((side, index) => {
      const base = (index + 1) * ROW - 10;
      const tall = ROW - 24;
      const heard = levels[side].slice(from, from + count);
      const area = `M${x(0)} ${base}${heard.map((value, n) => `L${x(n).toFixed(1)} ${(base - value * tall).toFixed(1)}`).join('')}L${x(count - 1).toFixed(1)} ${base}Z`;
      const line = path(openings[side].slice(from, from + count), x, (value) => base - (value / most) * tall);
      return `<text x="${LEFT - 8}" y="${base - tall / 2}" text-anchor="end">${side}</text><path class="sound" d="${area}"/><path class="mouth ${side}" d="${line}"/>`;
    });
    const marks = Array.from({ length: Math.floor(count / RATE / 5) + 1 }, (_, n) => n * 5).map(
      (second) =>
        `<line class="grid" x1="${x(second * RATE).toFixed(1)}" x2="${x(second * RATE).toFixed(1)}" y1="8" y2="${2 * ROW - 10}"/><text x="${x(second * RATE).toFixed(1)}" y="${2 * ROW + 6}" text-anchor="middle">${time(from / RATE + second)}</text>`,
    );
    rows.push(
      `<svg viewBox="0 0 ${WIDTH} ${2 * ROW + 12}" role="img" aria-label="Mouth openings and sound from ${time(from / RATE)}">${marks.join('')}${sides.join('')}</svg>`,
    );
  }
  return rows.join('\n');
}
const picture = (bytes: Uint8Array, says: string) =>
  `<img alt="${escaped(says)}" src="data:image/jpeg;base64,${Buffer.from(bytes).toString('base64')}">`;

/** What was measured as one page that needs nothing but itself. */
export function evalPage(
  report: VideoReport,
  names: { original: string; dubbed: string },
  stills: readonly Still[],
): string {
  const rows = MEASURE_NAMES.map((name) => {
    const { title, unit, better, says } = MEASURES[name];
    const { value, original, why } = report.measures[name];
    const best = { higher: 'higher is better', lower: 'lower is better', zero: 'best at 0', one: 'best at 1' }[better];
    const because = why === null ? '' : `<br><em>Not measured: ${escaped(why)}.</em>`;
    return `<tr><th>${escaped(title)}</th><td>${figure(value, unit)}</td><td>${figure(original, unit)}</td><td>${escaped(says)} <small>${best}</small>${because}</td></tr>`;
  });
  const worst = report.worst.map(
    ({ at, what, value }) => `<tr><td>${time(at)}</td><td>${what}</td><td>${value}</td><td>${WORDS[what]}</td></tr>`,
  );
  const shown = stills.map(
    ({ at, original, dubbed }) =>
      `<figure><div>${picture(original, `original at ${time(at)}`)}${picture(dubbed, `dubbed at ${time(at)}`)}</div><figcaption>${time(at)}: original, dubbed</figcaption></figure>`,
  );
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${escaped(names.dubbed)} against ${escaped(names.original)}</title>
<style>
:root{color-scheme:light dark;font:15px/1.5 system-ui,sans-serif}
body{max-width:960px;margin:2rem auto;padding:0 1rem}
svg{width:100%;height:auto}svg text{font-size:12px;fill:currentColor}.grid{stroke:currentColor;opacity:.15}
.sound{fill:#94a3b8;opacity:.4}.mouth{fill:none;stroke-width:1.6}.original{stroke:#2563eb}.dubbed{stroke:#d97706}
table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem;border-bottom:1px solid #8884}
td:nth-child(2),td:nth-child(3){white-space:nowrap}
figure{margin:1rem 0}figure div{display:grid;grid-template-columns:1fr 1fr;gap:.5rem}img{width:100%}
</style>
<h1>${escaped(names.dubbed)}</h1>
<p>Measured against ${escaped(names.original)}: ${report.pictures} pictures, 25 a second, ${time(report.seconds)}.</p>
<h2>Figures</h2>
<table><thead><tr><th>measure</th><th>dubbed</th><th>original</th><th>what it says</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>
<h2>Mouth and sound</h2>
<p>Line: how far the mouth is open. Area: the level of the sound that is heard with it, the upper 40 dB.</p>
${strip(report)}
<h2>Worst moments</h2>
${worst.length > 0 ? `<table><thead><tr><th>at</th><th>what</th><th>value</th><th></th></tr></thead><tbody>${worst.join('')}</tbody></table>` : '<p>None that stands out.</p>'}
<h2>Stills</h2>
${shown.join('\n')}
</html>
`;
}
