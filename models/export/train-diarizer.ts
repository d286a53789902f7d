import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Speakers, type VoiceSpace, distance, place } from '../speakers/speakers.ts';
import { MEASURES, VoiceMeasurer } from '../speakers/voice.ts';
import { type Matrix, eigen, multiply, transpose, whitening, zeros } from './matrix.ts';

/**
 * Makes `models/speakers/diarizer-space.ts` from recordings whose speaker is known, and says how well it does on speakers that
 * it was not made from.
 *
 *   node dist/models/export/train-diarizer.js --speech ../shared/media/spk/librispeech_test_other --out models/speakers/diarizer-space.ts
 *
 * Files are called `speaker-….flac`, as in LibriSpeech. Few speakers are enough because little is learned: how the
 * measures vary within one voice (shrunk towards its diagonal) and, mixed with an even spread, between voices.
 */
const PIECE = 2 * 16_000;
const SHRINK = 0.7;
const EVEN = 0.3;
const DIMENSIONS = 24;
/** Twenty per cent above the distance at which as many pieces of one voice are torn apart as of two taken for one. */
const LENIENCE = 1.2;

type Voice = readonly Float64Array[];

function piecesOf(file: string): Float64Array[] {
  const args = ['-v', 'error', '-i', file, '-ac', '1', '-ar', '16000', '-f', 'f32le', '-'];
  const pcm = new Float32Array(new Uint8Array(execFileSync('ffmpeg', args, { maxBuffer: 1 << 30 })).buffer);
  const measurer = new VoiceMeasurer();
  const pieces: Float64Array[] = [];
  for (let from = 0; from + PIECE / 2 <= pcm.length; from += PIECE) {
    measurer.hear(pcm.subarray(from, from + PIECE));
    if (measurer.voiced >= 0.4) pieces.push(measurer.sum());
    else measurer.clear();
  }
  return pieces;
}

const meanOf = (points: readonly ArrayLike<number>[]) =>
  Array.from({ length: MEASURES }, (_, i) => points.reduce((sum, point) => sum + point[i]!, 0) / points.length);
function addSpread(to: Matrix, points: readonly ArrayLike<number>[], centre: readonly number[], divisor: number): void {
  for (const point of points) {
    for (let i = 0; i < MEASURES; i += 1) {
      const x = (point[i]! - centre[i]!) / divisor;
      for (let j = 0; j < MEASURES; j += 1) to[i]![j]! += x * (point[j]! - centre[j]!);
    }
  }
}

/** Linear discriminant analysis with shrunk scatters. */
function fit(voices: readonly Voice[]): VoiceSpace {
  const means = voices.map(meanOf);
  const [within, between] = [zeros(MEASURES), zeros(MEASURES)];
  const count = voices.reduce((sum, voice) => sum + voice.length, 0);
  for (const [n, voice] of voices.entries()) addSpread(within, voice, means[n]!, count);
  addSpread(between, means, meanOf(means), means.length - 1);
  const shrunk = within.map((row, i) => row.map((x, j) => (i === j ? x : x * (1 - SHRINK))));
  const white = whitening(shrunk);
  const spread = multiply(multiply(white, between), transpose(white));
  const even = spread.reduce((sum, row, i) => sum + row[i]!, 0) / MEASURES;
  const mixed = spread.map((row, i) => row.map((x, j) => (1 - EVEN) * x + (i === j ? EVEN * even : 0)));
  const axes = eigen(mixed).slice(0, DIMENSIONS);
  // A direction counts for as much of what is seen along it as tells voices apart.
  const rows = multiply(
    axes.map(({ value, vector }) => vector.map((x) => x * Math.sqrt(value / (1 + value)))),
    white,
  );
  return {
    rows,
    threshold: LENIENCE * equalErrors(voices.map((voice) => voice.map((piece) => place({ rows }, piece)))),
  };
}

/** The distance that as many pairs of one voice exceed as pairs of two voices stay below. */
function equalErrors(voices: readonly Voice[]): number {
  const [same, different]: [number[], number[]] = [[], []];
  const pieces = voices.flatMap((voice, n) => voice.map((piece) => ({ n, piece })));
  for (const [i, a] of pieces.entries()) {
    for (const b of pieces.slice(i + 1)) (a.n === b.n ? same : different).push(distance(a.piece, b.piece));
  }
  const [near, far] = [same.toSorted((a, b) => a - b), different.toSorted((a, b) => a - b)];
  let taken = 0;
  for (const [n, d] of near.entries()) {
    while (taken < far.length && far[taken]! <= d) taken += 1;
    if (taken / far.length >= 1 - n / near.length) return d;
  }
  throw new Error('Cannot find a threshold: there are no two voices');
}

let seed = 7;
const random = () => (seed = (seed * 1_664_525 + 1_013_904_223) >>> 0) / 2 ** 32;

/** The share of pieces with the right name, for the best way to match names with people. */
function accuracy(truth: readonly number[], names: readonly string[]): number {
  const [people, heard] = [[...new Set(truth)], [...new Set(names)]];
  const best = (n: number, used: ReadonlySet<string>): number => {
    if (n === people.length) return 0;
    const hits = (name: string) => truth.filter((who, i) => who === people[n] && names[i] === name).length;
    const choices = heard
      .filter((name) => !used.has(name))
      .map((name) => hits(name) + best(n + 1, new Set([...used, name])));
    return Math.max(best(n + 1, used), ...choices);
  };
  return best(0, new Set()) / truth.length;
}

/** Conversations of 24 pieces between `size` people whom the space does not know; half the time the same one goes on. */
function evaluate(voices: readonly Voice[], size: number): string {
  const results: { right: number; names: number }[] = [];
  for (let round = 0; round < 60; round += 1) {
    const order = voices.map((voice) => ({ voice, at: random() })).toSorted((a, b) => a.at - b.at);
    const people = order.slice(0, size).map(({ voice }) => voice);
    const space = fit(order.slice(size).map(({ voice }) => voice));
    for (let repeat = 0; repeat < 5; repeat += 1) {
      const speakers = new Speakers(space.threshold, 8);
      const [truth, names]: [number[], string[]] = [[], []];
      for (let n = 0, who = 0; n < 24; n += 1) {
        if (random() < 0.5) who = Math.floor(random() * size);
        const pieces = people[who]!;
        truth.push(who);
        names.push(speakers.name(place(space, pieces[Math.floor(random() * pieces.length)]!)));
      }
      results.push({ right: accuracy(truth, names), names: new Set(names).size });
    }
  }
  const mean = (pick: (each: (typeof results)[number]) => number) =>
    results.reduce((sum, each) => sum + pick(each), 0) / results.length;
  return `${size} ${size === 1 ? 'speaker' : 'speakers'}: ${(100 * mean((each) => each.right)).toFixed(1)} % of 2 s pieces, ${mean((each) => each.names).toFixed(2)} names`;
}

const { values } = parseArgs({ options: { speech: { type: 'string' }, out: { type: 'string' } } });
if (!values.speech || !values.out) throw new Error('Usage: train-diarizer --speech FOLDER --out FILE');
const voices = new Map<string, Float64Array[]>();
for (const file of readdirSync(values.speech)
  .filter((name) => name.endsWith('.flac'))
  .toSorted()) {
  const speaker = file.split('-')[0] ?? '';
  voices.set(speaker, [...(voices.get(speaker) ?? []), ...piecesOf(join(values.speech, file))]);
}
const { rows, threshold } = fit([...voices.values()]);
const report = [1, 2, 3].map((size) => evaluate([...voices.values()], size));
for (const line of report) process.stdout.write(`${line}\n`);
const numbers = rows.map((row) => `    [${row.map((x) => Number(x.toPrecision(4))).join(', ')}],`).join('\n');
writeFileSync(
  values.out,
  `import type { VoiceSpace } from './speakers.ts';

/**
 * Where voices lie, learned by \`models/export/train-diarizer.ts\` from ${voices.size} speakers of LibriSpeech's test-other
 * (V. Panayotov, G. Chen, D. Povey, S. Khudanpur, 2015; CC BY 4.0). Measured on speakers left out of the learning:
${report.map((line) => ` * ${line}.`).join('\n')}
 */
// prettier-ignore
export const VOICE_SPACE: VoiceSpace = {
  threshold: ${Number(threshold.toPrecision(4))},
  rows: [
${numbers}
  ],
};
`,
);
