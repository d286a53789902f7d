import { FfmpegError, ffmpeg } from '../../media/ffmpeg.ts';
import type { Scope } from '../../media/scope.ts';

/** How one run of FFmpeg ended. */
export type LineEnd = { readonly kind: 'finished' } | { readonly kind: 'failed'; readonly cause: unknown };

/** One run of FFmpeg that sends what is written to it. */
export class PushLine {
  readonly ended: Promise<LineEnd>;
  readonly #scope: Scope;
  readonly #stdin;
  #written = 0;
  /** Bytes that were sent over the network, as FFmpeg reports them ten times a second. */
  sent = 0;

  private constructor(args: readonly string[], scope: Scope) {
    this.#scope = scope;
    const { stdin, stdout, done } = ffmpeg(args, scope);
    this.#stdin = stdin;
    let rest = '';
    stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = (lines.pop() ?? '').slice(-200);
      for (const line of lines) {
        const size = /^total_size=(\d+)/.exec(line)?.[1];
        if (size !== undefined) this.sent = Math.max(this.sent, Number(size));
      }
    });
    stdout.on('error', () => {});
    this.ended = done.then(
      () => ({ kind: 'finished' }) as const,
      (cause: unknown) => ({ kind: 'failed', cause }) as const,
    );
  }

  static start(args: readonly string[], parent: Scope): PushLine {
    return new PushLine(args, parent.child('push'));
  }

  /** Bytes that FFmpeg has not taken yet. */
  get waiting(): number {
    return this.#stdin.writableLength;
  }
  /** Bytes that FFmpeg has taken. */
  get taken(): number {
    return this.#written - this.waiting;
  }

  write(bytes: Uint8Array): void {
    if (this.#stdin.destroyed || this.#stdin.writableEnded) return;
    this.#written += bytes.byteLength;
    this.#stdin.write(bytes);
  }

  /** Lets FFmpeg say goodbye to the server. */
  finish(): void {
    if (!this.#stdin.destroyed) this.#stdin.end();
  }
  close(): Promise<void> {
    return this.#scope.close();
  }
}

export const linesOf = (cause: unknown): readonly string[] => (cause instanceof FfmpegError ? cause.lines : []);
export const isMissing = (cause: unknown): boolean => cause instanceof FfmpegError && cause.missing;
