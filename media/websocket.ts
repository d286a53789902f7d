import type { IncomingMessage } from 'node:http';
import { WebSocket, WebSocketServer } from 'ws';
import { type Span, toMs } from './time.ts';

/**
 * WebSockets, both ends: the one door to the package `ws`.
 *
 * @see https://github.com/websockets/ws/blob/master/doc/ws.md
 */
export { WebSocket, WebSocketServer };

/** The server answered, but not by opening a socket. */
export class SocketRefused extends Error {
  override readonly name = 'SocketRefused';
  readonly status: number;
  readonly headers: Headers;
  /** The beginning of what it said instead. */
  readonly body: string;

  constructor(status: number, headers: Headers, body: string) {
    super(`the server answered ${status} and opened no socket`);
    this.status = status;
    this.headers = headers;
    this.body = body;
  }
}

/** A socket that ended without both ends having agreed to it (RFC 6455 §7.4.1; 1006 is a cut connection). */
export class SocketLost extends Error {
  override readonly name = 'SocketLost';
  readonly code: number;
  /** What the other end said about it. */
  readonly reason: string;

  constructor(code: number, reason: string, options?: { cause?: unknown }) {
    super(`the socket was closed with code ${code}`, options);
    this.code = code;
    this.reason = reason;
  }
}

export interface SocketOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** How long opening may take. */
  readonly timeout: Span;
  /** Cuts the socket. */
  readonly signal: AbortSignal;
  /** The largest message that is taken, bytes. */
  readonly largest?: number;
}

/** An open socket to a server. */
export interface Socket extends AsyncDisposable {
  /** Resolves when the message is on its way; rejects with {@link SocketLost} when it cannot be. */
  send(message: string | Uint8Array): Promise<void>;
  /**
   * What comes in: strings and bytes, in order. Ends when the server closes with 1000 or without a code, throws
   * {@link SocketLost} at any other end and the signal's reason when it aborts. For one reader, who may stop and read on.
   */
  readonly messages: AsyncIterable<string | Uint8Array>;
  /** Closes politely; the connection is cut when the server does not answer within two seconds. */
  close(): Promise<void>;
}

/** What waits to be read before the server is made to wait, bytes. One message more may come. */
const HELD = 1 << 20;
const LARGEST = 16 << 20;
/** How much is read of an answer that opened no socket, bytes. */
const MOST_REFUSAL = 8 * 1024;
const LINGER = 2_000;

function headersOf(message: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(message.headers)) headers.set(name, [value ?? []].flat().join(', '));
  return headers;
}
async function refusal(message: IncomingMessage): Promise<SocketRefused> {
  let body = '';
  try {
    for await (const piece of message.setEncoding('utf8')) if ((body += piece).length > MOST_REFUSAL) break;
  } catch {
    // What came of it will do.
  }
  return new SocketRefused(message.statusCode ?? 0, headersOf(message), body.slice(0, MOST_REFUSAL));
}

/** Opens a socket. Rejects with {@link SocketRefused}, with the connection's error, or with the signal's reason. */
export async function connect(url: URL, options: SocketOptions): Promise<Socket> {
  const { headers = {}, timeout, signal, largest = LARGEST } = options;
  signal.throwIfAborted();
  const socket = new WebSocket(url, {
    headers,
    handshakeTimeout: toMs(timeout),
    maxPayload: largest,
    perMessageDeflate: false,
    followRedirects: false,
  });
  const queue: (string | Uint8Array)[] = [];
  let held = 0;
  let end: SocketLost | 'closed' | undefined;
  let trouble: Error | undefined;
  let wake = () => {};
  socket.on('message', (data: Buffer, binary: boolean) => {
    queue.push(binary ? data : data.toString('utf8'));
    held += data.length;
    if (held >= HELD) socket.pause();
    wake();
  });
  const closed = new Promise<void>((resolve) => {
    socket.once('close', (code: number, reason: Buffer) => {
      end =
        code === 1000 || code === 1005 ? 'closed' : new SocketLost(code, reason.toString('utf8'), { cause: trouble });
      signal.removeEventListener('abort', cut);
      resolve();
      wake();
    });
  });
  const cut = () => {
    socket.terminate();
    wake();
  };
  signal.addEventListener('abort', cut, { once: true });

  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('unexpected-response', (_request, response: IncomingMessage) => {
      void refusal(response).then((refused) => {
        reject(refused);
        socket.terminate();
      });
    });
    socket.on('error', (error) => {
      trouble = error;
      reject(signal.aborted ? (signal.reason as Error) : error);
    });
  });

  const close = async () => {
    if (!end) {
      socket.resume();
      socket.close(1000);
      const patience = setTimeout(() => socket.terminate(), LINGER);
      await closed;
      clearTimeout(patience);
    }
  };
  const messages = {
    async *[Symbol.asyncIterator](): AsyncGenerator<string | Uint8Array, void, void> {
      for (;;) {
        const next = queue.shift();
        if (signal.aborted) throw signal.reason;
        if (next !== undefined) {
          held -= typeof next === 'string' ? Buffer.byteLength(next) : next.length;
          if (held < HELD && socket.isPaused) socket.resume();
          yield next;
        } else if (end === 'closed') return;
        else if (end) throw end;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
  const send = (message: string | Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      socket.send(message, (error) => {
        if (error) reject(end instanceof SocketLost ? end : new SocketLost(1006, '', { cause: error }));
        else resolve();
      });
    });
  return { send, messages, close, [Symbol.asyncDispose]: close };
}
