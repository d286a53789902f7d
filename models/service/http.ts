import { z } from 'zod';
import { type ClockTime, type Span, earliest, later, ms, seconds } from '../../media/time.ts';
import type { Clock } from '../../media/clock.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import type { StageKind, StageScope } from '../../pipeline/stage.ts';
import { type Pass, breakerOf } from './breaker.ts';
import { connecting } from './connecting.ts';
import { type ServerEvent, eventsOf, linesOf } from './events.ts';
import { type Service, keyFor, keyFrom, redacted } from './keys.ts';
import { type Spending, price, spendingOf } from './spending.ts';

const duration = (usual: number, what: string) => z.number().min(0.05).max(600).default(usual).describe(what);

/** Settings every engine has that speaks to a server. */
const shared = {
  keyFrom: keyFrom.optional(),
  timeouts: z
    .strictObject({
      connect: duration(5, 'Seconds to reach the host.'),
      firstByte: duration(15, 'Seconds until its answer begins.'),
      idle: duration(10, 'Seconds without a byte in the middle of an answer.'),
      total: duration(60, 'Seconds for everything, attempts and the waits between them included.'),
    })
    .prefault({}),
  retries: z.number().int().min(0).max(5).default(2).describe('Attempts after the first that failed.'),
  price: price.optional().describe('What the service costs, to estimate what was spent.'),
};
/** An address without a user, a query or a fragment, where keys like to hide. */
const address = z.string().refine(
  (text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return /^https?:$/.test(url?.protocol ?? '') && `${url?.username}${url?.password}${url?.search}${url?.hash}` === '';
  },
  { error: 'give an address as https://host/path, without user, password, query or fragment' },
);

/**
 * The settings of an engine that speaks to a server, to be spread into its own.
 *
 * @param url the address used unless another is given
 * @param variable the environment variable in which whoever runs Livedub may give another
 */
export const serverSettings = (url: string, variable?: string) => ({
  baseUrl: address
    .prefault(() => (variable === undefined ? undefined : process.env[variable]) ?? url)
    .describe('Address of the server; paths of its API are appended to it.'),
  ...shared,
});
export type ServerSettings = z.output<z.ZodObject<ReturnType<typeof serverSettings>>>;

export interface HttpOptions {
  readonly stage: StageKind;
  /** The engine's id: its name in messages and in what was spent. */
  readonly engine: string;
  readonly settings: ServerSettings;
  /** The public service this engine was made for. Its key is used there without being named in the settings. */
  readonly service?: Service;
  /** How the key is sent; `Authorization: Bearer KEY` unless told. */
  readonly authorize?: (key: string) => Readonly<Record<string, string>>;
  /** Sent with every request. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What statuses mean here that mean something else elsewhere. */
  readonly statuses?: Readonly<Partial<Record<number, FaultKind>>>;
}

/** A request. `path` starts with a slash and is appended to the base URL. */
export interface Ask {
  /** POST with a body, else GET, unless told. */
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: string | Uint8Array<ArrayBuffer> | FormData;
  /** Media types that may come; another one is not what was asked for. */
  readonly accept?: RegExp;
  /** What people said that is in the request: a server's words are not repeated where they might contain it. */
  readonly said?: string;
  /** From this reading on there is no use in an answer. */
  readonly deadline?: ClockTime;
  /** Left out, those of the settings; 0 for what must not be done twice. */
  readonly retries?: number;
  /** That there is nothing (404) is as good as done: it was to be deleted. */
  readonly missing?: 'fine';
}

/** An answer whose first byte has come. Read `body` once, or dispose of the answer. */
export interface Answer extends AsyncDisposable {
  readonly status: number;
  /** Media type, lower case, without parameters; empty when there is none. */
  readonly type: string;
  readonly headers: Headers;
  /** Read as fast as it is asked for: the server waits while nobody asks. Leaving the loop ends the request. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A fault with how long the server asked to be left alone. */
class ServerFault extends Fault {
  readonly wait: Span | undefined;
  constructor(stage: StageKind, kind: FaultKind, message: string, wait?: Span, cause?: unknown) {
    super(stage, kind, message, { cause });
    this.wait = wait;
  }
}

/** Largest JSON answer, and how much of a refusal is read, bytes. */
const MOST = 16 * 1024 * 1024;
const MOST_REFUSAL = 8 * 1024;
/** Wait before the second attempt; each further one waits twice as long. */
const PAUSE = ms(250);

const seen = (span: Span) => `${span / 1e6} s`;

function kindOf(status: number): FaultKind {
  if (status >= 300 && status < 400) return 'broken';
  if (status === 401 || status === 402 || status === 403) return 'broken';
  if (status === 408) return 'timeout';
  if (status === 429 || status === 529) return 'overloaded';
  return status < 500 ? 'rejected' : 'unavailable';
}

/** `Retry-After` in seconds or as a date, told against the answer's own date: whose clock is right does not matter. */
export function retryAfter(headers: Headers): Span | undefined {
  const value = headers.get('retry-after')?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(value)) return seconds(Number(value));
  const wait = Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return Number.isFinite(wait) ? ms(Math.max(0, wait)) : undefined;
}

/** What may be the server's reason in a refusal: `error.message`, `detail.message`, `detail[0].msg`, … */
function reasonIn(body: string): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return '';
  }
  const words = (part: unknown): string => {
    if (typeof part === 'string') return part;
    if (Array.isArray(part)) return words(part[0]);
    if (typeof part !== 'object' || part === null) return '';
    const fields = part as Record<string, unknown>;
    const place = Array.isArray(fields['loc']) ? `${fields['loc'].map(String).join('.')}: ` : '';
    for (const name of ['error', 'detail', 'message', 'msg', 'status', 'code', 'type']) {
      const found = words(fields[name]);
      if (found !== '') return place + found;
    }
    return '';
  };
  return words(value);
}
/** A server's reason, if it cannot contain what people said or a key. */
function quotable(body: string, said: string, secrets: readonly string[]): string {
  const reason = reasonIn(body)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
  const words = new Set(said.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []);
  const own = new Set(reason.toLowerCase().match(/[\p{L}\p{N}]{3,}/gu) ?? []);
  const told = [...own].some((word) => words.has(word)) || (said.trim() !== '' && reason.includes(said.trim()));
  return told || reason === '' ? '' : `: ${redacted(reason, secrets).slice(0, 160)}`;
}

/** One limit at a time on how long somebody waits. */
class Patience {
  readonly #clock: Clock;
  readonly #ring: (fault: Fault) => void;
  #running: AbortController | undefined;

  constructor(clock: Clock, ring: (fault: Fault) => void) {
    this.#clock = clock;
    this.#ring = ring;
  }
  /** Replaces the limit that runs. */
  limit(span: Span, fault: () => Fault): void {
    this.end();
    const running = (this.#running = new AbortController());
    this.#clock.until(later(this.#clock.now(), span), running.signal).then(
      () => {
        if (!running.signal.aborted) this.#ring(fault());
      },
      () => {},
    );
  }
  end(): void {
    this.#running?.abort();
    this.#running = undefined;
  }
}

/**
 * Speaks to one server for one engine: keys, time limits, attempts, the host's circuit breaker, what was spent.
 *
 * Every failure is a `Fault` that says what to do, names the host and never a key or what people said:
 *
 * | what happens                                             | fault       | tried again | breaker |
 * | -------------------------------------------------------- | ----------- | ----------- | ------- |
 * | refused, reset or cut connection, unknown host, 5xx      | unavailable | yes         | counts  |
 * | 429 and 529; `Retry-After` is kept to by everybody       | overloaded  | yes         | rests   |
 * | no connection, first byte, next byte or end in time; 408 | timeout     | yes         | counts  |
 * | 400, 404, 422 and other 4xx                              | rejected    | no          | well    |
 * | not HTTP, or not the media type that was asked for       | rejected    | no          | counts  |
 * | not JSON, or not what its schema asks for                | rejected    | no          | well    |
 * | 401, 402, 403, no key, a redirection                     | broken      | no          | well    |
 * | a certificate that is not accepted                       | broken      | no          | counts  |
 *
 * An answer that is garbage costs its item and no more, as a proxy may have one bad moment; failures that count open the
 * breaker after five in a row, and from then on the fault is `unavailable`. Attempts are made only until the first byte of an answer has
 * come, and while the deadline allows: an answer that is cut later has been passed on in part.
 *
 * @example
 * const config = z.strictObject({ ...serverSettings('https://api.openai.com/v1'), model: z.string() });
 * const OPENAI = { url: 'https://api.openai.com/v1', variable: 'OPENAI_API_KEY' };
 * // in load:
 * const client = new HttpClient({ stage: 'translator', engine: 'llm', settings: config, service: OPENAI });
 * // in run, where scope is { signal, clock }; an abort rejects with the signal's reason:
 * const reply = await client.json({ path: '/chat/completions', json: { … }, said: text, deadline }, Reply, scope);
 * client.spent({ tokensIn: reply.usage.prompt_tokens, tokensOut: reply.usage.completion_tokens });
 * for await (const { data } of client.events({ path: '/chat/completions', json: { …, stream: true } }, scope)) …
 */
export class HttpClient {
  readonly base: URL;
  readonly #options: HttpOptions;
  readonly #spending: Spending;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.base = new URL(options.settings.baseUrl);
    this.#spending = spendingOf(options.stage, options.engine);
  }

  get timeouts(): ServerSettings['timeouts'] {
    return this.#options.settings.timeouts;
  }

  /** Counts what the service charges for, beyond requests, which count themselves. */
  spent(used: { characters?: number; seconds?: number; tokensIn?: number; tokensOut?: number }): void {
    this.#spending.add(used, this.#options.settings.price);
  }

  /** A fault of this engine, for what only it can see. Its message names the engine and hides the key. */
  fault(kind: FaultKind, message: string, cause?: unknown): Fault {
    const { stage, engine } = this.#options;
    return new Fault(stage, kind, redacted(`${engine}: ${message}`, this.#secrets()), { cause });
  }

  /** The address of a request, with the key nowhere in it. */
  url(path: string, query: Ask['query'] = {}): URL {
    const url = new URL(this.base.href.replace(/\/$/, '') + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
    return url;
  }

  /** The headers every request has, the key's among them. Throws a `broken` fault when there should be a key and is none. */
  headers(): Record<string, string> {
    const { service, stage, headers, authorize = (key) => ({ authorization: `Bearer ${key}` }) } = this.#options;
    const variable = this.#variable();
    const key = variable === undefined ? undefined : keyFor(variable, this.base, stage, service);
    return { ...headers, ...(key !== undefined && authorize(key)) };
  }

  /**
   * Makes a request and waits for the first byte of its answer, attempts included.
   *
   * Throws a `Fault`, or the signal's reason when it aborts.
   */
  send(ask: Ask, scope: StageScope): Promise<Answer> {
    return this.attempts((deadline) => this.#attempt(ask, scope, deadline), ask, scope);
  }

  /** Does something until it works, gives up for good, or there is no time or attempt left. */
  async attempts<T>(
    attempt: (deadline: ClockTime) => Promise<T>,
    ask: Pick<Ask, 'deadline' | 'retries'>,
    { clock, signal }: StageScope,
  ): Promise<T> {
    const { settings } = this.#options;
    const end = later(clock.now(), seconds(settings.timeouts.total));
    const deadline = ask.deadline === undefined ? end : earliest(end, ask.deadline);
    for (let tried = 0; ; tried += 1) {
      signal.throwIfAborted();
      try {
        return await attempt(deadline);
      } catch (thrown) {
        signal.throwIfAborted();
        const fault = Fault.from(this.#options.stage, thrown);
        const pause = Math.max(PAUSE * 2 ** tried * (0.5 + Math.random() / 2), waitOf(fault) ?? 0) as Span;
        const again = later(clock.now(), pause);
        const hopeless = fault.response !== 'retry' || fault instanceof Untried;
        if (hopeless || tried >= (ask.retries ?? settings.retries) || again >= deadline) throw fault;
        this.#spending.retried();
        await clock.until(again, signal);
      }
    }
  }

  /** The whole answer, parsed. Refuses one that is too large, is not JSON or is not what `schema` says, by field. */
  async json<S extends z.ZodType>(ask: Ask, schema: S, scope: StageScope): Promise<z.output<S>> {
    await using answer = await this.send(ask, scope);
    const text = new TextDecoder().decode(await this.#all(answer.body, MOST));
    return this.parse(text, schema);
  }

  /** The whole answer as bytes. */
  async bytes(ask: Ask, scope: StageScope): Promise<Uint8Array> {
    await using answer = await this.send(ask, scope);
    return await this.#all(answer.body, MOST);
  }

  /** The answer's bytes as they come. */
  async *stream(ask: Ask, scope: StageScope): AsyncGenerator<Uint8Array, void, void> {
    await using answer = await this.send(ask, scope);
    yield* answer.body;
  }

  /** The answer's lines as they come, such as one JSON object each. */
  async *lines(ask: Ask, scope: StageScope): AsyncGenerator<string, void, void> {
    yield* linesOf(this.stream(ask, scope));
  }

  /** The answer's server-sent events as they come. */
  async *events(ask: Ask, scope: StageScope): AsyncGenerator<ServerEvent, void, void> {
    yield* eventsOf(this.stream(ask, scope));
  }

  /** JSON of the server's as what it should be, or a `rejected` fault that names the field. */
  parse<S extends z.ZodType>(text: string, schema: S): z.output<S> {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      // Without its cause, which would quote the answer.
      throw this.fault('rejected', `${this.base.host} did not answer with JSON`);
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const [issue] = parsed.error.issues;
    const field = issue?.path.map(String).join('.') || 'the whole';
    throw this.fault('rejected', `'${field}' of what ${this.base.host} answered is wrong: ${issue?.message}`);
  }

  /** Leave to ask the host once, and counts it; throws while its breaker is open. For what is not asked by `send`. */
  admit(clock: Clock): Pass {
    const leave = breakerOf(this.base.origin, clock).admit();
    if (!('why' in leave)) {
      this.#spending.add({ requests: 1 }, this.#options.settings.price);
      const failed = () => {
        this.#spending.failed();
        leave.failed();
      };
      return { ...leave, failed };
    }
    const { stage, engine } = this.#options;
    const host = this.base.host;
    if (leave.why === 'overloaded') {
      throw new ServerFault(stage, 'overloaded', `${engine}: ${host} asked to be left alone`, leave.wait);
    }
    const message = `${engine}: ${host} failed several times in a row and is not asked for another ${seen(leave.wait)}`;
    throw new Untried(stage, 'unavailable', message);
  }

  /** What a status that is not 2xx means. `body` is the beginning of the answer. */
  refusal(status: number, headers: Headers, body: string, said = ''): Fault {
    const { stage, engine, statuses } = this.#options;
    const kind = statuses?.[status] ?? kindOf(status);
    const host = this.base.host;
    const variable = this.#variable();
    const told = quotable(body, said, this.#secrets());
    const what =
      status === 401 || status === 403
        ? variable === undefined
          ? `${host} wants a key (${status}): name its environment variable in keyFrom`
          : `${host} refused the key in ${variable} (${status})`
        : status >= 300 && status < 400
          ? `${host} answered ${status}, a redirection: set baseUrl to where the server is`
          : `${host} answered ${status}`;
    return new ServerFault(stage, kind, `${engine}: ${what}${told}`, retryAfter(headers));
  }

  /** What a connection that failed means. */
  lost(thrown: unknown): Fault {
    if (thrown instanceof Fault) return thrown;
    const cause = thrown instanceof Error && thrown.cause instanceof Error ? thrown.cause : thrown;
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
    const host = this.base.host;
    if (code.startsWith('HPE_')) return this.fault('rejected', `${host} does not speak HTTP (${code})`, cause);
    if (/CERT|ALTNAME|SELF_SIGNED|VERIFY|ISSUER/.test(code)) {
      return this.fault('broken', `the certificate of ${host} was not accepted (${code})`, cause);
    }
    if (/TIMEOUT|ETIMEDOUT/.test(code)) return this.fault('timeout', `${host} could not be reached (${code})`, cause);
    const known = code === '' ? (cause instanceof Error ? cause.message : 'no reason given') : code;
    return this.fault('unavailable', `the connection to ${host} failed (${known})`, cause);
  }

  async #attempt(ask: Ask, { signal, clock }: StageScope, deadline: ClockTime): Promise<Answer> {
    const { stage, engine } = this.#options;
    const { base, timeouts } = this;
    const breaker = breakerOf(base.origin, clock);
    const own = this.headers();
    const json = ask.json === undefined ? undefined : JSON.stringify(ask.json);
    const body = json ?? ask.body;
    const late = (what: string) => () => new ServerFault(stage, 'timeout', `${engine}: ${base.host} ${what}`);

    const pass = this.admit(clock);
    const life = new AbortController();
    const abort = () => life.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const whole = new Patience(clock, (fault) => life.abort(fault));
    const step = new Patience(clock, (fault) => life.abort(fault));
    let over = false;
    /** Ends the request, however it went. */
    const end = (went: 'succeeded' | 'failed' | 'left') => {
      if (over) return;
      over = true;
      whole.end();
      step.end();
      signal.removeEventListener('abort', abort);
      pass[went]();
      if (went !== 'succeeded') life.abort(new DOMException('The request is over.', 'AbortError'));
    };
    /** What went wrong: our own time limit, or else the connection. Ends the request. */
    const failed = (thrown: unknown): unknown => {
      if (signal.aborted) {
        end('left');
        return signal.reason;
      }
      const reason: unknown = life.signal.reason;
      const fault = reason instanceof Fault ? reason : this.lost(thrown);
      end('failed');
      return fault;
    };

    try {
      whole.limit(Math.max(0, deadline - clock.now()) as Span, late('did not answer in time'));
      const begin = seconds(timeouts.firstByte);
      const slow = late(`did not begin to answer within ${seen(begin)}`);
      const reach = seconds(timeouts.connect);
      step.limit(begin, slow);
      const response = await connecting(
        {
          waiting: () => step.limit(reach, late(`could not be reached within ${seen(reach)}`)),
          connected: () => step.limit(begin, slow),
        },
        () =>
          fetch(this.url(ask.path, ask.query), {
            method: ask.method ?? (body === undefined ? 'GET' : 'POST'),
            headers: { ...(json !== undefined && { 'content-type': 'application/json' }), ...ask.headers, ...own },
            ...(body !== undefined && { body }),
            // A key in a header of its own would be sent on to wherever the server points.
            redirect: 'manual',
            signal: life.signal,
          }),
      );
      const reader = response.body?.getReader();
      const read = () => reader?.read() ?? Promise.resolve({ done: true as const, value: undefined });

      if (!response.ok && !(response.status === 404 && ask.missing === 'fine')) {
        const start = await beginning(read, MOST_REFUSAL).catch(() => '');
        signal.throwIfAborted();
        const fault = this.refusal(response.status, response.headers, start, ask.said);
        if (response.status === 429 || response.status === 503) breaker.rest(waitOf(fault) ?? ms(0));
        // Whoever refuses is well.
        if (fault.kind !== 'unavailable' && fault.kind !== 'timeout') pass.succeeded();
        life.abort(fault);
        throw fault;
      }
      const type = (response.headers.get('content-type') ?? '').split(';')[0]?.trim().toLowerCase() ?? '';
      if (ask.accept && !ask.accept.test(type)) {
        const fault = this.fault(
          'rejected',
          `${base.host} answered with ${type || 'no media type'}: not what was asked`,
        );
        life.abort(fault);
        throw fault;
      }
      const first = await read();
      step.end();
      if (first.done) end('succeeded');

      const idle = seconds(timeouts.idle);
      const silent = late(`was silent for ${seen(idle)} in the middle of its answer`);
      const rest = async function* (): AsyncGenerator<Uint8Array, void, void> {
        try {
          if (first.done) return;
          yield first.value;
          for (;;) {
            step.limit(idle, silent);
            const next = await read();
            step.end();
            if (next.done) return end('succeeded');
            yield next.value;
          }
        } catch (thrown) {
          throw failed(thrown);
        } finally {
          end('left');
        }
      };
      const close = async () => end('left');
      return { status: response.status, type, headers: response.headers, body: rest(), [Symbol.asyncDispose]: close };
    } catch (thrown) {
      throw failed(thrown);
    }
  }

  /** Where the key is: named in the settings, or that of the service this engine was made for. */
  #variable(): string | undefined {
    const { settings, service } = this.#options;
    if (settings.keyFrom !== undefined) return settings.keyFrom;
    return service && new URL(service.url).origin === this.base.origin ? service.variable : undefined;
  }

  #secrets(): string[] {
    const variable = this.#variable();
    return variable === undefined ? [] : [(process.env[variable] ?? '').trim()];
  }

  async #all(body: AsyncIterable<Uint8Array>, most: number): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of body) {
      pieces.push(piece);
      length += piece.length;
      if (length > most) throw this.fault('rejected', `${this.base.host} answered with more than ${most} bytes`);
    }
    return Buffer.concat(pieces);
  }
}

/** Nobody was asked, so asking again at once is no use. */
class Untried extends ServerFault {}

const waitOf = (fault: Fault) => (fault instanceof ServerFault ? fault.wait : undefined);

/** The beginning of a body as text. */
async function beginning(read: () => Promise<{ done: boolean; value?: Uint8Array | undefined }>, most: number) {
  const pieces: Uint8Array[] = [];
  for (let length = 0; length < most;) {
    const next = await read();
    if (next.done || !next.value) break;
    pieces.push(next.value);
    length += next.value.length;
  }
  return new TextDecoder().decode(Buffer.concat(pieces).subarray(0, most));
}
