import type { IncomingMessage, Server } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { WebSocket, WebSocketServer } from '../media/websocket.ts';
import type { HostedSession } from './hosted-session.ts';
import type { Log } from './log.ts';
import { type Asked, read } from './messages.ts';
import type { Metrics } from './metrics.ts';
import { Peer } from './peer.ts';
import { CLOSE, type ApiError, type Event, type Response } from './protocol.ts';
import { Refusal } from './refusal.ts';
import type { Sessions } from './sessions.ts';
import { TokenBucket } from './token-bucket.ts';

export interface SignallingOptions {
  readonly server: Server;
  readonly sessions: Sessions;
  readonly permitted: (token: string | undefined) => boolean;
  readonly mostViewers: number;
  readonly iceServers: readonly object[];
  readonly metrics: Metrics['signalling'];
  readonly clock: Clock;
  readonly log: Log;
}

const PATH = /^\/v1\/sessions\/([^/?]+)\/ws(?:\?.*)?$/;
/** A page's largest message is its RTP capabilities, some 10 kB. */
const MOST_BYTES = 64 * 1024;
/** Requests a second over time, and at once: joining with eleven tracks takes some thirty. */
const RATE = { perSecond: 50, burst: 200 };
/** Requests of one socket that wait for their turn. */
const MOST_WAITING = 64;
/** A socket with this much unsent misses statistics and drafts; with this much more it is closed. Bytes. */
const BEHIND = 256 * 1024;
const TOO_SLOW = 1024 * 1024;
/** A socket is asked for a sign of life this often, ms, and is dead without one until the next time. */
const PING_EVERY = 5_000;
/** A socket that has not joined by then is closed, ms. */
const JOIN_WITHIN = 30_000;
/** A page that does not answer a close frame is cut off, ms. */
const LINGER = 2_000;

/** Answers `GET /v1/sessions/{id}/ws` on the server until `scope` closes. */
export function openSignalling(options: SignallingOptions, scope: Scope): void {
  const { server, sessions } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MOST_BYTES,
    perMessageDeflate: false,
    clientTracking: true,
  });
  const upgrade = (request: IncomingMessage, stream: Duplex, head: Buffer) => {
    stream.on('error', () => stream.destroy());
    const [, id] = PATH.exec(request.url ?? '') ?? [];
    if (id === undefined) {
      stream.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      // A page cannot see why an upgrade failed, only why a socket was closed.
      const session = sessions.find(id);
      if (!session) return socket.close(CLOSE.notFound, 'There is no such session.');
      if (session.over) return socket.close(CLOSE.sessionEnded, fits(session.view.reason ?? 'The session is over.'));
      converse(socket, session, options);
    });
  };
  server.on('upgrade', upgrade);
  scope.defer(() => {
    server.off('upgrade', upgrade);
    for (const socket of sockets.clients) {
      socket.close(1001, 'The gateway is going down.');
      socket.terminate();
    }
    sockets.close();
  });
}

/** What was made for one event is sent to everybody. */
const texts = new WeakMap<Event, string>();
function textOf(event: Event): string {
  const known = texts.get(event);
  if (known !== undefined) return known;
  const text = JSON.stringify(event);
  texts.set(event, text);
  return text;
}
/** What a socket that is behind can do without: the next one says it again. */
const dispensable = (event: Event) => event.event === 'stats' || (event.event === 'cue' && event.data.draft);

/** One socket from its first message to its last. */
function converse(socket: WebSocket, session: HostedSession, options: SignallingOptions): void {
  const { metrics, clock } = options;
  const log = options.log.child({ session: session.id });
  const bucket = new TokenBucket(RATE, clock.now());
  let alive = true;
  let waiting = 0;
  let turn = Promise.resolve();
  /** Our own reason to close: a page that hangs never confirms it. */
  let ours: number | undefined;

  const close = (code: number, reason: string) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    ours = code;
    socket.close(code, fits(reason));
    setTimeout(() => socket.terminate(), LINGER).unref();
  };
  const send = (text: string) => {
    if (socket.readyState !== WebSocket.OPEN) return;
    if (socket.bufferedAmount > TOO_SLOW) {
      log.warn({ unsent: socket.bufferedAmount }, 'socket too slow');
      return close(CLOSE.tooSlow, 'The connection is too slow.');
    }
    socket.send(text);
  };
  const peer = new Peer({
    session,
    permitted: options.permitted,
    mostViewers: options.mostViewers,
    iceServers: options.iceServers,
    tell: (event) => {
      if (socket.bufferedAmount > BEHIND && dispensable(event)) metrics.skipped();
      else send(textOf(event));
    },
    over: (reason) => close(CLOSE.sessionEnded, reason),
  });
  const answer = async (asked: Asked) => {
    const response = await peer.answer(asked).then(
      (data): Response => ({ id: asked.id, ok: true, data }),
      (thrown: unknown): Response => ({ id: asked.id, ok: false, error: errorOf(thrown, log) }),
    );
    metrics.answered(asked.method, response.ok ? 'ok' : 'refused');
    send(JSON.stringify(response));
  };

  socket.on('message', (data: Buffer, binary) => {
    alive = true;
    if (binary) return close(CLOSE.badMessage, 'message is not text');
    if (!bucket.take(clock.now())) return close(CLOSE.policy, 'too many messages');
    const heard = read(data.toString('utf8'));
    if ('unreadable' in heard) return close(CLOSE.badMessage, heard.unreadable);
    if ('refused' in heard)
      return send(JSON.stringify({ id: heard.id, ok: false, error: heard.refused.error } satisfies Response));
    if (waiting >= MOST_WAITING) return close(CLOSE.policy, 'too many requests at once');
    waiting += 1;
    // One after the other: what a page asks for next may build on what it asked for before.
    turn = turn.then(() => answer(heard.asked)).finally(() => (waiting -= 1));
  });
  socket.on('pong', () => (alive = true));
  socket.on('error', (error) => log.debug({ err: error }, 'socket failed'));
  const ping = setInterval(() => {
    if (!alive) return socket.terminate();
    alive = false;
    socket.ping();
  }, PING_EVERY);
  const join = setTimeout(() => {
    if (!peer.joined) close(CLOSE.policy, 'nothing was joined');
  }, JOIN_WITHIN);
  socket.once('close', (code) => {
    clearInterval(ping);
    clearTimeout(join);
    peer.close();
    metrics.closed(ours ?? code);
  });
  metrics.opened();
}

function errorOf(thrown: unknown, log: Log): ApiError {
  if (thrown instanceof Refusal) return thrown.error;
  log.error({ err: thrown }, 'request failed');
  return {
    code: 'internal',
    message: 'The gateway failed at this.',
    field: null,
    fix: 'Try again; its log says more.',
  };
}

/** A close reason has at most 123 bytes (RFC 6455 §5.5). */
function fits(reason: string): string {
  let text = reason.slice(0, 123);
  while (Buffer.byteLength(text) > 123) text = text.slice(0, -1);
  return text;
}
