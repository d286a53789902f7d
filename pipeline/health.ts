import { type ClockTime, type Span, seconds } from '../media/time.ts';
import type { Language } from './domain.ts';
import type { Fault } from './fault.ts';
import { Latency, type LatencySummary, Stopwatch } from './latency.ts';
import type { Gauge } from './load.ts';
import type { Health } from './mode.ts';
import type { Stage, StageKind, StandIn } from './stage.ts';

/** How one stage has been doing. */
export interface StageReport {
  /** The stage's mailbox; with its language where there is one per language, as in `translator:es`. */
  readonly name: string;
  readonly kind: StageKind;
  readonly engine: string;
  /** The engine that works in its place at present. */
  readonly standIn: string | null;
  readonly language: Language | null;
  readonly state: 'up' | 'down';
  /** Over the last minute. From the item that calls for output to that output, waiting included. */
  readonly latency: LatencySummary;
  readonly dropped: number;
  readonly faults: number;
  readonly queued: number;
}

/** One stage at work: whether it is up, how fast, and what it lost. */
export class Vital {
  readonly kind: StageKind;
  readonly engine: string;
  readonly language: Language | null;
  readonly gauge: Gauge;
  readonly watch = new Stopwatch();
  /** How long the stage works on one item, waiting not included. Forgotten soon: a stage that was slow may be quick again. */
  readonly service = new Latency(32, seconds(15));
  readonly standIn: StandIn | undefined;
  state: 'up' | 'down' = 'up';
  faults = 0;
  lastFault: Fault | undefined;

  constructor(
    { kind, engine, standIn }: Pick<Stage, 'kind' | 'engine' | 'standIn'>,
    gauge: Gauge,
    language: Language | null = null,
  ) {
    this.kind = kind;
    this.engine = engine;
    this.standIn = standIn;
    this.gauge = gauge;
    this.language = language;
  }

  get health(): 'up' | 'spare' | 'down' {
    return this.state === 'up' && this.standIn?.engine !== undefined ? 'spare' : this.state;
  }

  /** What one item usually takes here. */
  usual(now: ClockTime): Span {
    return this.service.quantile(0.75, now) ?? (0 as Span);
  }

  report(now: ClockTime): StageReport {
    const { kind, engine, language, state, faults, gauge } = this;
    const { overflow, expired, failed } = gauge.lost;
    const latency = this.watch.latency.summary(now);
    const dropped = overflow + expired + failed;
    const standIn = this.standIn?.engine ?? null;
    return { name: gauge.name, kind, engine, standIn, language, state, latency, dropped, faults, queued: gauge.queued };
  }
}

/** A kind is as well as its worst stage. */
export function healthOf(vitals: Iterable<Pick<Vital, 'kind' | 'health'>>): Health {
  const worst = ['down', 'spare', 'up'] as const;
  const result: Partial<Record<StageKind, 'up' | 'spare' | 'down'>> = {};
  for (const { kind, health } of vitals) {
    result[kind] = worst.find((state) => state === health || state === result[kind]) ?? health;
  }
  return result;
}
