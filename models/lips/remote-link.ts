import { later, seconds } from '../../media/time.ts';
import { type Socket, SocketLost, SocketRefused, connect } from '../../media/websocket.ts';
import type { Fault } from '../../pipeline/fault.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import type { HttpClient } from '../service/http.ts';
import {
  type Answered,
  type ClientWord,
  FromServer,
  PATH,
  type ServerHello,
  type ServerWord,
  VERSION,
  readAnswer,
} from './remote-protocol.ts';

/** Largest message of a server, bytes: a crop of 4096 × 4096 in RGB does not come. */
const LARGEST = 32 << 20;

/** A conversation with a driver server, from the hellos on. Every failure is a `Fault`; the first ends the conversation. */
export class DriverLink {
  readonly hello: ServerHello;
  readonly #client: HttpClient;
  readonly #socket: Socket;
  readonly #messages: AsyncIterator<string | Uint8Array>;
  readonly #leave: (went: 'succeeded' | 'failed' | 'left') => void;

  private constructor(
    client: HttpClient,
    socket: Socket,
    messages: AsyncIterator<string | Uint8Array>,
    hello: ServerHello,
    leave: (went: 'succeeded' | 'failed' | 'left') => void,
  ) {
    this.#client = client;
    this.#socket = socket;
    this.#messages = messages;
    this.#leave = leave;
    this.hello = hello;
  }

  /** Opens a socket and exchanges hellos, with the client's attempts, limits and breaker. */
  static open(client: HttpClient, engine: string, scope: StageScope): Promise<DriverLink> {
    return client.attempts(() => DriverLink.#once(client, engine, scope), {}, scope);
  }

  static async #once(client: HttpClient, engine: string, { clock, signal }: StageScope): Promise<DriverLink> {
    const headers = client.headers();
    const url = client.url(PATH);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const pass = client.admit(clock);
    const life = new AbortController();
    const abort = () => life.abort(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    const timers = new AbortController();
    let over = false;
    const leave = (went: 'succeeded' | 'failed' | 'left') => {
      if (over) return;
      over = true;
      timers.abort();
      signal.removeEventListener('abort', abort);
      pass[went]();
      life.abort(new DOMException('The conversation is over.', 'AbortError'));
    };
    const { connect: reach, firstByte } = client.timeouts;
    const host = client.base.host;
    const limit = (span: number, what: string) => {
      const off = new AbortController();
      clock.until(later(clock.now(), seconds(span)), AbortSignal.any([off.signal, timers.signal])).then(
        () => life.abort(client.fault('timeout', `${host} ${what} within ${span} s`)),
        () => {},
      );
      return () => off.abort();
    };
    try {
      const opened = limit(reach, 'opened no socket');
      const options = { headers, timeout: seconds(2 * reach), signal: life.signal, largest: LARGEST };
      const socket = await connect(url, options);
      opened();
      const heard = limit(firstByte, 'said no hello');
      await socket.send(JSON.stringify({ type: 'hello', version: VERSION, engine } satisfies ClientWord));
      const messages = socket.messages[Symbol.asyncIterator]();
      const first = await messages.next();
      heard();
      if (first.done) throw client.fault('unavailable', `${host} closed the socket before it said hello`);
      if (typeof first.value !== 'string') throw client.fault('rejected', `${host} began with bytes`);
      const word = client.parse(first.value, FromServer);
      if (word.type === 'error') throw errorOf(client, word);
      if (word.type !== 'hello') throw client.fault('rejected', `${host} began with '${word.type}' instead of a hello`);
      return new DriverLink(client, socket, messages, word, leave);
    } catch (thrown) {
      const fault = signal.aborted ? (signal.reason as Error) : faultOf(client, life.signal.reason, thrown);
      const counts = 'kind' in fault && (fault.kind === 'unavailable' || fault.kind === 'timeout');
      leave(signal.aborted ? 'left' : counts ? 'failed' : 'succeeded');
      throw fault;
    }
  }

  /** Resolves when the message is on its way. */
  async send(message: ClientWord | Uint8Array): Promise<void> {
    try {
      await this.#socket.send(message instanceof Uint8Array ? message : JSON.stringify(message));
    } catch (thrown) {
      throw this.#ended(thrown);
    }
  }

  /** What the server says next: a word, a driven crop, or nothing any more because it closed politely. */
  async next(): Promise<ServerWord | Answered | undefined> {
    try {
      const message = await this.#messages.next();
      if (message.done) return undefined;
      if (typeof message.value === 'string') {
        const word = this.#client.parse(message.value, FromServer);
        if (word.type === 'error') throw errorOf(this.#client, word);
        return word;
      }
      const answer = readAnswer(message.value);
      if (typeof answer === 'string') throw this.#client.fault('rejected', `${this.#client.base.host} sent ${answer}`);
      return answer;
    } catch (thrown) {
      throw this.#ended(thrown);
    }
  }

  /** Says goodbye when all went well, else cuts the socket. */
  async close(went: 'succeeded' | 'failed' | 'left'): Promise<void> {
    if (went === 'succeeded') await this.#socket.close();
    this.#leave(went);
  }

  #ended(thrown: unknown): Fault {
    const fault = faultOf(this.#client, undefined, thrown);
    this.#leave(fault.kind === 'unavailable' || fault.kind === 'timeout' ? 'failed' : 'succeeded');
    return fault;
  }
}

/** What a server's own error means. Its words are not repeated: they may be anything. */
function errorOf(client: HttpClient, { code }: Extract<ServerWord, { type: 'error' }>): Fault {
  const host = client.base.host;
  switch (code) {
    case 'busy':
      return client.fault('overloaded', `${host} drives as much as it can already`);
    case 'unsupported':
      return client.fault('broken', `${host} does not speak version ${VERSION} of the driver protocol`);
    case 'invalid':
      return client.fault('rejected', `${host} did not understand what it was sent`);
    case 'failed':
      return client.fault('unavailable', `${host} failed`);
  }
}

function faultOf(client: HttpClient, reason: unknown, thrown: unknown): Fault {
  const fault = [reason, thrown].find((each): each is Fault => each instanceof Error && each.name === 'Fault');
  if (fault) return fault;
  if (thrown instanceof SocketRefused) return client.refusal(thrown.status, thrown.headers, thrown.body);
  if (thrown instanceof SocketLost) {
    const kind =
      thrown.code === 1013
        ? 'overloaded'
        : [1002, 1003, 1007, 1008, 1009].includes(thrown.code)
          ? 'rejected'
          : 'unavailable';
    return client.fault(kind, `${client.base.host} ended the conversation with code ${thrown.code}`);
  }
  return client.lost(thrown);
}
