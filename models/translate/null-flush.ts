import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Readable } from 'node:stream';
import type { Clock } from '../../media/clock.ts';
import { type Span, later, toMs } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';

/** Somebody waiting for an answer. */
interface Waiting {
  readonly resolve: (answer: string) => void;
  readonly reject: (fault: Fault) => void;
}

/** The last words of a program are enough to tell what it missed. */
const COMPLAINT_LENGTH = 500;

/**
 * Programs joined by pipes that stay up and answer every NUL-terminated request with a NUL-terminated answer, in order.
 *
 * The programs' pipes are their own: no shell stands between them, and text passes this process only on its way in and
 * out. They start with the first request and again with the first one after they died. When this process ends, however
 * it ends, the first program's input ends and so do they all.
 */
export class NullFlushPipeline {
  readonly #programs: readonly (readonly string[])[];
  #children: ChildProcess[] = [];
  /** In the order of their requests. As many as there are callers, since each waits for its answer. */
  #waiting: Waiting[] = [];
  #closed = false;

  /** @param programs each with its arguments, all told to flush at NUL */
  constructor(programs: readonly (readonly string[])[]) {
    this.#programs = programs;
  }

  /** Process ids of the programs, first to last; none while they are down. */
  get pids(): number[] {
    return this.#children.flatMap((child) => child.pid ?? []);
  }

  /**
   * Sends a request (its NUL included) and waits for its answer (NUL not included).
   *
   * Throws a `timeout` fault after `patience`, and an `unavailable` one when a program dies. Either way the programs are
   * ended, since whose answer comes next is then uncertain: others who wait get an `unavailable` fault.
   */
  async ask(request: string, clock: Clock, patience: Span): Promise<string> {
    if (this.#closed) throw new Fault('translator', 'broken', 'the pipeline is closed');
    if (this.#children.length === 0) this.#start();
    const answered = new AbortController();
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting.push({ resolve, reject });
        this.#children[0]?.stdin?.write(request);
        clock.until(later(clock.now(), patience), answered.signal).then(
          () => {
            reject(new Fault('translator', 'timeout', `no answer within ${toMs(patience)} ms`));
            void this.#stop(
              new Fault('translator', 'unavailable', 'the pipeline was ended after somebody else’s timeout'),
            );
          },
          () => {},
        );
      });
    } finally {
      answered.abort();
    }
  }

  /** Ends the programs and waits until they have. Who still waits gets a fault. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#stop(new Fault('translator', 'broken', 'the pipeline is closed'));
  }

  #start(): void {
    const children: ChildProcess[] = [];
    let complaint = '';
    let upstream: Readable | 'pipe' = 'pipe';
    for (const [command = '', ...args] of this.#programs) {
      // A session of its own: a Ctrl-C in the terminal is for us, who then end the programs in good order.
      const child: ChildProcess = spawn(command, args, {
        stdio: [upstream, 'pipe', 'pipe'],
        detached: true,
        env: { ...process.env, LC_ALL: 'C.UTF-8' },
      });
      const died = (how: string) => {
        if (this.#children !== children) return;
        const said = complaint.trim();
        void this.#stop(new Fault('translator', 'unavailable', `${command} ${how}${said && `: ${said}`}`));
      };
      child.on('error', (error) => died(`did not start (${error.message})`));
      // 'close' rather than 'exit': by then what it complained of has been read. Only a program whose neighbour died
      // gets SIGPIPE, and the neighbour is the one to name.
      child.on('close', (code, signal) => {
        if (signal !== 'SIGPIPE') died(`ended (${signal ?? `exit code ${code}`})`);
      });
      child.stdin?.on('error', () => {});
      child.stderr?.on('data', (said: Buffer) => {
        complaint = (complaint + said.toString()).slice(-COMPLAINT_LENGTH);
      });
      children.push(child);
      // The next program has the reading end now. Ours must go, or we would read along and keep the pipe open.
      if (upstream !== 'pipe') upstream.destroy();
      // What did not start has no pipe to hand on; its 'error' follows.
      if (child.pid === undefined || !child.stdout) break;
      upstream = child.stdout;
    }
    this.#children = children;
    if (upstream !== 'pipe') this.#listen(upstream, children);
  }

  #listen(output: Readable, children: readonly ChildProcess[]): void {
    let rest: Buffer[] = [];
    output.on('data', (chunk: Buffer) => {
      // The last words of programs that were replaced answer nobody.
      if (this.#children !== children) return;
      let from = 0;
      for (let nul = chunk.indexOf(0); nul >= 0; nul = chunk.indexOf(0, from)) {
        const answer = Buffer.concat([...rest, chunk.subarray(from, nul)]).toString('utf8');
        rest = [];
        from = nul + 1;
        const waiting = this.#waiting.shift();
        if (waiting) void settled(children).then((dead) => (dead ? waiting.reject(dead) : waiting.resolve(answer)));
      }
      if (from < chunk.length) rest.push(chunk.subarray(from));
    });
  }

  async #stop(fault: Fault): Promise<void> {
    const [children, waiting] = [this.#children, this.#waiting];
    this.#children = [];
    this.#waiting = [];
    for (const { reject } of waiting) reject(fault);
    const ended = children.map(async (child) => {
      child.stdin?.destroy();
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await once(child, 'exit');
    });
    await Promise.all(ended);
  }
}

/**
 * What those behind a program that dies say at the end of their input is no answer, and can be heard of before its death
 * is: a turn or two of the event loop later both are known.
 */
async function settled(children: readonly ChildProcess[]): Promise<Fault | undefined> {
  await turn();
  await turn();
  const dead = children.find(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
  return (
    dead && new Fault('translator', 'unavailable', `${dead.spawnfile} ended (${dead.signalCode ?? dead.exitCode})`)
  );
}
