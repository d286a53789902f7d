import { fork } from 'node:child_process';
import type { FromSession, ToSession } from './session/ipc.ts';

/** How long a process may take to end when asked to, ms. Then it is killed. */
const GRACE = 3_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A process of a session's from start to exit: the one that dubs, unless told, or another that speaks `To` and `From`. */
export class SessionProcess<To extends { readonly type: string } = ToSession, From = FromSession> {
  readonly pid: number | undefined;
  /** Resolves when the process is gone, however it went; also when it could not be started. */
  readonly exited: Promise<Exit>;
  readonly #child: ReturnType<typeof fork>;
  #gone = false;

  /** @param file the built module to run @param receive gets everything the process says */
  constructor(file: string, receive: (message: From) => void) {
    const child = fork(file, { execArgv: ['--enable-source-maps'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child = child;
    this.pid = child.pid;
    child.on('message', (message) => receive(message as From));
    this.exited = new Promise((resolve) => {
      const gone = (exit: Exit) => {
        this.#gone = true;
        resolve(exit);
      };
      child.once('exit', (code, signal) => gone({ code, signal }));
      child.once('error', () => {
        if (child.pid === undefined) gone({ code: null, signal: null });
      });
    });
  }

  /** Resolves when the message is on its way. A process that is gone or going hears nothing, which is no error. */
  send(message: To | { readonly type: 'stop' }): Promise<void> {
    if (this.#gone || !this.#child.connected) return Promise.resolve();
    return new Promise((sent) => this.#child.send(message, () => sent()));
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  /** Asks the process to end, kills it if it does not, and resolves when it is gone. */
  async stop(grace = GRACE): Promise<Exit> {
    void this.send({ type: 'stop' });
    const timer = setTimeout(() => this.kill(), grace);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }
}
