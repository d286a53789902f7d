import { type Span, later, seconds } from '../../media/time.ts';
import { SocketLost, SocketRefused, connect } from '../../media/websocket.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import type { Ask, HttpClient } from './http.ts';

type Message = string | Uint8Array;

/**
 * A conversation with a client's server over a WebSocket, with the client's keys, time limits, attempts, breaker and faults.
 *
 * Sends `messages`, then passes on what comes until the server closes politely. A server that does not answer in time is a
 * `timeout`, one that cuts the connection or closes with another code than 1000 `unavailable`, with 1003 or 1008 (it does
 * not take what it was sent) `rejected`. Attempts are made until its first message has come.
 */
export async function* converse(
  client: HttpClient,
  ask: Pick<Ask, 'path' | 'query' | 'said' | 'deadline'>,
  messages: readonly string[],
  scope: StageScope,
): AsyncGenerator<Message, void, void> {
  const talk = await client.attempts(() => Conversation.begin(client, ask, messages, scope), ask, scope);
  try {
    for (let next = talk.first; !next.done; next = await talk.next()) yield next.value;
  } finally {
    talk.end('left');
  }
}

/** One socket, from its opening on. */
class Conversation {
  /** What came first. */
  first!: IteratorResult<Message, void>;
  readonly #client: HttpClient;
  readonly #scope: StageScope;
  readonly #said: string;
  readonly #life = new AbortController();
  readonly #timers = new AbortController();
  readonly #abort = () => this.#life.abort(this.#scope.signal.reason);
  readonly #pass: ReturnType<HttpClient['admit']>;
  #messages: AsyncIterator<Message, void> | undefined;

  private constructor(client: HttpClient, said: string, scope: StageScope) {
    this.#client = client;
    this.#said = said;
    this.#scope = scope;
    this.#pass = client.admit(scope.clock);
    scope.signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Opens a socket, says everything and waits for the first message. */
  static async begin(
    client: HttpClient,
    { path, query, said = '' }: Pick<Ask, 'path' | 'query' | 'said'>,
    messages: readonly string[],
    scope: StageScope,
  ): Promise<Conversation> {
    const headers = client.headers();
    const url = client.url(path, query);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const { connect: reach, firstByte, total } = client.timeouts;
    const talk = new Conversation(client, said, scope);
    try {
      talk.#limit(seconds(total), 'did not answer in time');
      const opened = talk.#limit(seconds(reach), `opened no socket within ${reach} s`);
      // Its own limit only has to be the longer one.
      const socket = await connect(url, { headers, timeout: seconds(2 * reach), signal: talk.#life.signal });
      opened();
      talk.#messages = socket.messages[Symbol.asyncIterator]();
      const heard = talk.#limit(seconds(firstByte), `did not begin to answer within ${firstByte} s`);
      for (const message of messages) await socket.send(message);
      talk.first = await talk.#messages.next();
      heard();
      return talk;
    } catch (thrown) {
      throw talk.#failed(thrown);
    }
  }

  async next(): Promise<IteratorResult<Message, void>> {
    const { idle } = this.#client.timeouts;
    const heard = this.#limit(seconds(idle), `was silent for ${idle} s in the middle of its answer`);
    try {
      const next = await this.#messages!.next();
      heard();
      if (next.done) this.end('succeeded');
      return next;
    } catch (thrown) {
      throw this.#failed(thrown);
    }
  }

  /** Cuts the socket, which has been closed already where the conversation came to its end. */
  end(went: 'succeeded' | 'failed' | 'left'): void {
    this.#timers.abort();
    this.#scope.signal.removeEventListener('abort', this.#abort);
    this.#pass[went]();
    this.#life.abort(new DOMException('The conversation is over.', 'AbortError'));
  }

  #failed(thrown: unknown): unknown {
    if (this.#scope.signal.aborted) {
      this.end('left');
      return this.#scope.signal.reason;
    }
    const fault = this.#faultOf(thrown);
    const counts = fault.kind === 'unavailable' || fault.kind === 'timeout';
    this.end(counts ? 'failed' : 'succeeded');
    return fault;
  }

  /** Without causes that quote the server, which may quote what was said. */
  #faultOf(thrown: unknown): Fault {
    const client = this.#client;
    const reason: unknown = this.#life.signal.reason;
    if (reason instanceof Fault) return reason;
    if (thrown instanceof SocketRefused) return client.refusal(thrown.status, thrown.headers, thrown.body, this.#said);
    if (thrown instanceof SocketLost) {
      const kind = thrown.code === 1008 || thrown.code === 1003 ? 'rejected' : 'unavailable';
      return client.fault(kind, `${client.base.host} ended the conversation with code ${thrown.code}`);
    }
    return client.lost(thrown);
  }

  /** Ends the conversation unless it is called off in time. */
  #limit(span: Span, what: string): () => void {
    const { clock } = this.#scope;
    const off = new AbortController();
    clock.until(later(clock.now(), span), AbortSignal.any([off.signal, this.#timers.signal])).then(
      () => {
        if (off.signal.aborted) return;
        this.#life.abort(this.#client.fault('timeout', `${this.#client.base.host} ${what}`));
      },
      () => {},
    );
    return () => off.abort();
  }
}
