import type { CpuResult, ReelResult } from './cpu.ts';
import { coreShare, ratePerCore } from './meter.ts';
import { PARTS, STAGES } from './path.ts';
import { CODECS, FPS } from './reel.ts';

/** A table of text: the first column to the left, the others to the right. */
export function textTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((each, n) => Math.max(each.length, ...rows.map((row) => row[n]?.length ?? 0)));
  return [head, ...rows]
    .map((row) => row.map((each, n) => (n === 0 ? each.padEnd(widths[n]!) : each.padStart(widths[n]!))).join('  '))
    .join('\n');
}

const two = (value: number) => value.toFixed(2);
const percent = (part: number) => `${Math.round(100 * part)} %`;

export const STAGE_HEAD = ['stage', 'ms', 'p50', 'p95', 'of a core'];
/** A reel's stages, those of both codecs. */
export function stageRows({ stages, whole }: ReelResult): string[][] {
  const names = [...new Set(CODECS.flatMap((codec) => STAGES(codec).map(([name]) => name)))];
  const row = (name: string, { mean, p50, p95 }: { mean: number; p50: number; p95: number }) => [
    name,
    two(mean),
    two(p50),
    two(p95),
    percent(coreShare(mean, FPS)),
  ];
  return [
    ...names.flatMap((name) => [
      row(name, stages[name]!),
      ...(name === 'look' ? PARTS.map((part) => row(`  ${part.slice(6)}`, stages[part]!)) : []),
    ]),
    ...CODECS.map((codec) => row(`all, ${codec}`, whole[codec])),
  ];
}

export const REEL_HEAD = [
  'clip',
  'mouths',
  'driver ms',
  'of a core',
  'fps a core',
  'all ms',
  'of a core',
  'fps a core',
  'ffmpeg ms',
  'ratio',
];
/** One line a reel and codec: mouths × fps that a core does, of the driver and of everything. */
export const reelRows = (reels: readonly ReelResult[]): string[][] =>
  reels.flatMap(({ name, driven, driver, whole, plain }) =>
    CODECS.map((codec) => [
      `${name}, ${codec}`,
      driven.toFixed(2),
      two(driver.mean),
      percent(coreShare(driver.mean, FPS)),
      (driven * ratePerCore(driver.mean)).toFixed(0),
      two(whole[codec].mean),
      percent(coreShare(whole[codec].mean, FPS)),
      (driven * ratePerCore(whole[codec].mean)).toFixed(0),
      two(plain[codec]),
      `${(whole[codec].mean / plain[codec]).toFixed(1)} ×`,
    ]),
  );

export const SELDOM_HEAD = [
  'clip',
  'look ms',
  'every 120 ms',
  'points px',
  'mouth px',
  'of eye distance',
  'p95',
  'opening',
  'p95',
];
/** What looking less often saves, and how far off faces then are. */
export const seldomRows = (reels: readonly ReelResult[]): string[][] =>
  reels.map(({ name, stages, seldom, astray }) => [
    name,
    two(stages['look']!.mean),
    two(seldom.mean),
    two(astray.px),
    two(astray.mouthPx),
    `${(100 * astray.mouth).toFixed(1)} %`,
    `${(100 * astray.mouthP95).toFixed(1)} %`,
    `${(100 * astray.opening).toFixed(1)} %`,
    `${(100 * astray.openingP95).toFixed(1)} %`,
  ]);

export function cpuText({ machine, load, size, rounds, cold, reels }: CpuResult): string {
  const stages = reels.map(
    (reel) =>
      `${reel.name} (${reel.faces === 1 ? 'one face' : `${reel.faces} faces`}, ${reel.pictures} pictures)\n${textTable(STAGE_HEAD, stageRows(reel))}`,
  );
  return [
    `${machine}; load ${load.map(two).join(' before, ')} after`,
    `${size.width} × ${size.height}, CPU ms a picture, all threads of the process; of a core at ${FPS} pictures a second; ${rounds} rounds after one that warms up`,
    ...stages,
    `driver: warp and sharpening (the first ${cold.count} pictures of a process take it ${two(cold.mean)} ms each); all: from decoding to encoding; ffmpeg: decodes and encodes every picture, one thread\n${textTable(REEL_HEAD, reelRows(reels))}`,
    `landmarks in every picture, or every 120 ms and interpolated\n${textTable(SELDOM_HEAD, seldomRows(reels))}`,
  ].join('\n\n');
}
