import { Worker } from 'node:worker_threads';
import type { Clock } from './clock.ts';
import { entry } from './entry.ts';
import { Depacketizer, pictureIdOf } from './packetize.ts';
import type { FromRecoder, ToRecoder } from './recoder-thread.ts';
import { type ClockTime, type MediaTime, type Span, later, seconds } from './time.ts';
import type { Encodable } from './video-encoder.ts';
import type { Patch } from './video-frame.ts';
import type { AccessUnit } from './video.ts';

export interface RunOptions {
  readonly codec: Encodable;
  /** Pictures a second of the original. */
  readonly fps: number;
  /** Bit/s of the original. */
  readonly bitrate: number;
}

/** What has become of the work of a run. */
export type Answer =
  /** All that was given before it was asked for has been decoded: pictures can be encoded from here on. */
  | { readonly kind: 'prepared'; readonly run: number }
  /** A picture again, at its own time, cut for RTP. They come in the order of presentation; the first is a key frame. */
  | { readonly kind: 'picture'; readonly run: number; readonly unit: AccessUnit }
  /** There is none at `start`: it could not be decoded, and no other has been. */
  | { readonly kind: 'lost'; readonly run: number; readonly start: MediaTime }
  /** Nothing more comes for this run. */
  | { readonly kind: 'died'; readonly run: number; readonly why: string };

/**
 * Makes encoded pictures from encoded pictures, with patches laid on: one run at a time, from a key frame on. Calls
 * return at once; {@link answers} hands out what has come since.
 */
export interface Recoder {
  /** A run may begin. One that has died is ready again after a while. */
  readonly ready: boolean;
  begin(run: number, options: RunOptions): void;
  /** The next picture in the order of decoding, which is only needed for those after it. */
  decode(unit: AccessUnit): void;
  /** Answered by `prepared`. */
  prepare(): void;
  /** The next picture, to be encoded with `patches` on it. The patches may be kept by the caller, but not written to. */
  encode(unit: AccessUnit, patches: readonly Patch[]): void;
  /** No more pictures: what is still inside comes out. */
  finish(): void;
  /** Forgets the run; `stuck` when it no longer answers. Nothing more is heard of it. */
  cancel(stuck?: boolean): void;
  answers(): Answer[];
}

const SHORTEST = seconds(1);
const LONGEST = seconds(30);
/** Answers that nobody fetches. A run has some tens of pictures on their way. */
const MOST_ANSWERS = 1_024;

/** The wait before the next attempt: doubled each time. */
export const backOff = (failures: number): Span => Math.min(LONGEST, SHORTEST * 2 ** Math.max(0, failures - 1)) as Span;

/**
 * A {@link Recoder} in a worker thread of its own, which is started when it is first asked whether it is ready. A thread
 * that dies or is stuck is replaced after 1 s, 2 s, 4 s … up to 30 s; a run that is finished makes it 1 s again.
 */
export class ThreadRecoder implements Recoder, Disposable {
  readonly #clock: Clock;
  readonly #program: string;
  /** Which run counts: the thread skips the work of others without a look at it. */
  readonly #current = new Int32Array(new SharedArrayBuffer(4));
  #depacketizer = new Depacketizer('VP8');
  #worker: Worker | undefined;
  #answers: Answer[] = [];
  #failures = 0;
  #retryAt: ClockTime | undefined;
  #disposed = false;

  /** @param program the thread's built entry */
  constructor(clock: Clock, program: string = entry('./recoder-thread.ts', import.meta.url)) {
    this.#clock = clock;
    this.#program = program;
  }

  get ready(): boolean {
    if (this.#disposed) return false;
    if (this.#worker) return true;
    if (this.#retryAt !== undefined && this.#clock.now() < this.#retryAt) return false;
    this.#start();
    return true;
  }
  /** How often in a row the thread has died. */
  get failures(): number {
    return this.#failures;
  }

  begin(run: number, { codec, fps, bitrate }: RunOptions): void {
    this.#depacketizer = new Depacketizer(codec);
    Atomics.store(this.#current, 0, run);
    this.#send({ type: 'begin', run, codec, fps, bitrate });
  }
  decode(unit: AccessUnit): void {
    this.#give(unit, undefined);
  }
  prepare(): void {
    this.#send({ type: 'prepare', run: this.#run });
  }
  encode(unit: AccessUnit, patches: readonly Patch[]): void {
    this.#give(unit, patches);
  }
  finish(): void {
    this.#send({ type: 'finish', run: this.#run });
  }
  cancel(stuck = false): void {
    Atomics.store(this.#current, 0, 0);
    this.#answers = [];
    if (stuck) this.#died(this.#worker, 'it does not answer');
    this.#answers = [];
  }

  answers(): Answer[] {
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    const worker = this.#worker;
    this.#worker = undefined;
    worker?.postMessage({ type: 'close' } satisfies ToRecoder);
    worker?.unref();
  }

  get #run(): number {
    return Atomics.load(this.#current, 0);
  }

  #start(): void {
    const worker = new Worker(this.#program, { workerData: this.#current });
    this.#worker = worker;
    worker.on('message', (message: FromRecoder) => {
      if (worker !== this.#worker) return;
      if (message.kind === 'finished') this.#failures = 0;
      else if (message.run === this.#run) {
        if (this.#answers.length >= MOST_ANSWERS) return this.#died(worker, 'nobody takes its pictures');
        this.#answers.push(message);
      }
    });
    worker.on('error', (thrown) => this.#died(worker, thrown instanceof Error ? thrown.message : String(thrown)));
    worker.on('exit', (code) => this.#died(worker, `its thread ended with code ${code}`));
    // It keeps nobody from leaving.
    worker.unref();
  }

  #died(worker: Worker | undefined, why: string): void {
    if (!worker || worker !== this.#worker) return;
    this.#worker = undefined;
    this.#failures += 1;
    this.#retryAt = later(this.#clock.now(), backOff(this.#failures));
    void worker.terminate();
    const run = this.#run;
    if (run !== 0) this.#answers = [...this.#answers.slice(-MOST_ANSWERS), { kind: 'died', run, why }];
  }

  #give({ start, payloads }: AccessUnit, patches: readonly Patch[] | undefined): void {
    const [first] = payloads;
    const id = first && pictureIdOf(this.#depacketizer.codec, first);
    // An empty picture is one that cannot be put together: it is treated as any other that cannot be decoded.
    const data = this.#depacketizer.frame(payloads) ?? new Uint8Array(0);
    const copies = patches?.map(copyOf);
    const transfer = [data, ...(copies ?? []).map(({ y }) => y)].map(({ buffer }) => buffer as ArrayBuffer);
    this.#send({ type: 'unit', run: this.#run, start, data, ...(id && { id }), ...(copies && { patches: copies }) }, [
      ...new Set(transfer),
    ]);
  }

  #send(message: ToRecoder, transfer: ArrayBuffer[] = []): void {
    this.#worker?.postMessage(message, transfer);
  }
}

/** A patch in one buffer that nobody else holds. */
function copyOf({ y, u, v, ...place }: Patch): Patch {
  const bytes = new Uint8Array(y.length + u.length + v.length);
  bytes.set(y);
  bytes.set(u, y.length);
  bytes.set(v, y.length + u.length);
  const chroma = y.length + u.length;
  return { ...place, y: bytes.subarray(0, y.length), u: bytes.subarray(y.length, chroma), v: bytes.subarray(chroma) };
}
