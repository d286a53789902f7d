import { bars, escape, lines, page, scatter, table } from '../plots.ts';
import { VERDICT_HEAD, type Verdict, verdictRows } from '../verdicts.ts';
import type { RealResult } from './real.ts';
import type { Minute, Simulation } from './simulated.ts';

interface Facts {
  readonly machine: string;
  readonly when: string;
  readonly verdicts: readonly Verdict[];
}

const facts = ({ machine, when }: Facts, more: string) =>
  `<p>${escape(machine)}. ${when.slice(0, 16).replace('T', ' ')} UTC. ${escape(more)}</p>`;
type Points = readonly (readonly [number, number])[];

/** A simulation as one self-contained page. */
export function hoursPage(result: Simulation & Facts): string {
  const { minutes, options } = result;
  const over = (read: (minute: Minute) => number | null): Points =>
    minutes.flatMap((minute) => {
      const value = read(minute);
      return value === null ? [] : [[minute.t, value] as const];
    });
  const inspected = [...new Set(minutes.flatMap((minute) => Object.keys(minute.inspected)))];
  const counts = (all: Readonly<Record<string, number>>) =>
    Object.entries(all).map(([name, n]): [string, number] => [name, n]);
  const first = minutes.find(({ lag }) => lag !== null)?.lag ?? 0;
  return page('Hours of dubbing, simulated', [
    facts(
      result,
      `${(result.simulated / 3_600).toFixed(2)} h in ${result.elapsed.toFixed(0)} s; drift ${options.drift} ppm, voice stopped for ${options.outage} s, delay ${options.delay} s, seed ${options.seed}.`,
    ),
    table(VERDICT_HEAD, verdictRows(result.verdicts)),
    lines('Lag: from the publisher to the ear', 'minutes', 's', [{ name: 'lag', points: over(({ lag }) => lag) }]),
    scatter(
      'Lag less lag at first',
      'minutes',
      'ms',
      [{ name: 'lag', points: over(({ lag }) => (lag === null ? null : 1_000 * (lag - first))) }],
      [-100, 100],
    ),
    scatter(
      'A/V offset: heard less seen',
      'minutes',
      'ms',
      [{ name: 'offset', points: over(({ avMs }) => avMs) }],
      [-20, 20],
    ),
    lines('Memory', 'minutes', 'MiB', [
      { name: 'resident', points: over(({ rssMiB }) => rssMiB) },
      { name: 'JavaScript heap in use', points: over(({ heapMiB }) => heapMiB) },
    ]),
    lines('Event loop: longest time it did nothing else, each minute', 'minutes', 'ms', [
      { name: 'delay', points: over(({ loopMs }) => loopMs) },
    ]),
    lines('Lines each minute', 'minutes', 'lines', [
      { name: 'said', points: over((minute) => minute.lines) },
      { name: 'dubbed', points: over((minute) => minute.dubbed) },
    ]),
    lines('Simulated time over real time', 'minutes', '×', [{ name: 'speed', points: over(({ speed }) => speed) }]),
    ...inspected.map((name) =>
      scatter(name, 'minutes', '', [{ name, points: over((minute) => finite(minute.inspected[name])) }]),
    ),
    bars('Lines by outcome', 'lines', counts(result.lines)),
    bars('Dubbed lines by rung', 'lines', counts(result.rungs)),
    table(
      ['lost, dropped, failed', 'count'],
      [...counts(result.losses), ...counts(result.dropped), ...counts(result.faults)].map(([name, n]) => [
        name,
        String(n),
      ]),
    ),
  ]);
}
const finite = (value: number | undefined) => (value === undefined || !Number.isFinite(value) ? null : value);

/** A run in real time as one self-contained page. */
export function realPage(result: RealResult & Facts): string {
  const { samples } = result;
  const over = (read: (sample: RealResult['samples'][number]) => number | null): Points =>
    samples.flatMap((sample) => {
      const value = read(sample);
      return value === null || !Number.isFinite(value) ? [] : [[sample.t / 60, value] as const];
    });
  const processes = [...new Set(samples.flatMap(({ rssMiB }) => Object.keys(rssMiB)))];
  return page('Dubbing in real time, through WebRTC', [
    facts(
      result,
      `${(result.seconds / 60).toFixed(0)} min of ${result.programme} (${result.path === 'chromium' ? 'from Chromium to Chromium' : 'played by the session, taken from the SFU'}), delay ${result.delay} s.`,
    ),
    table(VERDICT_HEAD, verdictRows(result.verdicts)),
    lines('Shown late, as the session measures it', 'minutes', 's', [{ name: 'lag', points: over(({ lag }) => lag) }]),
    scatter(
      'Lag from end to end less its value at minute 1',
      'minutes',
      'ms',
      [
        {
          name: 'from end to end',
          points: over(({ glass }) => (glass === null ? null : 1_000 * (glass - (result.glassFirst ?? glass)))),
        },
      ],
      [-100, 100],
    ),
    scatter(
      'A/V offset at the viewer',
      'minutes',
      'ms',
      [{ name: 'offset', points: over(({ avMs }) => avMs) }],
      [-20, 20],
    ),
    lines(
      'Memory',
      'minutes',
      'MiB',
      processes.map((name) => ({ name, points: over(({ rssMiB }) => rssMiB[name] ?? null) })),
    ),
    lines(
      'Processor',
      'minutes',
      'cores',
      processes.map((name) => ({ name, points: over(({ cpu }) => cpu[name] ?? null) })),
    ),
    lines('Event loop of the gateway: longest time it did nothing else', 'minutes', 'ms', [
      { name: 'gateway', points: over(({ loopMs }) => loopMs) },
    ]),
    lines('Lines', 'minutes', 'lines', [
      { name: 'settled', points: over((sample) => sample.lines) },
      { name: 'dubbed', points: over((sample) => sample.dubbed) },
    ]),
    lines('Dropped, all queues', 'minutes', '', [{ name: 'dropped', points: over(({ drops }) => drops) }]),
    table(
      ['dropped', 'count'],
      Object.entries(result.drops).map(([name, n]) => [name, String(n)]),
    ),
  ]);
}
