import type { Reply } from './delivery-rules.ts';

export interface Got extends Reply {
  readonly url: string;
  readonly body: Uint8Array;
  /** When the last byte had come, ms of `performance.now()`. */
  readonly at: number;
}
const MOST = 256 * 2 ** 20;

/** A client on another site than the server, which keeps what it is told. Nothing is cached. */
export class Client {
  readonly #signal: AbortSignal;
  requests = 0;
  bytes = 0;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** @param patience ms; a server that takes longer is answered for by status 0, as is one that hangs up */
  async get(url: string, patience = 30_000, range?: string): Promise<Got> {
    this.requests += 1;
    const headers: Record<string, string> = { origin: 'https://player.example', ...rangeOf(range) };
    try {
      const signal = AbortSignal.any([this.#signal, AbortSignal.timeout(patience)]);
      const answer = await fetch(url, { headers, signal });
      const body = await bodyOf(answer);
      this.bytes += body.byteLength;
      return {
        url: answer.url || url,
        name: url,
        status: answer.status === 206 ? 200 : answer.status,
        redirected: answer.redirected,
        header: (name) => answer.headers.get(name),
        body,
        at: performance.now(),
      };
    } catch (failure) {
      this.#signal.throwIfAborted();
      const why = failure instanceof Error ? ((failure.cause as Error | undefined)?.message ?? failure.message) : '';
      return {
        url,
        name: url,
        status: 0,
        redirected: false,
        header: () => why,
        body: new Uint8Array(),
        at: performance.now(),
      };
    }
  }
}

/** `<n>[@<o>]` of EXT-X-BYTERANGE as a Range header. */
function rangeOf(range: string | undefined): Record<string, string> {
  const [, length, offset = '0'] = /^(\d+)(?:@(\d+))?$/u.exec(range ?? '') ?? [];
  return length === undefined ? {} : { range: `bytes=${offset}-${Number(offset) + Number(length) - 1}` };
}

async function bodyOf(answer: Response): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of (answer.body ?? []) as AsyncIterable<Uint8Array>) {
    pieces.push(piece);
    size += piece.byteLength;
    if (size > MOST) throw new Error(`more than ${MOST} bytes`);
  }
  return Buffer.concat(pieces, size);
}

/** The last of a path. */
export const nameOf = (url: string) => new URL(url).pathname.split('/').at(-1) ?? url;
/** What was asked, and how it was answered. */
export const statusOf = ({ name, status, header }: Got) => {
  const { pathname, search } = new URL(name);
  return `${pathname.split('/').slice(-2).join('/')}${search}: ${status === 0 ? (header('') ?? 'no answer') : status}`;
};
