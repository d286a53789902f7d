import { randomUUID } from 'node:crypto';
import { MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import type { Reference } from '../../pipeline/domain.ts';
import type { StageScope } from '../../pipeline/stage.ts';

export interface Cloning {
  /** Makes a voice of a reference and returns what the server calls it. It is not asked twice: there would be two. */
  readonly make: (name: string, reference: Reference, scope: StageScope) => Promise<string>;
  /** Unmakes it. */
  readonly unmake: (id: string, scope: StageScope) => Promise<void>;
  /** The server calls voices what we call them, so that one that may have come to be can be unmade. */
  readonly named: boolean;
}

/** Voices a server keeps at our request at the same time. Beyond, the one longest unused goes. */
const MOST = 32;

/**
 * Voices that were made of references on a server: each reference is uploaded once, however many lines it speaks.
 *
 * A speaker's earlier voice is unmade when there is a better one, and all are with the scope: nobody's voice stays behind.
 * What cannot be unmade then is the scope's failure, with the name the server has for it.
 */
export class ClonedVoices {
  readonly #cloning: Cloning;
  /** Reference id → whose it is and what the server calls it; the longest unused first. */
  readonly #voices = new Map<string, { readonly speaker: string; readonly id: string }>();
  /** Voices that are of no use any more. */
  readonly #old: string[] = [];
  readonly #making = new Set<Promise<unknown>>();

  constructor(cloning: Cloning, scope: Scope) {
    this.#cloning = cloning;
    scope.defer(async () => {
      await Promise.allSettled(this.#making);
      const last: StageScope = { signal: new AbortController().signal, clock: new MonotonicClock() };
      const left = [...this.#old.splice(0), ...[...this.#voices.values()].map(({ id }) => id)];
      this.#voices.clear();
      const ends = await Promise.allSettled(left.map((id) => this.#cloning.unmake(id, last)));
      const failed = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason as unknown] : []));
      if (failed.length > 0)
        throw new AggregateError(failed, `${failed.length} cloned voices were not deleted: ${String(failed[0])}`);
    });
  }

  /** What the server calls the voice of this reference; made if need be. */
  async of(reference: Reference, scope: StageScope): Promise<string> {
    const known = this.#voices.get(reference.id);
    if (known) {
      this.#voices.delete(reference.id);
      this.#voices.set(reference.id, known);
      return known.id;
    }
    const name = `livedub-${randomUUID()}`;
    const making = this.#cloning.make(name, reference, scope);
    this.#making.add(making);
    try {
      const id = await making;
      for (const [key, voice] of this.#voices) {
        if (voice.speaker === reference.speaker || this.#voices.size >= MOST) this.#retire(key, voice.id);
      }
      this.#voices.set(reference.id, { speaker: reference.speaker, id });
      await this.#tidy(scope);
      return id;
    } catch (thrown) {
      // The server may have done it without our hearing of it.
      if (this.#cloning.named) this.#old.push(name);
      throw thrown;
    } finally {
      this.#making.delete(making);
    }
  }

  #retire(key: string, id: string): void {
    this.#voices.delete(key);
    this.#old.push(id);
  }

  /** Unmakes what is of no use. What does not work now is tried again later. */
  async #tidy(scope: StageScope): Promise<void> {
    for (const id of this.#old.splice(0)) {
      await this.#cloning.unmake(id, scope).catch(() => this.#old.push(id));
    }
  }
}
