import type { Clock } from '../../media/clock.ts';
import { type ClockTime, type Span, later, ms, seconds } from '../../media/time.ts';
import { needSpace, sizeText } from './free-space.ts';
import { Inflow } from './inflow.ts';
import { type Expected, type Head, PartialFile, wrongHash } from './partial-file.ts';
import { StoreError, type StoreTrouble, codeOf } from './store-error.ts';

/** One file to fetch, and what is known of it beforehand. */
export interface Order {
  /** The model's name. */
  readonly model: string;
  /** For sentences, as in `gtcrn: gtcrn_simple.onnx`. */
  readonly what: string;
  /** Where to ask, in this order: the next is asked when one has no such file. */
  readonly urls: readonly string[];
  readonly bytes?: number | undefined;
  readonly expected?: Expected | undefined;
}

/** How long to wait for a server that has trouble. */
export interface Patience {
  /** Silence that counts as a cut connection. */
  readonly stall: Span;
  /** Before the second try; doubled for each that follows. */
  readonly first: Span;
  readonly longest: Span;
  /** The longest `Retry-After` that is waited for. */
  readonly asked: Span;
  /** Tries in a row that bring nothing new. */
  readonly tries: number;
}
export const PATIENCE: Patience = {
  stall: seconds(30),
  first: ms(500),
  longest: seconds(30),
  asked: seconds(120),
  tries: 5,
};

export interface Telephone {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  readonly patience: Patience;
  /** Told of every piece that arrives: bytes so far, of how many where that is known. */
  readonly onBytes: (have: number, total: number | undefined) => void;
  /** Told why the next try waits. */
  readonly onTrouble?: (reason: string) => void;
}

/** A try that failed and may be followed by another. */
class Hiccup extends Error {
  override readonly name = 'Hiccup';
  /** How long the server asks to be left alone. */
  readonly after: Span | undefined;

  constructor(message: string, after?: Span, cause?: unknown) {
    super(message, { cause });
    this.after = after;
  }
}

const REDIRECTS = 8;
const TROUBLED = new Set([408, 425, 429, 500, 502, 503, 504, 507, 509, 520, 521, 522, 523, 524, 529]);
const REDIRECTED = new Set([301, 302, 303, 307, 308]);
/** After which another address may be asked. Some stores answer 403 for what they do not have. */
const NOT_THERE = new Set<StoreTrouble>(['absent', 'refused']);
const NONE = 0 as Span;
const SHA256 = /^[0-9a-f]{64}$/i;

/**
 * Fetches a file by HTTP into `folder` and answers its SHA-256 once the whole of it is there and right.
 *
 * What an earlier call left is continued by a range request: of a file whose hash is known wherever it lies, of others
 * only from the same address and while the server says by `ETag` or `Last-Modified` that it is the same (`If-Range`,
 * RFC 9110 §13.1.5, §14.2). A connection that is cut or silent, 429 and 5xx are tried again. A file of another length
 * or another hash is refused and deleted; in every other case what arrived stays for the next call.
 *
 * Node's `fetch` goes through a proxy when Node is told to (`NODE_USE_ENV_PROXY=1`, from 22.21 and 24 on).
 *
 * @throws StoreError; the signal's reason
 */
export async function download(order: Order, folder: string, telephone: Telephone): Promise<string> {
  const { signal, clock, patience } = telephone;
  await using file = await PartialFile.open(folder, order.what, signal);
  let where = 0;
  let furthest = file.size;
  let again = false;
  for (let failures = 0; ;) {
    try {
      await fill(file, order, order.urls[where] ?? '', folder, telephone);
      const expected = order.expected ?? announced(file.head);
      const got = file.digest();
      if (!expected || got === expected.sha256) {
        await file.settle();
        return got;
      }
      const joined = file.joined;
      await file.restart();
      // The pieces may be of two versions: try it in one, once.
      if (!joined || again) throw wrongHash(order.what, order.model, order.urls[where] ?? '', got, expected);
      again = true;
      telephone.onTrouble?.('pieces do not fit together, from the beginning again');
    } catch (thrown) {
      signal.throwIfAborted();
      if (thrown instanceof StoreError && NOT_THERE.has(thrown.trouble) && where + 1 < order.urls.length) {
        where++;
        continue;
      }
      if (!(thrown instanceof Hiccup)) throw thrown;
      if (file.size > furthest) failures = 0;
      furthest = Math.max(furthest, file.size);
      if (++failures >= patience.tries) throw gaveUp(order, file, order.urls[where] ?? '', thrown, patience.tries);
      const pause = thrown.after ?? backOff(failures, patience);
      if (pause > patience.asked) throw gaveUp(order, file, order.urls[where] ?? '', thrown, failures);
      telephone.onTrouble?.(thrown.message);
      await clock.until(later(clock.now(), pause), signal);
    }
  }
}

/** Twice as long each time, and never the same for two who were cut off together. */
const backOff = (failures: number, { first, longest }: Patience): Span =>
  (Math.min(longest, first * 2 ** (failures - 1)) * (0.75 + Math.random() / 2)) as Span;

const announced = (head: Head | undefined): Expected | undefined =>
  head?.announced === undefined ? undefined : { sha256: head.announced, by: 'announced' };

/** Asks for what is missing and takes it in. */
async function fill(file: PartialFile, order: Order, url: string, folder: string, telephone: Telephone) {
  const { clock, patience, signal, onBytes } = telephone;
  const known = order.bytes ?? file.head?.total;
  if (!resumable(file, order, url) || (known !== undefined && file.size > known)) await file.restart();
  if (file.size > 0 && file.size === known) return;

  await using line = new Line(clock, patience.stall, signal);
  const { response, pieces, said } = await ask(url, questions(file, url), line, order.what);
  await judge(response, order, file, url);
  const head: Head = { ...said, url };
  if (response.status === 206) {
    if (!continues(file, head, response)) {
      await file.restart();
      throw new Hiccup('the file changed while it was being fetched', NONE);
    }
    file.join();
  } else await file.restart(isEncoded(response) ? undefined : head);

  const { total } = head;
  if (order.bytes !== undefined && total !== undefined && total !== order.bytes) {
    await file.restart();
    throw wrongLength(order, url, `${total}`, order.bytes);
  }
  const length = order.bytes ?? total;
  if (length !== undefined) await needSpace(folder, length - file.size, order.what);
  onBytes(file.size, length);
  for await (const bytes of pieces) {
    if (length !== undefined && file.size + bytes.length > length) {
      await file.restart();
      throw wrongLength(order, url, 'more', length);
    }
    await file.append(bytes);
    line.heard();
    onBytes(file.size, length);
  }
  if (length !== undefined && file.size < length) throw new Hiccup('the connection was cut');
}

/** Whether what comes from `url` may be put behind what is there. */
function resumable({ size, head }: PartialFile, { expected }: Order, url: string): boolean {
  if (size === 0 || !head) return false;
  return expected !== undefined || (head.url === url && validator(head) !== undefined);
}

/** What `If-Range` may name: a strong `ETag`, else a date. */
const validator = ({ etag, modified }: Head): string | undefined =>
  etag !== undefined && !etag.startsWith('W/') ? etag : modified;

function questions({ size, head }: PartialFile, url: string): Record<string, string> {
  // A compressed answer has no length that could be checked and no bytes that could be counted.
  const always = { 'accept-encoding': 'identity', 'user-agent': 'livedub' };
  if (size === 0 || !head) return always;
  const range = { ...always, range: `bytes=${size}-` };
  const same = head.url === url ? validator(head) : undefined;
  return same === undefined ? range : { ...range, 'if-range': same };
}

/** Whether a 206 goes on where `file` ends, and is of the same version. */
function continues({ size, head: before }: PartialFile, head: Head, response: Response): boolean {
  const start = /^bytes (\d+)-/i.exec(response.headers.get('content-range') ?? '')?.[1];
  const agree = <T>(a: T | undefined, b: T | undefined) => a === undefined || b === undefined || a === b;
  return (
    before !== undefined &&
    Number(start) === size &&
    size > 0 &&
    agree(before.total, head.total) &&
    agree(before.announced, head.announced) &&
    (before.url !== head.url || agree(before.etag, head.etag))
  );
}

const isEncoded = ({ headers }: Response) => !['', 'identity'].includes(headers.get('content-encoding') ?? '');

function totalOf(response: Response): number | undefined {
  if (isEncoded(response)) return undefined;
  const range = /\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1];
  const text = response.status === 206 ? range : response.headers.get('content-length');
  return text && /^\d+$/.test(text) ? Number(text) : undefined;
}

/** Follows redirects, since what is said on the way counts: Hugging Face's hub names the SHA-256 before it redirects. */
async function ask(url: string, headers: Record<string, string>, line: Line, what: string) {
  let at = url;
  let linked: string | undefined;
  for (let n = 0; n <= REDIRECTS; n++) {
    const response = await line.fetch(at, headers);
    // The ETag of a file in Git LFS there is its SHA-256: https://github.com/huggingface/huggingface.js/issues/1023.
    const tag = response.headers.get('x-linked-etag')?.replaceAll('"', '');
    if (tag && SHA256.test(tag)) linked ??= tag.toLowerCase();
    const location = REDIRECTED.has(response.status) ? response.headers.get('location') : null;
    if (location === null) {
      const said = {
        etag: response.headers.get('etag') ?? undefined,
        modified: response.headers.get('last-modified') ?? undefined,
        total: totalOf(response),
        announced: linked,
      };
      return { response, pieces: line.receive(response), said };
    }
    await response.body?.cancel();
    if (!URL.canParse(location, at)) throw refusal(what, url, `it redirects to '${location}', which is no address`);
    const next = new URL(location, at);
    if (next.protocol !== 'https:' && (next.protocol !== 'http:' || at.startsWith('https:')))
      throw refusal(what, url, `it redirects to ${next.protocol}//${next.host}, which is not safe`);
    at = next.href;
  }
  throw refusal(what, url, `it redirects more than ${REDIRECTS} times`);
}

/** Passes what brings bytes. */
async function judge(response: Response, order: Order, file: PartialFile, url: string): Promise<void> {
  const { status, headers } = response;
  if (status === 200 || (status === 206 && file.size > 0)) return;
  if (status === 416 && file.size > 0) {
    await file.restart();
    throw new Hiccup('the file is shorter now', NONE);
  }
  if (TROUBLED.has(status)) throw new Hiccup(`it answers ${status}`, retryAfter(headers));
  if (status === 404 || status === 410)
    throw new StoreError(
      'absent',
      `${order.what} is not at ${order.urls.join(' nor at ')}: it answers ${status}.`,
      'Check --mirror, or pull from another place: --from DIR takes files that you have fetched yourself.',
    );
  if (status === 401 || status === 403)
    throw new StoreError(
      'refused',
      `${order.what}: ${url} answers ${status}, not everybody may fetch it.`,
      'Fetch it with your own account as its page says, then: livedub models pull NAME --from DIR.',
    );
  throw refusal(order.what, url, `it answers ${status}`);
}

/** RFC 9110 §10.2.3: seconds, or a date by the server's own clock. */
function retryAfter(headers: Headers): Span | undefined {
  const text = headers.get('retry-after')?.trim();
  if (!text) return undefined;
  if (/^\d+$/.test(text)) return seconds(Number(text));
  const wait = (Date.parse(text) - Date.parse(headers.get('date') ?? '')) / 1_000;
  return Number.isFinite(wait) ? seconds(Math.max(0, wait)) : undefined;
}

const refusal = (what: string, url: string, why: string) =>
  new StoreError(
    'refused',
    `${what}: ${url} cannot be used: ${why}.`,
    'Try again later, or another place: --mirror URL or --from DIR.',
  );

const wrongLength = ({ what }: Order, url: string, got: string, length: number) =>
  new StoreError(
    'length',
    `${what} from ${url} is not the right file: ${got === 'more' ? `more than ${length} bytes came` : `it has ${got} bytes`}, and ${length} belong to it. Nothing of it was kept.`,
    'Pull again; if it stays so, what serves it or a proxy on the way changes it: try --mirror or --from.',
  );

function gaveUp({ what, bytes }: Order, file: PartialFile, url: string, last: Hiccup, tries: number): StoreError {
  const total = bytes ?? file.head?.total;
  const reached = `${sizeText(file.size)}${total === undefined ? '' : ` of ${sizeText(total)}`}`;
  const often = tries === 1 ? '' : `, ${tries} times in a row`;
  const wait =
    last.after === undefined || last.after < 1e6 ? '' : ` and asks to wait ${Math.round(last.after / 1e6)} s`;
  const proxy = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].find((name) => process.env[name]);
  return new StoreError(
    'network',
    `${what} did not come from ${new URL(url).host}: ${last.message}${wait}${often}; ${reached} is there.`,
    proxy !== undefined && !process.env['NODE_USE_ENV_PROXY']
      ? `${proxy} is set, which Node heeds from 22.21 on with NODE_USE_ENV_PROXY=1; else use --mirror URL or --from DIR.`
      : 'The same command goes on from there. Other places: --mirror URL or --from DIR.',
    { cause: last },
  );
}

/** A connection that is given up when nothing is heard on it for `stall`. */
class Line implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #stall: Span;
  readonly #given: AbortSignal;
  readonly #cut = new AbortController();
  readonly #over = new AbortController();
  #last: ClockTime;

  constructor(clock: Clock, stall: Span, signal: AbortSignal) {
    this.#clock = clock;
    this.#stall = stall;
    this.#given = signal;
    this.#last = clock.now();
    void this.#watch();
  }

  /** Counts as life on the line. */
  heard(): void {
    this.#last = this.#clock.now();
  }

  async fetch(url: string, headers: Record<string, string>): Promise<Response> {
    const signal = AbortSignal.any([this.#given, this.#cut.signal]);
    try {
      const response = await fetch(url, { headers, redirect: 'manual', signal });
      this.heard();
      return response;
    } catch (thrown) {
      throw this.#why(thrown);
    }
  }

  /** The body of a response that is going to be read. */
  receive({ body }: Response): AsyncGenerator<Uint8Array> {
    const inflow = new Inflow(body as ReadableStream<Uint8Array> | null, () => this.heard());
    return this.#pieces(inflow);
  }

  async *#pieces(inflow: Inflow): AsyncGenerator<Uint8Array> {
    try {
      yield* inflow.pieces();
    } catch (thrown) {
      throw this.#why(thrown);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    this.#cut.abort();
    return Promise.resolve();
  }

  #why(thrown: unknown): unknown {
    if (this.#given.aborted) return this.#given.reason;
    if (this.#cut.signal.aborted) return this.#cut.signal.reason;
    return new Hiccup(networkTrouble(thrown), undefined, thrown);
  }

  async #watch(): Promise<void> {
    try {
      for (;;) {
        const due = later(this.#last, this.#stall);
        if (this.#clock.now() >= due) break;
        await this.#clock.until(due, this.#over.signal);
      }
      this.#cut.abort(new Hiccup(`nothing came for ${Math.round(this.#stall / 1e6)} s`));
    } catch {
      // Over before anything was wrong.
    }
  }
}

/** What `fetch` failed of, in words. */
function networkTrouble(thrown: unknown): string {
  let cause = thrown;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  if (cause instanceof AggregateError && cause.errors.length > 0) cause = (cause.errors as unknown[])[0];
  switch (codeOf(cause)) {
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is not known, perhaps there is no network';
    case 'ECONNREFUSED':
      return 'nothing listens there';
    case 'UND_ERR_SOCKET':
    case 'ECONNRESET':
    case 'EPIPE':
      return 'the connection was cut';
    case 'ETIMEDOUT':
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'UND_ERR_HEADERS_TIMEOUT':
    case 'UND_ERR_BODY_TIMEOUT':
      return 'it does not answer in time';
    default:
      return cause instanceof Error ? cause.message : String(cause);
  }
}
