import { keepNewest } from '../media/newest.ts';
import type { MediaTime } from '../media/time.ts';
import type { SpeakerId } from './domain.ts';
import type { Face, FaceId } from './face.ts';

/** How often, in seconds of voice, a speaker was heard while somebody was seen: with the mouth going with it, and not. */
export interface Bond {
  spoke: number;
  not: number;
}
/** Somebody who is or was seen. One who was never embedded lasts as long as the face. */
export interface Person {
  readonly id: number;
  /** Mean of the embeddings, not of unit length; nothing before the first. */
  centre?: Float32Array;
  embeddings: number;
  /** Embeddings in a row that look like somebody else. */
  strange: number;
  lastSeen: MediaTime;
  readonly bonds: Map<SpeakerId, Bond>;
  /** Turned out to be somebody who was known already. */
  into?: Person;
}

/** Cosines of embeddings: from here on one person, up to here another (MODELS.md: same .8, different at most .3). */
const SAME = 0.5;
const OTHER = 0.3;
/** Embeddings after which one more counts no more. */
const SETTLED = 20;
/** Speakers that a person can be bound to. */
const SPEAKERS = 16;
/** Seconds of voice that are remembered of a bond: enough to be sure, few enough to be talked out of it. */
const REMEMBERED = 30;

function cosine(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) return -1;
  let [both, alone, other] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    both += a[i]! * b[i]!;
    alone += a[i]! * a[i]!;
    other += b[i]! * b[i]!;
  }
  return alone > 0 && other > 0 ? both / Math.sqrt(alone * other) : -1;
}

/** Adds seconds of voice to a bond; what is older weighs less once there is much of it. */
export function strengthen(bonds: Map<SpeakerId, Bond>, speaker: SpeakerId, spoke: number, not: number): void {
  const bond = bonds.get(speaker) ?? { spoke: 0, not: 0 };
  const fade = Math.min(1, REMEMBERED / (bond.spoke + bond.not + spoke + not || 1));
  bonds.delete(speaker);
  bonds.set(speaker, { spoke: (bond.spoke + spoke) * fade, not: (bond.not + not) * fade });
  keepNewest(bonds, SPEAKERS);
}

/** Who a person is known as by now. */
export const known = (person: Person): Person => (person.into ? known(person.into) : person);

/**
 * Who the faces belong to. A face that looks like somebody who was seen before is that person, unless the person is in
 * the same picture already; a face whose embeddings keep looking like somebody else's changes hands.
 */
export class Persons {
  readonly #most: number;
  readonly #byFace = new Map<FaceId, Person>();
  readonly #gallery = new Set<Person>();
  #count = 0;

  /** @param most persons that are remembered while they are not seen; of more, the one not seen for longest goes */
  constructor(most = 32) {
    this.#most = most;
  }

  /** Everybody who is remembered by their looks. */
  get gallery(): ReadonlySet<Person> {
    return this.#gallery;
  }
  of(face: FaceId): Person | undefined {
    const person = this.#byFace.get(face);
    return person && known(person);
  }

  see(start: MediaTime, faces: readonly Face[]): void {
    for (const { id } of faces) {
      const person = this.of(id) ?? this.#someone(start);
      person.lastSeen = start;
      this.#byFace.set(id, person);
    }
    for (const { id, embedding } of faces) {
      if (embedding) this.#looksLike(id, embedding, start, faces);
    }
  }

  /** The face will not come again. */
  forget(face: FaceId): void {
    this.#byFace.delete(face);
  }

  #someone(start: MediaTime): Person {
    this.#count += 1;
    return { id: this.#count, embeddings: 0, strange: 0, lastSeen: start, bonds: new Map() };
  }

  #looksLike(id: FaceId, embedding: Float32Array, start: MediaTime, faces: readonly Face[]): void {
    let person = this.of(id)!;
    if (person.centre && cosine(person.centre, embedding) < OTHER) {
      person.strange += 1;
      if (person.strange < 2) return;
      person.strange = 0;
      person = this.#someone(start);
      this.#byFace.set(id, person);
    }
    if (!person.centre) {
      const beside = new Set(faces.map((each) => this.of(each.id)));
      const again = [...this.#gallery]
        .filter((each) => !beside.has(each))
        .map((each) => ({ each, like: cosine(each.centre!, embedding) }))
        .toSorted((a, b) => b.like - a.like)[0];
      if (again && again.like >= SAME) {
        for (const [speaker, { spoke, not }] of person.bonds) strengthen(again.each.bonds, speaker, spoke, not);
        person.into = again.each;
        person = again.each;
        person.lastSeen = start;
        this.#byFace.set(id, person);
      }
    }
    person.strange = 0;
    const weight = 1 / (Math.min(person.embeddings, SETTLED) + 1);
    const centre = person.centre ?? new Float32Array(embedding.length);
    person.centre = centre.map((each, i) => each + (embedding[i]! - each) * weight);
    person.embeddings += 1;
    this.#gallery.add(person);
    if (this.#gallery.size > this.#most) {
      const present = new Set(faces.map((each) => this.of(each.id)));
      const [oldest] = [...this.#gallery]
        .filter((each) => !present.has(each))
        .toSorted((a, b) => a.lastSeen - b.lastSeen);
      if (oldest) this.#gallery.delete(oldest);
    }
  }
}
