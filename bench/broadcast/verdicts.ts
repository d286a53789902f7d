import type { Checked } from '../../gateway/hls-check/check.ts';
import { type Verdict, judge } from '../verdicts.ts';
import type { Offset } from './offsets.ts';

/** The offsets of one rendition of sound. */
export interface Measured {
  readonly language: string;
  readonly offsets: readonly Offset[];
}
export interface Broadcast {
  readonly programme: string;
  readonly minutes: number;
  readonly to: readonly string[];
  /** What the marks are off by before anything of ours has touched them, ms. */
  readonly atSource: number | null;
  readonly checked: Checked;
  readonly measured: readonly Measured[];
  readonly lines: number;
  readonly dubbed: number;
  readonly restarts: number;
  readonly memory: readonly {
    readonly t: number;
    readonly rssMiB: Readonly<Record<string, number>>;
    readonly cpu: Readonly<Record<string, number>>;
  }[];
}

/** Offsets are judged by the median of so many seconds: a picture is shown for 40 ms. */
export const WINDOW = 30;
const MOST = 40;

export const median = (values: readonly number[]): number | null => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
};

/** The median of each window, with the seconds from the first mark at which it ends. */
export function windowsOf(offsets: readonly Offset[]): { readonly t: number; readonly ms: number }[] {
  const first = offsets[0]?.at ?? 0;
  const all = new Map<number, number[]>();
  for (const { at, ms } of offsets) {
    if (ms === null) continue;
    const window = Math.floor((at - first) / WINDOW);
    all.set(window, [...(all.get(window) ?? []), ms]);
  }
  return [...all].map(([window, values]) => ({ t: (window + 1) * WINDOW, ms: median(values) ?? 0 }));
}

export function broadcastVerdicts(result: Broadcast): Verdict[] {
  const { checked, measured, to } = result;
  const live = checked.renditions.flatMap(({ punctuality }) => punctuality ?? []);
  const parts = live.reduce((sum, one) => sum + one.parts, 0);
  const onTime = live.reduce((sum, one) => sum + one.onTime, 0);
  const count = (severity: string) => checked.findings.filter((one) => one.severity === severity);
  const gaps = checked.findings.filter(({ rule }) => rule === 'time-gap').reduce((sum, one) => sum + one.count, 0);
  const discontinuities = checked.renditions.reduce((sum, one) => sum + one.discontinuities, 0);
  const ms = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(1)} ms`;
  return [
    judge(
      'discontinuities, and gaps between parts, in all renditions',
      'none',
      parts > 0 ? discontinuities + gaps : null,
      () => `${discontinuities} and ${gaps} in ${checked.renditions.length} renditions`,
      (value) => value === 0,
    ),
    ...['en', ...to].flatMap((language) => {
      const offsets = measured.find((one) => one.language === language)?.offsets ?? [];
      const windows = windowsOf(offsets);
      const worst = windows.reduce<number | null>(
        (most, one) => (Math.abs(one.ms) > Math.abs(most ?? 0) ? one.ms : (most ?? one.ms)),
        null,
      );
      const found = offsets.filter((one) => one.ms !== null).length;
      const keeps = (value: number) => Math.abs(value) <= MOST;
      return [
        judge(
          `sound of "${language}" against the picture at the end`,
          `within ± ${MOST} ms`,
          windows.at(-1)?.ms,
          (value) => `${ms(value)}, at the start ${ms(windows[0]?.ms ?? 0)}`,
          keeps,
        ),
        judge(
          `the same, worst of every ${WINDOW} s`,
          `within ± ${MOST} ms`,
          worst,
          (value) => `${ms(value)}; ${found} of ${offsets.length} marks found`,
          keeps,
        ),
      ];
    }),
    judge(
      'parts on time',
      '≥ 99.9 %',
      parts > 0 ? onTime / parts : null,
      (share) =>
        `${(100 * share).toFixed(3)} % of ${parts}, ${live.reduce((sum, one) => sum + one.starved, 0)} too late for a player at the hold-back`,
      (share) => share >= 0.999,
    ),
    judge(
      'validator: errors and warnings',
      'none',
      count('error').length + count('warning').length,
      () => `${count('error').length} errors, ${count('warning').length} warnings, ${count('note').length} notes`,
      (value) => value === 0,
    ),
    ...['en', ...to].map((language) => {
      const captions = checked.renditions.filter((one) => one.kind === 'captions' && one.language === language);
      const cues = captions.reduce((sum, one) => sum + one.cues, 0);
      return judge(
        `captions in "${language}"`,
        'there',
        cues,
        (value) => `${value} cues`,
        (value) => value > 0,
      );
    }),
    judge(
      'lines dubbed',
      'some',
      result.lines > 0 ? result.dubbed : null,
      (value) => `${value} of ${result.lines}`,
      (value) => value > 0,
    ),
    judge('restarts of the session process', 'none', result.restarts, String, (value) => value === 0),
  ];
}
