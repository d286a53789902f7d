import { keepNewest } from '../media/newest.ts';
import { type Interval, type MediaTime, type Span, at, between, earlier, later, ms, seconds } from '../media/time.ts';
import type { SpeakerId, Utterance } from './domain.ts';
import type { FaceId, Seen, Speaking, Take } from './face.ts';
import { STRIP_STEP } from './face-strip.ts';
import { type Bond, type Person, Persons, known, strengthen } from './persons.ts';
import { type Costs, likeliest, posteriors } from './trellis.ts';
import { voiced } from './voiced.ts';

/**
 * Why a face is driven: its mouth goes with the voice (`speaking`), it is the speaker's as far as the session knows
 * (`remembered`), or its person said what the dub is still saying (`held`). Why none is: nobody is in the picture, or
 * not the one who speaks (`absent`), the mouths that are seen go with something else or do not move (`silent`), or
 * nothing is known (`unknown`).
 */
export type Ground = 'speaking' | 'remembered' | 'held' | 'absent' | 'silent' | 'unknown';

/** Which face is driven during the interval, if one is. */
export interface Bound extends Interval {
  readonly face?: FaceId;
  readonly why: Ground;
  /** 0 … 1: how certain that is. */
  readonly confidence: number;
}

export interface BindingOptions {
  /** How far back anything is asked. */
  readonly keep?: Span;
  /** Persons that are remembered while they are not seen. */
  readonly persons?: number;
}

/** Scores are pictures apart that look much alike: what one of them counts, so that evidence adds up to its worth. */
const WEIGHT = 0.1;
/** Scores beyond these count as these: one is never so sure. */
const [LEAST, MOST] = [-6, 9];
/** What it takes to bind somebody, to change to somebody else or to nobody, and to do so at a cut (log odds). */
const COSTS = { enter: 1, change: 4, cut: 2 } as const;
/** The most that memory shifts the score from which on somebody speaks. */
const MEMORY = 3;
/** Seconds of voice after which a speaker belongs to somebody, so that others are less likely. */
const SETTLED = 5;
/** Nobody speaks for no less than this between two who do. */
const BRIDGED = seconds(1);
/** A face that is driven for less than this is not worth it. */
const SHORTEST = ms(120);
/** A face that is missed by the tracker for no longer is there all the time. */
const MISSED = ms(200);
/** Bounds of what is kept, whatever the times. */
const [SCENES, UTTERANCES, FACES] = [256, 256, 64];

interface Scored extends Interval {
  readonly first: number;
  readonly voiced: Uint8Array | undefined;
  readonly faces: ReadonlyMap<FaceId, Float32Array>;
}
/** Somebody who may speak: their face and its score in each picture of an interval. */
interface Candidate {
  readonly person: Person;
  readonly faces: readonly (FaceId | undefined)[];
  readonly scores: Float32Array;
}
/** Pictures of an interval, counted on the whole axis. */
interface Pictures {
  readonly first: number;
  readonly count: number;
}
interface Decided extends Pictures {
  /** Per picture: who speaks, why, how certain. */
  readonly who: readonly (Person | undefined)[];
  readonly why: readonly Ground[];
  readonly confidence: Float32Array;
}
interface Told {
  readonly utterance: Pick<Utterance, 'id' | 'speaker'> & Interval;
  readonly decided: Decided;
}

const picturesOf = ({ start, end }: Interval): Pictures => {
  const first = Math.floor(start / STRIP_STEP);
  return { first, count: Math.max(1, Math.ceil(end / STRIP_STEP) - first) };
};
/** How much likelier than not, by what was seen; with nothing seen as likely as not. */
const oddsOf = ({ spoke, not }: Bond = { spoke: 0, not: 0 }) => Math.log((spoke + 1) / (not + 1));
const limited = (value: number, most: number) => Math.max(-most, Math.min(most, value));

/**
 * Which face belongs to which voice, over a session.
 *
 * Tell it what is seen (`see`) and how far mouths go with the sound (`score`), then who said what (`hear`); ask which
 * face a dub is to drive (`bind`). Within an utterance the likeliest sequence of persons is found from all of its scores
 * at once, so that a change of the face that speaks is followed where it happens; changing costs, so that one picture
 * changes nothing. What earlier utterances showed (who moved their mouth to this voice, who did not) shifts the score
 * from which on somebody speaks. Persons are known again by their faces' embeddings.
 */
export class Binding {
  readonly #keep: Span;
  readonly #persons: Persons;
  readonly #presence = new Map<FaceId, { start: MediaTime; end: MediaTime }[]>();
  readonly #told = new Map<string, Told>();
  /** Voice of speakers that went with nobody's mouth, although there were mouths: `spoke` is seen, `not` unseen. */
  readonly #onScreen = new Map<SpeakerId, Bond>();
  #scored: Scored[] = [];
  #cuts: MediaTime[] = [];

  constructor({ keep = seconds(60), persons = 32 }: BindingOptions = {}) {
    this.#keep = keep;
    this.#persons = new Persons(persons);
  }

  /** What is seen in a picture, in order of time. */
  see({ start, faces, cut }: Seen): void {
    if (cut) this.#cuts.push(start);
    this.#persons.see(start, faces);
    const end = later(start, STRIP_STEP);
    for (const { id } of faces) {
      const stretches = this.#presence.get(id) ?? [];
      const last = stretches.at(-1);
      if (last && between(last.end, start) <= MISSED) last.end = end;
      else stretches.push({ start, end });
      this.#presence.delete(id);
      this.#presence.set(id, stretches);
    }
    this.#forget(earlier(start, this.#keep));
  }

  /**
   * How far mouths go with the sound of a scene. What comes later about the same time counts instead.
   *
   * @param pcm the scene's sound, 16 kHz mono: where nobody is heard, scores say nothing. Without it all of them count
   */
  score({ start, end, faces }: Speaking, pcm?: Float32Array): void {
    const { first, count } = picturesOf({ start, end });
    const scores = new Map(faces.map(({ id, scores }) => [id, scores] as const));
    this.#scored.push({ start, end, first, voiced: pcm && voiced(pcm, count), faces: scores });
    if (this.#scored.length > SCENES) this.#scored.shift();
  }

  /** Somebody said something, and its scenes are scored. Learns from it once; heard again, it is only decided anew. */
  hear(utterance: Pick<Utterance, 'id' | 'speaker' | 'start' | 'end'>): void {
    const { id, speaker, start, end } = utterance;
    const decided = this.#decide(speaker, utterance);
    if (!this.#told.has(id)) this.#learn(speaker, utterance);
    this.#told.set(id, { utterance: { id, speaker, start, end }, decided });
    keepNewest(this.#told, UTTERANCES);
  }

  /**
   * Which face the dub drives when: pieces that follow each other from the take's start to its end. Where the take is
   * longer than what was said, whoever said it is held on to while there are pictures of them.
   */
  bind(take: Pick<Take, 'utterance' | 'speaker' | 'start' | 'end'>): Bound[] {
    const told = this.#told.get(take.utterance);
    const decided = told?.decided ?? this.#decide(take.speaker, take);
    const { first, count } = picturesOf(take);
    const last = decided.count - 1;
    const bounds: Bound[] = [];
    const sums: number[] = [];
    for (let n = 0; n < count; n += 1) {
      const place = first + n - decided.first;
      const within = Math.max(0, Math.min(last, place));
      const person = decided.who[within];
      const face = person && this.#faceOf(known(person), first + n);
      const why = this.#why(decided, place, within, face);
      const confidence = decided.confidence[within]!;
      const before = bounds.at(-1);
      const end = n === count - 1 ? take.end : at((first + n + 1) * STRIP_STEP);
      if (before && before.face === face && before.why === why) {
        bounds[bounds.length - 1] = { ...before, end };
        sums[sums.length - 1]! += confidence * STRIP_STEP;
      } else {
        bounds.push({ start: before?.end ?? take.start, end, ...(face && { face }), why, confidence });
        sums.push(confidence * STRIP_STEP);
      }
    }
    return worthwhile(
      bounds.map((bound, n) => {
        const pictures = picturesOf(bound).count;
        return { ...bound, confidence: Math.min(1, sums[n]! / (pictures * STRIP_STEP)) };
      }),
    );
  }

  /** Who is known to speak with whose face, for reports: seconds of voice seen and not, likeliest first. */
  bonds(): { speaker: SpeakerId; person: number; spoke: number; not: number; faces: FaceId[] }[] {
    const persons = new Map<Person, FaceId[]>([...this.#persons.gallery].map((person) => [person, []]));
    for (const face of this.#presence.keys()) {
      const person = this.#persons.of(face);
      if (person) persons.set(person, [...(persons.get(person) ?? []), face]);
    }
    return [...persons]
      .flatMap(([{ id, bonds }, faces]) =>
        [...bonds].map(([speaker, { spoke, not }]) => ({ speaker, person: id, spoke, not, faces })),
      )
      .toSorted((a, b) => oddsOf(b) - oddsOf(a));
  }

  #why({ why, who }: Decided, place: number, within: number, face: FaceId | undefined): Ground {
    if (who[within] && !face) return 'absent';
    if (face && place !== within) return 'held';
    return why[within]!;
  }

  #decide(speaker: SpeakerId, interval: Interval): Decided {
    const pictures = picturesOf(interval);
    const { first, count } = pictures;
    const candidates = this.#candidates(pictures);
    const shifts = candidates.map(({ person }) => this.#memory(speaker, person));
    const { states, gains, costs, anything } = this.#evidence(pictures, candidates, shifts);
    const path = bridged(likeliest(gains, costs), candidates, gains);
    const belief = posteriors(gains, costs);
    // Whether a mouth went with the voice is said of the whole run of pictures in which it was taken to.
    const why = runsOf(path).flatMap(([state, from, to]): Ground[] => {
      const length = to - from;
      if (state === 0) {
        const mouths = anything.subarray(from, to).includes(1) ? 'silent' : 'unknown';
        return Array.from({ length }, (_, n) => (candidates.some(({ faces }) => faces[from + n]) ? mouths : 'absent'));
      }
      const heard = [...candidates[state - 1]!.scores.subarray(from, to)].filter((score) => !Number.isNaN(score));
      const mean = heard.reduce((sum, score) => sum + limited(score, MOST), 0) / heard.length;
      return Array.from({ length }, () => (mean > 0 ? 'speaking' : 'remembered'));
    });
    const who = path.map((state) => (state === 0 ? undefined : candidates[state - 1]!.person));
    const confidence = Float32Array.from(path, (state, n) => belief[n * states + state]!);
    return { first, count, who, why, confidence };
  }

  /** What the scores alone say, without what is remembered: memory must not feed itself. */
  #learn(speaker: SpeakerId, interval: Interval): void {
    const pictures = picturesOf(interval);
    const candidates = this.#candidates(pictures);
    const { states, gains, costs, anything } = this.#evidence(pictures, candidates);
    const belief = posteriors(gains, costs);
    const step = STRIP_STEP / 1_000_000;
    let [seen, unseen] = [0, 0];
    for (const [n, { person, scores }] of candidates.entries()) {
      let [spoke, not] = [0, 0];
      for (let i = 0; i < pictures.count; i += 1) {
        if (Number.isNaN(scores[i]!)) continue;
        spoke += belief[i * states + n + 1]! * step;
        not += (1 - belief[i * states + n + 1]!) * step;
      }
      seen += spoke;
      if (spoke + not > 0) strengthen(known(person).bonds, speaker, spoke, not);
    }
    for (let i = 0; i < pictures.count; i += 1) if (anything[i]) unseen += belief[i * states]! * step;
    if (seen + unseen > 0) strengthen(this.#onScreen, speaker, seen, unseen);
  }

  /** How much likelier a person is to be this speaker than their scores say, in scores. */
  #memory(speaker: SpeakerId, person: Person): number {
    const own = person.bonds.get(speaker);
    let odds = 1.5 * oddsOf(own);
    const settled = (bond: Bond | undefined) => bond !== undefined && bond.spoke > SETTLED && bond.spoke > 2 * bond.not;
    if (!settled(own)) {
      const others = [...person.bonds].some(([each, bond]) => each !== speaker && settled(bond));
      const elsewhere = [...this.#persons.gallery].some((each) => each !== person && settled(each.bonds.get(speaker)));
      odds -= (others ? 1 : 0) + (elsewhere ? 1 : 0);
      odds += Math.max(-1, Math.min(0, oddsOf(this.#onScreen.get(speaker))));
    }
    return limited(odds, MEMORY);
  }

  /** Everybody seen during the pictures, with the score of each picture: NaN where there is none or nobody is heard. */
  #candidates({ first, count }: Pictures): Candidate[] {
    const within: Interval = { start: at(first * STRIP_STEP), end: at((first + count) * STRIP_STEP) };
    const persons = new Map<Person, FaceId[]>();
    for (const [face, stretches] of this.#presence) {
      if (!stretches.some(({ start, end }) => start < within.end && end > within.start)) continue;
      const person = this.#persons.of(face);
      if (person) persons.set(person, [...(persons.get(person) ?? []), face]);
    }
    const scenes = this.#scored.filter(({ start, end }) => start < within.end && end > within.start);
    return [...persons].map(([person, faces]) => {
      const scores = new Float32Array(count).fill(NaN);
      const there = Array.from({ length: count }, (_, n) => faces.find((face) => this.#isThere(face, first + n)));
      for (const [n, face] of there.entries()) {
        if (!face) continue;
        const scene = scenes.findLast((each) => {
          const place = first + n - each.first;
          return place >= 0 && place < (each.faces.get(face)?.length ?? 0);
        });
        const place = first + n - (scene?.first ?? 0);
        if (scene && scene.voiced?.[place] !== 0) scores[n] = scene.faces.get(face)![place]!;
      }
      return { person, faces: there, scores };
    });
  }

  /** What each state (nobody first, then the candidates) gains in each picture, and what changing costs there. */
  #evidence({ first, count }: Pictures, candidates: readonly Candidate[], shifts?: readonly number[]) {
    const states = candidates.length + 1;
    const gains = new Float64Array(count * states);
    const anything = new Uint8Array(count);
    for (const [n, { faces, scores }] of candidates.entries()) {
      const shift = shifts?.[n] ?? 0;
      const scored = scores.some((score) => !Number.isNaN(score));
      for (let i = 0; i < count; i += 1) {
        const score = scores[i]!;
        if (!Number.isNaN(score)) {
          gains[i * states + n + 1] = WEIGHT * Math.max(LEAST, Math.min(MOST, score + shift));
          anything[i] = 1;
        } else if (faces[i] && !scored) gains[i * states + n + 1] = WEIGHT * shift;
      }
    }
    const cuts = new Set(this.#cuts.map((cut) => Math.round(cut / STRIP_STEP) - first));
    const change = Float64Array.from({ length: count }, (_, i) => (cuts.has(i) ? COSTS.cut : COSTS.change));
    const costs: Costs = { states, enter: COSTS.enter, change };
    return { states, gains, costs, anything };
  }

  #isThere(face: FaceId, picture: number): boolean {
    // The middle of the picture's time, so that a face seen at a rate that is not 25 is there all the time.
    const t = picture * STRIP_STEP + STRIP_STEP / 2;
    return this.#presence.get(face)?.some(({ start, end }) => start <= t && t < end) ?? false;
  }
  #faceOf(person: Person, picture: number): FaceId | undefined {
    for (const face of this.#presence.keys()) {
      if (this.#persons.of(face) === person && this.#isThere(face, picture)) return face;
    }
    return undefined;
  }

  #forget(before: MediaTime): void {
    this.#cuts = this.#cuts.filter((cut) => cut >= before).slice(-SCENES);
    this.#scored = this.#scored.filter(({ end }) => end >= before);
    for (const [id, { utterance }] of this.#told) if (utterance.end < before) this.#told.delete(id);
    for (const [face, stretches] of this.#presence) {
      while (stretches[0] && stretches[0].end < before) stretches.shift();
      if (stretches.length === 0 || this.#presence.size > FACES) {
        this.#presence.delete(face);
        this.#persons.forget(face);
      }
    }
  }
}

/** Stretches of one state: the state, from, to. */
function runsOf(path: readonly number[]): [state: number, from: number, to: number][] {
  const runs: [number, number, number][] = [];
  for (const [n, state] of path.entries()) {
    const last = runs.at(-1);
    if (last?.[0] === state) last[2] = n + 1;
    else runs.push([state, n, n + 1]);
  }
  return runs;
}

/**
 * A short stretch of nobody between two who speak is one's or the other's: divided where they gain most together, or, of
 * one person before and after, bridged.
 */
function bridged(path: readonly number[], candidates: readonly Candidate[], gains: Float64Array): number[] {
  const whole = [...path];
  const runs = runsOf(path);
  const states = candidates.length + 1;
  for (const [n, [state, from, to]] of runs.entries()) {
    const [before, after] = [runs[n - 1]?.[0] ?? 0, runs[n + 1]?.[0] ?? 0];
    if (state !== 0 || before === 0 || after === 0 || (to - from) * STRIP_STEP > BRIDGED) continue;
    const there = (who: number) => candidates[who - 1]!.faces.slice(from, to).every(Boolean);
    if (!there(before) || !there(after)) continue;
    let [lead, best, place] = [0, 0, from];
    for (let i = from; i < to; i += 1) {
      lead += gains[i * states + before]! - gains[i * states + after]!;
      if (lead >= best) [best, place] = [lead, i + 1];
    }
    whole.fill(before, from, place).fill(after, place, to);
  }
  return whole;
}

/** Without faces that are there too short: they go to nobody. */
function worthwhile(bounds: readonly Bound[]): Bound[] {
  const pieces: Bound[] = [];
  for (const [n, bound] of bounds.entries()) {
    const sameFace = (other: Bound | undefined) => other?.face !== undefined && other.face === bound.face;
    const alone = !sameFace(bounds[n - 1]) && !sameFace(bounds[n + 1]);
    const short = bound.face && bounds.length > 1 && alone && between(bound.start, bound.end) < SHORTEST;
    const { face: _, ...without } = bound;
    const piece: Bound = short ? { ...without, why: 'absent' } : bound;
    const last = pieces.at(-1);
    if (last && last.face === piece.face && last.why === piece.why) {
      pieces[pieces.length - 1] = { ...last, end: piece.end };
    } else pieces.push(piece);
  }
  return pieces;
}
