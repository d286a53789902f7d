import { Observable, type OperatorFunction, Subject, Subscription, tap } from 'rxjs';
import type { AudioChunk } from '../media/audio.ts';
import type { Clock } from '../media/clock.ts';
import { Mailbox } from '../media/mailbox.ts';
import { keepNewest } from '../media/newest.ts';
import {
  type ClockTime,
  type Interval,
  type MediaTime,
  type Span,
  between,
  earlier,
  later,
  ms,
  seconds,
} from '../media/time.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import { AudioMemory } from './audio-memory.ts';
import type { Guide, Language, SpeakerId, UtteranceId } from './domain.ts';
import type { Driven, Face, FaceId, Rough, Scene, Seen, Shot, Speaking, Take, Unfit } from './face.ts';
import { Fault } from './fault.ts';
import { FaceStrips } from './face-strip.ts';
import { Guides } from './guide.ts';
import type { StageReport, Vital } from './health.ts';
import { type DrivenFace, FADE, aim } from './shots.ts';
import { Sightings, faceIn } from './sightings.ts';
import type { Stage } from './stage.ts';
import { type Pace, Wiring } from './wiring.ts';

/** What drives lips. Without somebody who tells who speaks, a face that is alone in the picture is the speaker's. */
export interface LipStages {
  readonly faceTracker: Stage<'faceTracker'>;
  readonly activeSpeaker?: Stage<'activeSpeaker'>;
  readonly lipDriver: Stage<'lipDriver'>;
  readonly restorer?: Stage<'restorer'>;
}

/** An utterance of the programme, as far as it matters for whose mouth it came from. */
export interface Saying extends Interval {
  readonly id: UtteranceId;
  readonly speaker: SpeakerId;
}

/** Who is bound to whom: `pipeline/binding.ts` in the product. */
export interface Binder {
  /** Pictures as they are seen. */
  see(seen: Seen): void;
  /** How far mouths go with the sound of a scene, which is given too. */
  score(speaking: Speaking, pcm: Float32Array): void;
  /** Somebody said something; its scene has been scored, if it could be. */
  hear(saying: Saying): void;
  /** Which face a take drives when, in pieces that follow each other. */
  bind(
    take: Pick<Take, 'utterance' | 'speaker' | 'start' | 'end'>,
  ): readonly (Interval & { readonly face?: FaceId; readonly why: string })[];
}

/** What is to be laid on a picture; nothing where it stays as it is. */
export type DrivenPicture = Pick<Driven, 'start' | 'patches'>;
/** Why pictures of a take were left as they were. */
export type Reason = Unfit | 'nobody' | 'late' | 'failed';
/** What became of a take's pictures. */
export interface TakeReport extends Interval {
  readonly utterance: UtteranceId;
  readonly language: Language;
  readonly speaker: SpeakerId;
  /** The faces that were taken for the speaker's, and why. */
  readonly bound: readonly (Interval & { readonly face?: FaceId; readonly why: string })[];
  readonly pictures: number;
  readonly driven: number;
  /** Stretches that were left alone, in order. */
  readonly left: readonly (Interval & { readonly why: Reason })[];
}

export interface LipPathOptions {
  readonly stages: LipStages;
  readonly clock: Clock;
  readonly pace: Pace;
  readonly binder: Binder;
  /** The programme's pictures of an interval, decoded, in order; waits for those that are yet to come. */
  readonly footage: (interval: Interval, signal: AbortSignal) => AsyncIterable<VideoFrame>;
  /** When a driven picture must be there at the latest. Heeded in `live` pace alone. */
  readonly deadline?: (t: MediaTime) => ClockTime;
  /** A picture of a take: without patches it is to stay as it is. */
  readonly onDriven: (language: Language, driven: DrivenPicture) => void;
  readonly onTake?: (report: TakeReport) => void;
  readonly onSeen?: (seen: Seen) => void;
  /**
   * What the face of whoever said something showed, as soon as it is known whose that is; nothing where it was not to be
   * seen for most of it.
   */
  readonly onGuide?: (utterance: UtteranceId, guide: Guide) => void;
  readonly onFault?: (fault: Fault) => void;
  /** How far back pictures are remembered. */
  readonly keep?: Span;
}

const RATE = 16_000;
/** Pictures on their way through the tracker, beyond those it looks ahead. */
const LOOKING = 4;
/** Pictures on their way through a driver. */
const DRIVING = 4;
/** Takes that may wait to be driven, per language. */
const TAKES = 16;
/** A driver that only watches gets so many faces, so often. */
const WATCH_EVERY = ms(120);
const WATCHED = 2;
/** A driven picture is worth starting if so much time is left. */
const LEAST = ms(15);
/** How long before its first picture is due a take stops waiting to learn whose it is. */
const HURRY = ms(250);
/** A stage that sits on an item for that long is started again. With a recording, a machine may be as busy as it likes. */
const STALL: Readonly<Record<Pace, Span>> = { live: seconds(5), recorded: seconds(60) };
/** A picture lasts that long where nothing follows. */
const PICTURE = ms(40);
/** How far back it is asked who speaks. */
const STRIPS = seconds(40);
/** Utterances whose faces are remembered. */
const SAYINGS = 64;
/** A mouth is judged better when it is seen before it begins, and behind its end as far as that is known. */
export const AROUND = seconds(1);
/** A scene that is heard longer than that is judged by its last part. */
const LONGEST_SCENE = seconds(20);

/** One language's pictures on their way through the driver. */
interface Lane {
  readonly language: Language;
  readonly takes: Mailbox<Take>;
  readonly shots$: Subject<Shot>;
  readonly wiring: Wiring;
  /** Shots that have not been answered, by picture. */
  readonly open: Map<MediaTime, Shot>;
  readonly running: Subscription;
  readonly stop: AbortController;
  report: Account | undefined;
  /** The driver has been given up: nothing more is driven. */
  spent: boolean;
  /** Takes that came, and those that are through. */
  given: number;
  done: number;
}
/** Of one take, while it is driven. */
interface Account {
  readonly take: Take;
  pictures: number;
  driven: number;
  readonly left: (Interval & { readonly why: Reason })[];
}

/**
 * The path of the lips: pictures are looked at as they come in; who speaks is found out utterance by utterance; and for
 * every take, the bound face's mouth is driven picture by picture, if that is in time.
 *
 * What comes out is patches. It never holds anything up: what is late, unfit or broken stays as it was, and is accounted for.
 */
export class LipPath {
  readonly sightings: Sightings;
  readonly #options: LipPathOptions;
  readonly #looking: Wiring;
  readonly #frames$ = new Subject<VideoFrame>();
  readonly #tracking: Vital;
  readonly #deciding: Vital | undefined;
  /** Pictures that the tracker has not answered for. */
  readonly #pending = new Map<MediaTime, VideoFrame>();
  readonly #audio: AudioMemory;
  readonly #strips = new FaceStrips({ keep: STRIPS });
  readonly #guides = new Guides();
  readonly #lanes = new Map<Language, Lane>();
  /** When it is known whose mouth an utterance came from, as far as that can be known. */
  readonly #sayings = new Map<UtteranceId, Promise<void>>();
  readonly #life = new AbortController();
  /** Scenes are judged one after the other. */
  #judging: Promise<unknown> = Promise.resolve();
  #waiters = new Set<() => void>();
  #watched: MediaTime | undefined;
  /** No picture will come any more. */
  #over = false;

  constructor(options: LipPathOptions) {
    this.#options = options;
    const { stages, clock, pace, keep } = options;
    this.sightings = new Sightings(keep === undefined ? {} : { keep });
    this.#audio = new AudioMemory(RATE, seconds(60));
    this.#looking = new Wiring(clock, pace);
    this.#looking.faults$.subscribe(({ fault }) => options.onFault?.(fault));
    this.#tracking = this.#looking.vital(stages.faceTracker);
    this.#deciding = stages.activeSpeaker && this.#looking.vital(stages.activeSpeaker);
    this.#frames$
      .pipe(this.#looking.audio(stages.faceTracker, this.#tracking, { capacity: 64, stall: STALL[pace] }))
      .subscribe({ next: (seen) => this.#saw(seen), complete: () => this.#ended() });
  }

  /** How stages are doing. */
  get reports(): StageReport[] {
    return [this.#looking, ...[...this.#lanes.values()].map(({ wiring }) => wiring)].flatMap((each) => each.reports());
  }
  /** Whether a dub's mouth can be driven at present. */
  get able(): boolean {
    const stages = this.reports.filter(({ kind }) => kind === 'faceTracker' || kind === 'lipDriver');
    return stages.every(({ state }) => state === 'up');
  }

  /** Looks at a picture. Pictures come in order; resolves when the next one may come. */
  async see(frame: VideoFrame): Promise<void> {
    this.#pending.set(frame.start, frame);
    const began = this.#options.clock.now();
    this.#tracking.watch.begin(frame.start, began);
    this.#frames$.next(frame);
    await this.#looking.load.below(LOOKING, this.#life.signal).catch(() => {});
  }
  /** Hears the programme's own sound, 16 kHz mono. */
  hear(chunk: AudioChunk): void {
    this.#audio.push(chunk);
  }
  /** No more pictures. */
  end(): void {
    this.#frames$.complete();
  }

  /** Somebody has said something: finds out whose mouth it was as soon as all of it has been seen. */
  said(saying: Saying): void {
    if (this.#sayings.has(saying.id)) return;
    this.#sayings.set(saying.id, this.#judge(saying));
    keepNewest(this.#sayings, SAYINGS);
  }

  /** Takes of that language are to come: its driver gets to know the faces that are seen meanwhile. */
  expect(language: Language): void {
    if (this.#options.stages.lipDriver.caps.watches) this.#lane(language);
  }
  /** Drives a take: its pictures come out of `onDriven` one by one. */
  drive(take: Take): void {
    const lane = this.#lane(take.language);
    lane.given += 1;
    lane.takes.put(take);
  }
  /** Nothing more is driven for that language. */
  forget(language: Language): void {
    const lane = this.#lanes.get(language);
    this.#lanes.delete(language);
    lane?.stop.abort();
    lane?.takes.end();
    lane?.running.unsubscribe();
    lane?.wiring.close();
    this.#news();
  }
  /** Resolves when every take that was given has been driven or given up. */
  async settled(): Promise<void> {
    const idle = () => [...this.#lanes.values()].every(({ takes, given, done }) => done + takes.dropped === given);
    await this.#until(idle, undefined);
  }

  close(): void {
    this.#life.abort();
    for (const language of [...this.#lanes.keys()]) this.forget(language);
    this.#frames$.complete();
    this.#looking.close();
    this.#news();
  }

  // Seeing.

  #saw(seen: Seen): void {
    const { clock, binder, stages, onSeen } = this.#options;
    this.#tracking.watch.end(seen.start, clock.now());
    const frame = this.#pending.get(seen.start);
    for (const start of this.#pending.keys()) if (start <= seen.start) this.#pending.delete(start);
    if (frame && stages.activeSpeaker) this.#strips.push(frame, seen);
    this.sightings.push(seen);
    binder.see(seen);
    onSeen?.(seen);
    if (frame) this.#watch(frame, seen);
    this.#news();
  }
  #ended(): void {
    this.#over = true;
    this.#news();
  }

  /** Lets drivers get to know the faces, where they want to and have nothing better to do. */
  #watch(frame: VideoFrame, seen: Seen): void {
    if (!this.#options.stages.lipDriver.caps.watches) return;
    if (this.#watched !== undefined && Math.abs(between(this.#watched, seen.start)) < WATCH_EVERY) return;
    this.#watched = seen.start;
    const area = ({ box }: Face) => box.width * box.height;
    const faces = seen.faces
      .filter(({ unfit }) => !unfit)
      .toSorted((a, b) => area(b) - area(a))
      .slice(0, WATCHED);
    for (const lane of this.#lanes.values()) {
      if (this.#options.pace === 'live' && lane.wiring.load.pending > 0) continue;
      for (const face of faces) {
        lane.shots$.next({ start: seen.start, end: later(seen.start, PICTURE), frame, face, weight: 0 });
      }
    }
  }

  // Whose it is.

  async #judge(saying: Saying): Promise<void> {
    const { binder, stages, clock, pace } = this.#options;
    const { activeSpeaker } = stages;
    const due = this.#due(saying.start, HURRY);
    const wanted = pace === 'live' ? saying.end : later(saying.end, AROUND);
    await this.#until(() => this.#over || (this.sightings.end ?? -Infinity) >= wanted, due);
    const judged = this.#judging.then(async () => {
      if (this.#life.signal.aborted) return;
      const start = Math.max(earlier(saying.start, AROUND), earlier(saying.end, LONGEST_SCENE)) as MediaTime;
      const end = Math.min(later(saying.end, AROUND), this.sightings.end ?? saying.end) as MediaTime;
      const within = { start, end: Math.max(saying.end, end) as MediaTime };
      const scene = this.#strips.scene(within, (interval) => this.#audio.cut(interval));
      let speaking: Speaking | undefined;
      if (activeSpeaker && this.#deciding && scene.faces.length > 0) {
        const began = clock.now();
        this.#deciding.watch.begin(saying.id, began);
        speaking = await this.#answer(activeSpeaker, scene).catch((failure: unknown) => {
          if (this.#deciding) this.#deciding.faults += 1;
          this.#options.onFault?.(Fault.from('activeSpeaker', failure));
          return undefined;
        });
        this.#deciding.watch.end(saying.id, clock.now());
      }
      if (speaking) binder.score(speaking, scene.pcm);
      binder.hear(saying);
      this.#guide(saying);
    });
    this.#judging = judged.catch(() => {});
    await judged;
  }

  /** Tells what the speaker's face showed. Utterances are judged in their order, so looks come in theirs. */
  #guide({ id, speaker, start, end }: Saying): void {
    const { binder, onGuide } = this.#options;
    if (!onGuide) return;
    for (const { face: bound, ...piece } of binder.bind({ utterance: id, speaker, start, end })) {
      if (bound === undefined) continue;
      for (const seen of this.sightings.during(piece)) {
        const face = faceIn(seen, bound);
        if (face) this.#guides.saw(speaker, seen.start, face);
      }
    }
    const guide = this.#guides.of({ speaker, start, end });
    if (guide) onGuide(id, guide);
  }

  async #answer(stage: Stage<'activeSpeaker'>, scene: Scene): Promise<Speaking | undefined> {
    const signal = AbortSignal.any([this.#life.signal, AbortSignal.timeout(STALL[this.#options.pace] / 1_000)]);
    const one = async function* () {
      yield scene;
    };
    for await (const speaking of stage.run(one(), { signal, clock: this.#options.clock })) return speaking;
    return undefined;
  }

  // Driving.

  #lane(language: Language): Lane {
    const known = this.#lanes.get(language);
    if (known) return known;
    const { clock, pace, stages, onFault } = this.#options;
    const wiring = new Wiring(clock, pace);
    wiring.faults$.subscribe(({ fault }) => onFault?.(fault));
    const driving = wiring.vital(stages.lipDriver, language);
    const restoring = stages.restorer && wiring.vital(stages.restorer, language);
    const shots$ = new Subject<Shot>();
    const [stop, open] = [new AbortController(), new Map<MediaTime, Shot>()];
    /** Shots that the driver has answered and that are being restored. */
    const answered = new Set<MediaTime>();
    const lost = (start: MediaTime, why: Reason) => {
      const shot = open.get(start);
      open.delete(start);
      answered.delete(start);
      if (shot?.take) this.#leave(lane, shot, why);
      this.#news();
    };
    const out = (driven: Driven) => {
      const shot = open.get(driven.start);
      if (!shot) return;
      open.delete(driven.start);
      answered.delete(driven.start);
      if (shot.take) this.#drove(lane, shot, driven);
      this.#news();
    };
    const answered$ = shots$.pipe(
      wiring.audio(stages.lipDriver, driving, {
        capacity: 32,
        stall: STALL[pace],
        expires: (shot) => this.#due(shot.start, LEAST),
        onLost: (shot, why) => {
          if (why === 'failed') for (const start of heldBefore(shot, open, answered)) lost(start, 'failed');
          lost(shot.start, why === 'failed' ? 'failed' : 'late');
        },
        onServed: (span, now) => driving.watch.latency.add(span, now),
      }),
      tap({
        next: ({ start }) => answered.add(start),
        complete: () => {
          lane.spent = true;
          for (const start of [...open.keys()]) if (!answered.has(start)) lost(start, 'failed');
        },
      }),
    );
    const { restorer } = stages;
    const finished$ =
      restorer && restoring ? answered$.pipe(this.#restored(restorer, restoring, wiring, open)) : answered$;
    const running = new Subscription();
    const takes = new Mailbox<Take>(TAKES);
    const counts = { report: undefined, spent: false, given: 0, done: 0 };
    const lane: Lane = { language, takes, shots$, wiring, open, running, stop, ...counts };
    this.#lanes.set(language, lane);
    running.add(finished$.subscribe(out));
    void this.#work(lane);
    return lane;
  }

  /** Driven pictures made sharper where there is time; as they came wherever there is not. */
  #restored(
    stage: Stage<'restorer'>,
    vital: Vital,
    wiring: Wiring,
    open: ReadonlyMap<MediaTime, Shot>,
  ): OperatorFunction<Driven, Driven> {
    return (driven$) =>
      new Observable((out) => {
        let spent = false;
        const rough$ = new Subject<Rough>();
        const both = new Subscription();
        both.add(
          rough$
            .pipe(
              wiring.audio(stage, vital, {
                capacity: 8,
                stall: STALL[this.#options.pace],
                expires: ({ start }) => this.#due(start, LEAST),
                onLost: ({ driven }) => out.next(driven),
                onServed: (span, now) => vital.watch.latency.add(span, now),
              }),
            )
            .subscribe({ next: (driven) => out.next(driven), complete: () => (spent = true) }),
        );
        both.add(
          driven$.subscribe((driven) => {
            const shot = open.get(driven.start);
            if (!shot || spent || driven.patches.length === 0) return out.next(driven);
            const { start, end, frame, face } = shot;
            rough$.next({ start, end, frame, face, driven });
          }),
        );
        return both;
      });
  }

  async #work(lane: Lane): Promise<void> {
    const signal = AbortSignal.any([this.#life.signal, lane.stop.signal]);
    try {
      for await (const take of lane.takes) {
        await this.#drive(lane, take, signal);
        lane.done += 1;
        this.#news();
        if (signal.aborted) return;
      }
    } catch (failure) {
      if (!signal.aborted) this.#options.onFault?.(Fault.from('lipDriver', failure));
    }
  }

  async #drive(lane: Lane, take: Take, signal: AbortSignal): Promise<void> {
    const { binder, footage, onTake } = this.#options;
    const judging = this.#sayings.get(take.utterance);
    if (judging) {
      let judged = false;
      const tell = () => {
        judged = true;
        this.#news();
      };
      void judging.then(tell, tell);
      await this.#until(() => judged, this.#due(take.start, HURRY), signal);
    }
    if (signal.aborted) return;
    const bound = binder.bind(take);
    const driven = bound.flatMap(({ start, end, face }): DrivenFace[] =>
      face === undefined ? [] : [{ start, end, face }],
    );
    const account: Account = (lane.report = { take, pictures: 0, driven: 0, left: [] });
    let before: VideoFrame | undefined;
    const shoot = async (frame: VideoFrame, end: MediaTime) => {
      const shot: Shot | { readonly why: Reason } = lane.spent
        ? { why: 'failed' }
        : await this.#shot(take, driven, frame, end);
      account.pictures += 1;
      if ('why' in shot) {
        this.#options.onDriven(lane.language, { start: frame.start, patches: [] });
        return this.#leave(lane, { start: frame.start, end }, shot.why);
      }
      lane.open.set(frame.start, shot);
      lane.shots$.next(shot);
      await this.#room(lane, this.#due(frame.start, LEAST), signal);
    };
    try {
      if (driven.length === 0) this.#leave(lane, take, 'nobody');
      else {
        for await (const frame of footage(take, signal)) {
          if (before) await shoot(before, frame.start);
          before = frame;
          if (signal.aborted) return;
        }
        if (before) await shoot(before, later(before.start, PICTURE));
      }
      const done = () => [...lane.open.values()].every((shot) => shot.take !== take);
      await this.#until(done, this.#due(take.end, ms(-200)), signal);
      for (const [start, shot] of lane.open) {
        if (shot.take !== take) continue;
        lane.open.delete(start);
        this.#leave(lane, shot, 'late');
      }
    } finally {
      lane.report = undefined;
      const { pictures, driven: shown, left } = account;
      const { utterance, language, speaker, start, end } = take;
      if (!signal.aborted) {
        onTake?.({ utterance, language, speaker, start, end, bound, pictures, driven: shown, left: joined(left) });
      }
    }
  }

  /** Resolves when the driver has room, or when it has none in time. */
  async #room(lane: Lane, due: ClockTime, signal: AbortSignal): Promise<void> {
    const { load } = lane.wiring;
    if (load.pending <= DRIVING) return;
    const over = new AbortController();
    const either = AbortSignal.any([signal, over.signal]);
    const waits = [load.below(DRIVING, either)];
    if (Number.isFinite(due)) waits.push(this.#options.clock.until(due, either));
    await Promise.race(waits).catch(() => {});
    over.abort();
    await Promise.allSettled(waits);
  }

  async #shot(
    take: Take,
    bound: readonly DrivenFace[],
    frame: VideoFrame,
    end: MediaTime,
  ): Promise<Shot | { readonly why: Reason }> {
    const { start } = frame;
    const due = this.#due(start, LEAST);
    const known = () => this.#over || this.sightings.beside(start, FADE).behind.length >= FADE;
    if (!known()) await this.#until(known, due);
    if (this.#options.clock.now() >= due) return { why: 'late' };
    const seen = this.sightings.at(start);
    if (!seen) return { why: 'lost' };
    const aimed = aim(seen, take, bound, this.sightings);
    return aimed.face ? { start, end, frame, face: aimed.face, take, weight: aimed.weight } : { why: aimed.why };
  }

  #drove(lane: Lane, shot: Shot, driven: Driven): void {
    if (driven.patches.length === 0) return this.#leave(lane, shot, driven.unfit ?? 'failed');
    if (this.#options.clock.now() >= this.#due(shot.start, ms(0))) return this.#leave(lane, shot, 'late');
    if (lane.report) lane.report.driven += 1;
    this.#options.onDriven(lane.language, driven);
  }
  #leave(lane: Lane, { start, end }: Interval, why: Reason): void {
    lane.report?.left.push({ start, end, why });
  }

  // Waiting.

  /** When work for the picture at `t` must be through, less `by`; never without a deadline. */
  #due(t: MediaTime, by: Span): ClockTime {
    const { deadline, pace } = this.#options;
    return deadline && pace === 'live' ? earlier(deadline(t), by) : (Number.POSITIVE_INFINITY as ClockTime);
  }
  #news(): void {
    for (const wake of [...this.#waiters]) wake();
  }
  /** Resolves when `done`, at `due`, or when nobody wants it any more. */
  async #until(done: () => boolean, due: ClockTime | undefined, signal = this.#life.signal): Promise<void> {
    if (done() || signal.aborted) return;
    const up = new AbortController();
    let late = false;
    let wake = () => {};
    const look = () => wake();
    this.#waiters.add(look);
    if (due !== undefined && Number.isFinite(due)) {
      const timeUp = () => {
        late = true;
        wake();
      };
      this.#options.clock.until(due, up.signal).then(timeUp, () => {});
    }
    try {
      while (!done() && !late && !signal.aborted) await new Promise<void>((resolve) => (wake = resolve));
    } finally {
      this.#waiters.delete(look);
      up.abort();
    }
  }
}

/**
 * Shots that a driver which failed on `shot` had taken before it: drivers may gather several before they answer, and answer
 * in order.
 */
function heldBefore(
  { start }: Shot,
  open: ReadonlyMap<MediaTime, Shot>,
  answered: ReadonlySet<MediaTime>,
): MediaTime[] {
  const order = [...open.keys()];
  return order.slice(0, Math.max(0, order.indexOf(start))).filter((each) => !answered.has(each));
}

/** Stretches that follow each other for the same reason are one. */
function joined(left: readonly (Interval & { readonly why: Reason })[]): (Interval & { readonly why: Reason })[] {
  const result: (Interval & { readonly why: Reason })[] = [];
  for (const each of left.toSorted((a, b) => a.start - b.start)) {
    const last = result.at(-1);
    if (last?.why === each.why && each.start <= later(last.end, PICTURE)) {
      result[result.length - 1] = { ...last, end: Math.max(last.end, each.end) as MediaTime };
    } else result.push(each);
  }
  return result;
}
