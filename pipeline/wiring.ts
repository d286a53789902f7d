import { BehaviorSubject, type Observable, type OperatorFunction, Subject, distinctUntilChanged } from 'rxjs';
import type { Clock } from '../media/clock.ts';
import { type Span, ms, seconds } from '../media/time.ts';
import type { Language } from './domain.ts';
import type { Fault } from './fault.ts';
import { type StageReport, Vital, healthOf } from './health.ts';
import { Load } from './load.ts';
import { type Mode, modeFor, sameMode } from './mode.ts';
import { type Part, type Through, backOff, through } from './rx.ts';
import type { Stage } from './stage.ts';

/**
 * `live`: what cannot be done in time is lost, and counted. `recorded`: nothing is lost; the feeder holds the programme
 * back until there is room.
 */
export type Pace = 'live' | 'recorded';

/** A fault with the stage's name, as in `translator:es`. */
export interface FaultReport {
  readonly name: string;
  readonly fault: Fault;
}

/** Lost audio is gone; half a minute of it is more than any delay leaves room for. */
const AUDIO = { live: 512, recorded: 8_192 } as const;
const SENTENCES = { live: 8, recorded: 1_024 } as const;

/** How stages are joined: each behind its mailbox, with its numbers, and all of them making up the mode. */
export class Wiring {
  readonly clock: Clock;
  readonly pace: Pace;
  readonly load = new Load();
  readonly faults$ = new Subject<FaultReport>();
  readonly #vitals = new Set<Vital>();
  readonly #modes = new Map<Language | null, BehaviorSubject<Mode>>();
  readonly #retryAfter: (fault: Fault, failures: number) => Span | undefined;

  constructor(clock: Clock, pace: Pace, retryAfter?: (fault: Fault, failures: number) => Span | undefined) {
    this.clock = clock;
    this.pace = pace;
    this.#retryAfter =
      retryAfter ?? (pace === 'live' ? backOff(ms(250), seconds(10)) : backOff(ms(250), seconds(5), 6));
    this.#modes.set(null, new BehaviorSubject(modeFor({})));
  }

  /** Counts a stage in, as up. Call `refresh` when all of them are. */
  vital(
    stage: Pick<Stage, 'kind' | 'engine' | 'standIn'>,
    language: Language | null = null,
    name: string = stage.kind,
  ): Vital {
    const gauge = this.load.gauge(language === null ? name : `${name}:${language}`);
    const vital = new Vital(stage, gauge, language);
    this.#vitals.add(vital);
    stage.standIn?.watch(() => this.refresh());
    return vital;
  }
  /** Counts a language's stages out. */
  forget(language: Language): void {
    for (const vital of this.#vitals) if (vital.language === language) this.#vitals.delete(vital);
    this.#modes.get(language)?.complete();
    this.#modes.delete(language);
    this.refresh();
  }

  /** Audio through a stage: when there is too much, the oldest goes. */
  audio<In, Out>(part: Part<In, Out>, vital: Vital, extra: Partial<Through<In>> = {}): OperatorFunction<In, Out> {
    return this.#through(part, vital, { capacity: AUDIO[this.pace], ...extra });
  }
  /** Sentences through a stage: few and precious, so the queue is short and they go by deadline. */
  sentences<In, Out>(part: Part<In, Out>, vital: Vital, extra: Partial<Through<In>> = {}): OperatorFunction<In, Out> {
    return this.#through(part, vital, { capacity: SENTENCES[this.pace], ...extra });
  }

  /** The whole session's mode, or one language's. */
  mode$(language: Language | null = null): Observable<Mode> {
    let mode$ = this.#modes.get(language);
    if (!mode$) this.#modes.set(language, (mode$ = new BehaviorSubject(this.#modeOf(language))));
    return mode$.pipe(distinctUntilChanged(sameMode));
  }
  get mode(): Mode {
    return this.#modeOf(null);
  }

  reports(): StageReport[] {
    const now = this.clock.now();
    return [...this.#vitals].map((vital) => vital.report(now));
  }

  close(): void {
    for (const mode$ of this.#modes.values()) mode$.complete();
    this.faults$.complete();
  }

  #through<In, Out>(
    part: Part<In, Out>,
    vital: Vital,
    extra: Partial<Through<In>> & { readonly capacity: number },
  ): OperatorFunction<In, Out> {
    return through(part, {
      clock: this.clock,
      overflow: 'drop-oldest',
      retryAfter: this.#retryAfter,
      ...extra,
      gauge: vital.gauge,
      onFault: (fault) => {
        vital.faults += 1;
        vital.lastFault = fault;
        this.faults$.next({ name: vital.gauge.name, fault });
      },
      onState: (state) => {
        vital.state = state;
        this.refresh();
        extra.onState?.(state);
      },
    });
  }

  /** Works the modes out anew. */
  refresh(): void {
    for (const [language, mode$] of this.#modes) mode$.next(this.#modeOf(language));
  }
  #modeOf(language: Language | null): Mode {
    const ours = (vital: Vital) => language === null || vital.language === null || vital.language === language;
    return modeFor(healthOf([...this.#vitals].filter(ours)));
  }
}
