import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { ManualClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, between, ms, seconds } from '../../media/time.ts';
import { espeak } from '../../models/speak/espeak.ts';
import type { Clip, Language } from '../../pipeline/domain.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import { isNatural } from '../fit/measures.ts';
import { scriptedDiarizer, scriptedRecognizer, scriptedTranslator, scriptedVad } from '../fit/scripted.ts';
import type { Tell } from '../progress.ts';
import { longTime } from '../progress.ts';
import type { Verdict } from '../verdicts.ts';
import { Chain } from './chain.ts';
import { type Inspector, inspectors as usual } from './inspectors.ts';
import { Outage } from './outage.ts';
import { PING_AT, Publisher } from './publisher.ts';
import { EndlessTalk } from './talk.ts';
import { type Missed, Witness } from './witness.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('globalThis.gc') as (() => void) | undefined;

export interface SimulationOptions {
  /** Of simulated time. */
  readonly minutes: number;
  /** Parts per million by which the publisher's clock is faster. */
  readonly drift: number;
  /** Seconds without a voice, from the middle on; 0 for none. */
  readonly outage: number;
  /** Seconds. */
  readonly delay: number;
  readonly seed: number;
  /** What the publisher plays, 48 kHz, up to a minute. */
  readonly sound: Float32Array;
  readonly inspectors?: () => Inspector[];
}

/** One minute of the programme. */
export interface Minute {
  /** From the start, minutes. */
  readonly t: number;
  /** From a ping at the publisher to the same ping at the ear, seconds; `null` when it was not heard. */
  readonly lag: number | null;
  /** Heard less seen, ms. */
  readonly avMs: number | null;
  readonly rssMiB: number;
  readonly heapMiB: number;
  /** Longest time during which the event loop did nothing else, ms. */
  readonly loopMs: number;
  /** Simulated time over real time. */
  readonly speed: number;
  readonly lines: number;
  readonly dubbed: number;
  readonly inspected: Readonly<Record<string, number>>;
}

export interface Simulation {
  readonly options: Omit<SimulationOptions, 'sound' | 'inspectors'>;
  /** Seconds of programme, of time, of processor. */
  readonly simulated: number;
  readonly elapsed: number;
  readonly cpu: number;
  readonly minutes: readonly Minute[];
  readonly lines: Readonly<Record<string, number>>;
  readonly rungs: Readonly<Record<string, number>>;
  readonly fastest: number;
  readonly slowest: number;
  /** Phrases beyond 0.9–1.2. */
  readonly beyond: number;
  /** Start error of dubbed lines, ms, signed. */
  readonly starts: readonly number[];
  readonly frames: number;
  readonly breaks: number;
  readonly clips: {
    readonly placed: number;
    readonly heard: number;
    readonly unheard: number;
    readonly again: number;
    readonly missed: readonly Missed[];
  };
  readonly losses: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  readonly unheard: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly outage: OutageFigures | null;
  /** Times the graph was still busy when the clock was moved on. */
  readonly unsettled: number;
  readonly inspected: readonly Verdict[];
}

export interface OutageFigures {
  /** Seconds from the start. */
  readonly from: number;
  readonly until: number;
  /** How alike dub and original were meanwhile, 1 for the same. */
  readonly likeness: number | null;
  /** Clips placed meanwhile of lines that had been said before, and from the end of the outage to the first clip after it, seconds. */
  readonly during: number;
  readonly backAfter: number | null;
  /** Median start error of lines before and after, ms. */
  readonly startBefore: number | null;
  readonly startAfter: number | null;
}

const TICK = ms(10);
/** A tick that is not over after so many rounds of the event loop is left as it is, and counted. */
const ROUNDS = 4_000;
/** Stages that are busy for longer than this may be down. */
const DOUBTFUL = 16;
/** Events loop delay is looked at so finely, ms. */
const RESOLUTION = 5;
/** Start errors remembered: more than a day's. */
const MOST_STARTS = 100_000;
const FROM = 'en' as Language;
const TO = 'es' as Language;

const turn = () => new Promise<void>((done) => setImmediate(done));

/**
 * Hours of a live programme on a clock that is moved by hand, as fast as the machine allows: a publisher's RTP packets
 * with drift and jitter through the real receiver, graph, synthesizer (eSpeak NG, on this thread), stretcher and timeline.
 * Scripted are the recogniser and the translator, and who speaks when.
 *
 * The clock stands still while any stage has something to do, so a run depends on its seed alone and not on the machine.
 */
export async function simulate(options: SimulationOptions, parent: Scope, tell: Tell = () => {}): Promise<Simulation> {
  await using scope = parent.child('simulation');
  const { signal } = scope;
  const { minutes, drift, outage, delay, seed } = options;
  const clock = new ManualClock();
  const talk = new EndlessTalk(seed, FROM);
  const publisher = new Publisher({ sound: options.sound, drift, seed: seed + 1 });
  const voice = new Outage();
  const inspectors = (options.inspectors ?? usual)();

  const tally = new Tally(() => between(0 as ClockTime, clock.now()) / 1e6);
  const sampled: Minute[] = [];
  let ping: { lag: number; avMs: number | null } | undefined;
  const witness = new Witness({
    language: TO,
    pingOffset: publisher.pingOffset,
    inspectors,
    onPing: ({ heard, avMs }) => {
      // Which minute's it is, by when it can have been sent at all.
      const sent = ((heard / 1e6 - delay) * (1 + drift / 1e6) - PING_AT) / 60;
      ping = { lag: (heard - publisher.clockAt(60 * Math.round(sent) + PING_AT)) / 1e6, avMs };
    },
  });
  const chain = await Chain.open(
    {
      clock,
      delay: seconds(delay),
      from: FROM,
      to: TO,
      shared: {
        vad: scriptedVad(talk),
        diarizer: scriptedDiarizer(talk),
        recognizer: scriptedRecognizer(talk, ms(700)),
      },
      stages: {
        translator: scriptedTranslator({ script: talk, from: FROM, to: TO, takes: [ms(60), ms(350)] }),
        synthesizer: voice.over(await espeak.load(espeak.config.parse({}), scope)),
      },
      onLine: (line) => tally.line(line),
      onClip: (clip) => {
        tally.clip(clip);
        witness.clip(clip);
      },
    },
    scope,
  );

  const loop = monitorEventLoopDelay({ resolution: RESOLUTION });
  loop.enable();
  scope.defer(() => loop.disable());
  const began = performance.now();
  const before = process.cpuUsage();
  const total = minutes * 60;
  const stop = outage > 0 ? { from: total / 2, until: total / 2 + outage } : undefined;
  let unsettled = 0;
  let next = publisher.take();
  let lastMinute = { at: performance.now(), lines: 0, dubbed: 0 };

  for (let tick = 1; tick * TICK <= total * 1e6; tick += 1) {
    const until = (tick * TICK) as ClockTime;
    while (next.when <= until) {
      if (next.when > clock.now()) await clock.advance(between(clock.now(), next.when));
      chain.datagram(next.datagram);
      next = publisher.take();
    }
    if (until > clock.now()) await clock.advance(between(clock.now(), until));
    await turn();
    unsettled += (await settled(chain)) ? 0 : 1;
    witness.take(chain.tick(), clock.now());

    const now = tick * TICK;
    if (stop) {
      const off = now >= stop.from * 1e6 && now < stop.until * 1e6;
      if (off !== voice.stopped) {
        voice.stopped = off;
        tally.phase = off ? 'during' : 'after';
      }
      // What is said before it is heard, and what is said after it is not yet heard, later by the delay.
      witness.original(now > (stop.from + delay + SETTLED) * 1e6 && now < (stop.until + LEAST) * 1e6);
    }
    if (now % 60_000_000 !== 0) continue;
    signal.throwIfAborted();
    // What is held is asked for, not what has not been collected yet.
    collect?.();
    const memory = process.memoryUsage();
    const real = Math.max(1e-3, (performance.now() - lastMinute.at) / 1_000);
    sampled.push({
      t: now / 60e6,
      lag: ping?.lag ?? null,
      avMs: ping?.avMs ?? null,
      rssMiB: memory.rss / 2 ** 20,
      heapMiB: memory.heapUsed / 2 ** 20,
      loopMs: Math.max(0, loop.max / 1e6 - RESOLUTION),
      speed: 60 / real,
      lines: tally.total - lastMinute.lines,
      dubbed: tally.dubbed - lastMinute.dubbed,
      inspected: Object.assign({}, ...inspectors.map((each) => each.minute())) as Record<string, number>,
    });
    ping = undefined;
    loop.reset();
    lastMinute = { at: performance.now(), lines: tally.total, dubbed: tally.dubbed };
    const gone = (performance.now() - began) / 1_000;
    const left = (gone / now) * (total * 1e6 - now);
    tell(
      now / 1e6 / total,
      `${(now / 3.6e9).toFixed(1)} h, ${(now / 1e6 / gone).toFixed(0)} times as fast as it plays, ${longTime(left)} left`,
    );
  }
  tell(1, '');
  const { user, system } = process.cpuUsage(before);
  return {
    options: { minutes, drift, outage, delay, seed },
    simulated: clock.now() / 1e6,
    elapsed: (performance.now() - began) / 1_000,
    cpu: (user + system) / 1e6,
    minutes: sampled,
    lines: tally.outcomes,
    rungs: tally.rungs,
    fastest: tally.fastest,
    slowest: tally.slowest,
    beyond: tally.beyond,
    starts: tally.starts,
    frames: witness.played,
    breaks: witness.breaks,
    clips: {
      placed: tally.placed,
      heard: witness.heard,
      unheard: witness.unheard,
      again: witness.again,
      missed: witness.missed,
    },
    losses: chain.losses,
    dropped: chain.dropped,
    unheard: chain.unheard,
    faults: Object.fromEntries(chain.faults),
    outage: stop ? tally.outage(stop, witness.likeness) : null,
    unsettled,
    inspected: inspectors.flatMap((each) => each.verdicts()),
  };
}

/** Lets the graph do all it can do at this instant. @returns whether it did */
async function settled(chain: Chain): Promise<boolean> {
  let waiting: readonly string[] = [];
  for (let rounds = 0; chain.busy(waiting) > 0; rounds += 1) {
    if (rounds === ROUNDS) return false;
    if (rounds === DOUBTFUL) waiting = chain.down;
    else await turn();
  }
  return true;
}

/** Until the last line said before the voice stopped has been heard to its end, and the soonest that one said after it can be, seconds. */
const SETTLED = 8;
const LEAST = 0.5;

type Phase = 'before' | 'during' | 'after';

/** Counts lines and clips; what it keeps is bounded. */
class Tally {
  readonly #now: () => number;
  readonly outcomes: Record<string, number> = {};
  readonly rungs: Record<string, number> = {};
  readonly starts: number[] = [];
  readonly #phases: Record<Phase, number[]> = { before: [], during: [], after: [] };
  phase: Phase = 'before';
  total = 0;
  dubbed = 0;
  beyond = 0;
  placed = 0;
  fastest = 0;
  slowest = Number.POSITIVE_INFINITY;
  #during = 0;
  #back: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  line({ outcome, dub, start, fit }: LineRecord): void {
    this.total += 1;
    this.outcomes[outcome] = (this.outcomes[outcome] ?? 0) + 1;
    if (!dub || !fit) return;
    this.dubbed += 1;
    this.rungs[fit.rung] = (this.rungs[fit.rung] ?? 0) + 1;
    for (const speed of [fit.speed, ...fit.phrases.map((phrase) => phrase.speed)]) {
      this.fastest = Math.max(this.fastest, speed);
      this.slowest = Math.min(this.slowest, speed);
      if (!isNatural(speed)) this.beyond += 1;
    }
    const error = (dub.start - start) / 1_000;
    if (this.starts.length < MOST_STARTS) this.starts.push(error);
    const own = this.#phases[this.phase];
    if (own.length < MOST_STARTS) own.push(error);
  }
  clip(_clip: Clip): void {
    this.placed += 1;
    if (this.phase === 'during') this.#during += 1;
    if (this.phase === 'after') this.#back ??= this.#now();
  }
  outage(stop: { from: number; until: number }, likeness: number | null): OutageFigures {
    const median = (values: readonly number[]) => values.toSorted((a, b) => a - b)[values.length >> 1] ?? null;
    return {
      ...stop,
      likeness,
      during: this.#during,
      backAfter: this.#back === undefined ? null : this.#back - stop.until,
      startBefore: median(this.#phases.before),
      startAfter: median(this.#phases.after),
    };
  }
}
