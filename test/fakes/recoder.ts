import { Depacketizer, pictureIdOf } from '../../media/packetize.ts';
import type { Answer, Recoder, RunOptions } from '../../media/recoder.ts';
import { Recoding } from '../../media/recoding.ts';
import type { MediaTime } from '../../media/time.ts';
import type { Patch } from '../../media/video-frame.ts';
import type { AccessUnit } from '../../media/video.ts';

/** A picture that was encoded again, as its only payload says. */
export interface Again {
  readonly run: number;
  readonly start: MediaTime;
  readonly patches: number;
}
export const again = ({ payloads }: AccessUnit): Again | undefined => {
  const text = Buffer.from(payloads[0] ?? []).toString();
  return text.startsWith('{') ? (JSON.parse(text) as Again) : undefined;
};

/**
 * A recoder without codecs. It answers `delay` calls of `answers` later, gives pictures in the order of presentation once
 * no earlier one can come (`reorder` pictures later), and can die, hang and lose pictures.
 */
export class FakeRecoder implements Recoder {
  ready = true;
  delay = 0;
  /** Gives no answers any more. */
  hangs = false;
  reorder = 0;
  /** Pictures that cannot be decoded. */
  readonly undecodable = new Set<MediaTime>();
  options: RunOptions | undefined;
  /** What the current run was given, in order. */
  given: AccessUnit[] = [];
  cancelled = 0;
  stuck = 0;
  #run = 0;
  #first = true;
  #held: { readonly unit: AccessUnit; readonly patches: number }[] = [];
  #queue: { answer: Answer; calls: number }[] = [];

  begin(run: number, options: RunOptions): void {
    this.#run = run;
    this.#first = true;
    this.#held = [];
    this.given = [];
    this.options = options;
  }
  decode(unit: AccessUnit): void {
    this.given.push(unit);
  }
  prepare(): void {
    this.#answer({ kind: 'prepared', run: this.#run });
  }
  encode(unit: AccessUnit, patches: readonly Patch[]): void {
    this.given.push(unit);
    this.#held.push({ unit, patches: patches.length });
    this.#held.sort((a, b) => a.unit.start - b.unit.start);
    while (this.#held.length > this.reorder) this.#next();
  }
  finish(): void {
    while (this.#held.length > 0) this.#next();
  }
  cancel(stuck = false): void {
    this.cancelled += 1;
    if (stuck) this.stuck += 1;
    this.#run = 0;
    this.#queue = [];
  }
  answers(): Answer[] {
    if (this.hangs) return [];
    for (const one of this.#queue) one.calls -= 1;
    const ripe = this.#queue.findIndex(({ calls }) => calls >= 0);
    return this.#queue.splice(0, ripe < 0 ? this.#queue.length : ripe).map(({ answer }) => answer);
  }
  /** Its thread ends, with what it has not given away. */
  die(): void {
    this.#queue = [{ answer: { kind: 'died', run: this.#run, why: 'killed' }, calls: 0 }];
    this.#held = [];
  }

  #next(): void {
    const one = this.#held.shift();
    if (!one) return;
    const { start } = one.unit;
    if (this.undecodable.has(start)) return this.#answer({ kind: 'lost', run: this.#run, start });
    const payload = Buffer.from(JSON.stringify({ run: this.#run, start, patches: one.patches } satisfies Again));
    this.#answer({ kind: 'picture', run: this.#run, unit: { start, keyFrame: this.#first, payloads: [payload] } });
    this.#first = false;
  }
  #answer(answer: Answer): void {
    this.#queue.push({ answer, calls: this.delay });
  }
}

/** A recoder that does its work at once, in the calling thread, with the codecs of the real one. */
export class DirectRecoder implements Recoder, Disposable {
  readonly ready = true;
  #run = 0;
  #recoding: Recoding | undefined;
  #depacketizer = new Depacketizer('VP8');
  #answers: Answer[] = [];

  begin(run: number, options: RunOptions): void {
    this.cancel();
    this.#run = run;
    this.#depacketizer = new Depacketizer(options.codec);
    this.#recoding = new Recoding(run, options);
  }
  decode(unit: AccessUnit): void {
    this.#push(unit, undefined);
  }
  prepare(): void {
    this.#answers.push({ kind: 'prepared', run: this.#run });
  }
  encode(unit: AccessUnit, patches: readonly Patch[]): void {
    this.#push(unit, patches);
  }
  finish(): void {
    this.#answers.push(...(this.#recoding?.finish() ?? []));
  }
  cancel(): void {
    this.#recoding?.[Symbol.dispose]();
    this.#recoding = undefined;
    this.#answers = [];
  }
  answers(): Answer[] {
    return this.#answers.splice(0);
  }
  [Symbol.dispose](): void {
    this.cancel();
  }
  #push({ start, payloads }: AccessUnit, patches: readonly Patch[] | undefined): void {
    const id = pictureIdOf(this.#depacketizer.codec, payloads[0]!);
    const data = this.#depacketizer.frame(payloads) ?? new Uint8Array(0);
    this.#answers.push(
      ...(this.#recoding?.push({ start, data, ...(id && { id }), ...(patches && { patches }) }) ?? []),
    );
  }
}
