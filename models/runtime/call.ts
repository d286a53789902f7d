import type { Clock } from '../../media/clock.ts';
import type { ClockTime } from '../../media/time.ts';
import type { Fault } from '../../pipeline/fault.ts';
import type { RunOptions, Tensors } from './tensor.ts';

/** A call of a network that waits or runs: answered once, by whoever comes first. */
export class Call {
  readonly inputs: Tensors;
  readonly came: ClockTime;
  readonly deadline: ClockTime | undefined;
  readonly answer: Promise<Tensors>;
  readonly #over = new AbortController();
  #resolve: (outputs: Tensors) => void = () => {};
  #reject: (reason: unknown) => void = () => {};

  constructor(inputs: Tensors, deadline: ClockTime | undefined, came: ClockTime) {
    this.inputs = inputs;
    this.deadline = deadline;
    this.came = came;
    this.answer = new Promise((resolve, reject) => {
      [this.#resolve, this.#reject] = [resolve, reject];
    });
  }

  /** Its caller has been answered, one way or another. */
  get settled(): boolean {
    return this.#over.signal.aborted;
  }
  isLate(now: ClockTime): boolean {
    return this.deadline !== undefined && this.deadline <= now;
  }

  resolve(outputs: Tensors): void {
    this.#over.abort();
    this.#resolve(outputs);
  }
  reject(reason: unknown): void {
    this.#over.abort();
    this.#reject(reason);
  }

  /** Fails the call with the signal's reason when it aborts, or with what `late` makes when its deadline passes. */
  watch(clock: Clock, signal: RunOptions['signal'], late: () => Fault, left: () => void): void {
    const leave = (reason: unknown) => {
      if (this.settled) return;
      this.reject(reason);
      left();
    };
    signal?.addEventListener('abort', () => leave(signal.reason), { signal: this.#over.signal });
    if (this.deadline === undefined) return;
    clock.until(this.deadline, this.#over.signal).then(
      () => {
        if (!this.settled) leave(late());
      },
      () => {},
    );
  }
}
