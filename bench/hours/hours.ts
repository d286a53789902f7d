import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { percentile, sizes } from '../fit/measures.ts';
import { soundOf } from '../fit/scripted.ts';
import { machine } from '../machine.ts';
import { type Tell, longTime, teller } from '../progress.ts';
import { decode } from '../quality/stage-run.ts';
import { type Verdict, judge, verdictText } from '../verdicts.ts';
import { hoursPage } from './page.ts';
import { type Minute, type Simulation, simulate } from './simulated.ts';
import { EndlessTalk } from './talk.ts';

export interface HoursOptions {
  readonly hours: number;
  readonly drift: number;
  readonly outage: number;
  readonly delay: number;
  readonly seed: number;
  readonly media: string;
  readonly out: string;
}

/** The publisher plays this, if it is there. */
const SPEECH = 'talking/musetalk/eng.wav';

/** Simulates hours of a live programme. Writes `hours.json` and `hours.html`. */
export async function hours(options: HoursOptions, scope: Scope, tell: Tell = teller()): Promise<Verdict[]> {
  const { drift, outage, delay, seed, media, out } = options;
  const minutes = Math.max(1, Math.round(options.hours * 60));
  const simulation = await simulate({ minutes, drift, outage, delay, seed, sound: soundFrom(media) }, scope, tell);
  const verdicts = simulatedVerdicts(simulation);
  await mkdir(out, { recursive: true });
  const result = { machine: machine(), when: new Date().toISOString(), ...simulation, verdicts };
  await writeFile(join(out, 'hours.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(out, 'hours.html'), hoursPage(result));
  console.log(`${hoursText(simulation)}\n\n${verdictText(verdicts)}\n\nresults  ${out}/hours.json, ${out}/hours.html`);
  return verdicts;
}

/** A minute of real speech; of made-up sound where there is none. */
export function soundFrom(media: string): Float32Array {
  const file = join(media, SPEECH);
  if (existsSync(file)) return decode(file, 48_000);
  const talk = new EndlessTalk(7, 'en' as Language);
  return soundOf(talk, { start: at(0), count: 60 * 48_000, rate: 48_000 }).pcm;
}

/** Memory says nothing before code is compiled and buffers have their size. */
const LONG_ENOUGH = 30;
const WARM = 0.1;
/** A dub is back at the latest when the voice is asked again (every ten seconds at most) and somebody has said something. */
const BACK = 45;

/** What issue 4 wants of hours, as far as this run can tell. */
export function simulatedVerdicts(simulation: Simulation): Verdict[] {
  const { minutes, options, clips, losses, outage, lines } = simulation;
  const lags = minutes.flatMap(({ lag }) => (lag === null ? [] : [lag]));
  const [first, last] = [minutes[0]?.lag ?? lags[0], lags.at(-1)];
  const av = minutes.flatMap(({ avMs }) => (avMs === null ? [] : [Math.abs(avMs)]));
  const lost = Object.entries(losses).filter(([, count]) => count > 0);
  const growth = rssGrowth(minutes);
  const heard = clips.heard + clips.unheard;
  const dubbed = (lines['dubbed'] ?? 0) + (lines['trimmed'] ?? 0);
  return [
    judge(
      `lag at the end less lag at minute 1, ${longTime(minutes.length * 60)}`,
      'within ± 0.1 s',
      first === undefined || last === undefined || lags.length < 2 ? null : last - first,
      (value) => `${signed(value)} s (${first?.toFixed(3)} s at first, ${last?.toFixed(3)} s at last)`,
      (value) => Math.abs(value) <= 0.1,
    ),
    judge(
      'lag in between, furthest from minute 1',
      'within ± 0.1 s',
      first === undefined ? null : Math.max(...lags.map((lag) => Math.abs(lag - first))),
      (value) => `${value.toFixed(3)} s`,
      (value) => value <= 0.1,
    ),
    judge(
      'minutes in which the ping was heard',
      'all',
      minutes.length === 0 ? null : minutes.length - lags.length,
      () => `${lags.length} of ${minutes.length}`,
      (missing) => missing === 0,
    ),
    judge(
      'A/V offset, furthest from 0',
      'within ± 20 ms',
      av.length > 0 ? Math.max(...av) : null,
      (value) => `${value.toFixed(1)} ms`,
      (value) => value <= 20,
    ),
    growth === undefined
      ? { what: 'RSS growth', wanted: '< 5 %', measured: `needs ${LONG_ENOUGH} simulated minutes`, passed: null }
      : judge(
          'RSS growth, first to last tenth',
          '< 5 %',
          growth.share,
          (share) => `${signed(100 * share, 1)} % (${growth.first.toFixed(0)} → ${growth.last.toFixed(0)} MiB)`,
          (share) => share < 0.05,
        ),
    judge(
      `drift of ${options.drift} ppm absorbed: samples or pictures lost`,
      'none',
      lost.reduce((sum, [, count]) => sum + count, 0),
      () => lost.map(([name, count]) => `${name} ${count}`).join(', ') || 'none',
      (count) => count === 0,
    ),
    judge(
      'frames that do not follow the one before',
      'none',
      simulation.frames > 0 ? simulation.breaks : null,
      (count) => `${count} of ${simulation.frames}`,
      (count) => count === 0,
    ),
    judge(
      'clips heard in their place, each once',
      'all',
      heard > 0 ? clips.unheard + clips.again : null,
      () => `${clips.heard} of ${heard}, ${clips.again} placed twice`,
      (wrong) => wrong === 0,
    ),
    judge(
      'phrases beyond 0.9–1.2×',
      'none',
      dubbed > 0 ? simulation.beyond : null,
      (count) => `${count} (${simulation.slowest.toFixed(3)}–${simulation.fastest.toFixed(3)}×)`,
      (count) => count === 0,
    ),
    ...(outage
      ? [
          judge(
            `voice stopped for ${outage.until - outage.from} s: likeness of dub and original meanwhile`,
            '≥ 0.99',
            outage.likeness,
            (value) => value.toFixed(4),
            (value) => value >= 0.99,
          ),
          judge(
            'first dub after the voice is back',
            `within ${BACK} s`,
            outage.backAfter ?? Number.POSITIVE_INFINITY,
            (value) => (Number.isFinite(value) ? `${value.toFixed(1)} s` : 'never'),
            (value) => value <= BACK,
          ),
          judge(
            'the same delay as before: median start error after less before',
            'within ± 50 ms',
            outage.startAfter === null || outage.startBefore === null ? null : outage.startAfter - outage.startBefore,
            (value) => `${signed(value, 0)} ms`,
            (value) => Math.abs(value) <= 50,
          ),
        ]
      : []),
    ...simulation.inspected,
  ];
}

export function rssGrowth(minutes: readonly Pick<Minute, 'rssMiB'>[]) {
  if (minutes.length < LONG_ENOUGH) return undefined;
  const tenth = Math.max(3, Math.floor(minutes.length * WARM));
  const median = (part: readonly Pick<Minute, 'rssMiB'>[]) =>
    percentile(
      part.map(({ rssMiB }) => rssMiB),
      0.5,
    ) ?? Number.NaN;
  // The very first ones are still warming up.
  const [first, last] = [median(minutes.slice(tenth, 2 * tenth)), median(minutes.slice(-tenth))];
  return { first, last, share: last / first - 1 };
}
const signed = (value: number, digits = 3) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(digits)}`;

export function hoursText(simulation: Simulation): string {
  const { simulated, elapsed, cpu, lines, rungs, starts, losses, dropped, faults, unsettled, unheard, clips } =
    simulation;
  const counts = (all: Readonly<Record<string, number>>) =>
    Object.entries(all)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ') || 'none';
  const start = [0.5, 0.95, 1].map((share) => percentile(sizes(starts), share)?.toFixed(0) ?? '–').join(' / ');
  const rows: [string, string][] = [
    [
      'simulated',
      `${longTime(simulated)} in ${longTime(elapsed)}: ${(simulated / elapsed).toFixed(1)} times as fast as it plays, ${cpu.toFixed(0)} s of CPU`,
    ],
    ['lines', counts(lines)],
    ['rungs', counts(rungs)],
    ['start error', `p50 / p95 / max ${start} ms`],
    ['clips', `${clips.placed} placed, ${clips.heard} heard in their place, ${clips.unheard} not`],
    ['lost', counts(losses)],
    ['dropped', `${counts(dropped)}; ${(unheard / 1e6).toFixed(2)} s not listened to`],
    ['faults', counts(faults)],
    ['event loop', `longest ${Math.max(0, ...simulation.minutes.map(({ loopMs }) => loopMs)).toFixed(0)} ms`],
    ...(unsettled > 0
      ? [['unsettled', `${unsettled} ticks: the run is not exactly repeatable`] as [string, string]]
      : []),
  ];
  return rows.map(([name, text]) => `${name.padEnd(12)}${text}`).join('\n');
}
