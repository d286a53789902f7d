import type { LatencySummary } from '../../pipeline/latency.ts';
import type { Loss } from '../../pipeline/load.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import { HISTOGRAM_BYTES, Histogram } from './histogram.ts';

/** How one network has been doing since it was opened. Runs that only warm it up do not count. */
export interface NetworkReport {
  readonly name: string;
  readonly stage: StageKind | null;
  /** What computes: `cpu`, `cuda`, `tensorrt`. */
  readonly device: string;
  /** From the call to the beginning of its run. A network in its caller's thread keeps nobody waiting. */
  readonly waiting: LatencySummary;
  readonly running: LatencySummary;
  readonly queued: number;
  /** Calls that were not answered: no room, no time, or the run failed. */
  readonly lost: Readonly<Record<Loss, number>>;
  /** Threads that died or hung and were replaced. */
  readonly restarts: number;
}

/** What is known of a network besides its numbers. */
export interface NetworkLabel {
  readonly name: string;
  readonly stage: StageKind | null;
  readonly device: string;
}

const COUNTS = ['overflow', 'expired', 'failed', 'restarts', 'queued'] as const;
type Count = (typeof COUNTS)[number];
const HEAD = COUNTS.length * Int32Array.BYTES_PER_ELEMENT;

/** A network's numbers, in shared memory: the thread that runs it writes them, any thread reads them. */
export class NetworkTally {
  readonly memory: SharedArrayBuffer;
  readonly waiting: Histogram;
  readonly running: Histogram;
  readonly #counts: Int32Array;

  constructor(memory = new SharedArrayBuffer(HEAD + 2 * HISTOGRAM_BYTES)) {
    this.memory = memory;
    this.#counts = new Int32Array(memory, 0, COUNTS.length);
    this.waiting = new Histogram(memory, HEAD);
    this.running = new Histogram(memory, HEAD + HISTOGRAM_BYTES);
  }

  count(what: Exclude<Count, 'queued'>): void {
    Atomics.add(this.#counts, COUNTS.indexOf(what), 1);
  }
  queued(calls: number): void {
    Atomics.store(this.#counts, COUNTS.indexOf('queued'), calls);
  }

  report(label: NetworkLabel): NetworkReport {
    const read = (what: Count) => Atomics.load(this.#counts, COUNTS.indexOf(what));
    return {
      ...label,
      waiting: this.waiting.summary(),
      running: this.running.summary(),
      queued: read('queued'),
      lost: { overflow: read('overflow'), expired: read('expired'), failed: read('failed') },
      restarts: read('restarts'),
    };
  }
}

/** An open network's name and numbers, as they pass between threads. */
export interface NetworkNote {
  readonly label: NetworkLabel;
  readonly memory: SharedArrayBuffer;
}

const open = new Map<SharedArrayBuffer, NetworkNote>();
let tell: (note: NetworkNote) => void = () => {};

/** Lists a network among this process' networks. Returns what takes it off the list. */
export function listNetwork(note: NetworkNote): () => void {
  open.set(note.memory, note);
  tell(note);
  return () => void open.delete(note.memory);
}
/** Has every network that is listed from now on told to `listener`: a thread tells the thread that started it. */
export const onNetwork = (listener: (note: NetworkNote) => void): void => void (tell = listener);

/** Every open network of this process, those in engines' threads included, in the order in which they were opened. */
export const networkReports = (): NetworkReport[] =>
  [...open.values()].map(({ label, memory }) => new NetworkTally(memory).report(label));
