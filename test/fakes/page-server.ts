import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import { type WebSocket, WebSocketServer } from '../../media/websocket.ts';
import type { ApiError, Event, Method, Methods, RecordingView, Request, SessionView } from '../../gateway/protocol.ts';
import type { PageMedia } from './page-media.ts';

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.webm': 'video/webm',
};

/** A refusal a handler throws. */
export class Refusal extends Error {
  readonly status: number;
  readonly error: ApiError;

  constructor(status: number, error: Partial<ApiError> & Pick<ApiError, 'code' | 'message'>) {
    super(error.message);
    this.status = status;
    this.error = { field: null, fix: null, ...error };
  }
}

/** What a page is answered when there is no media: enough for its engine to load and to wait. */
const NO_MEDIA = {
  routerRtpCapabilities: { codecs: [], headerExtensions: [] },
  transport: {
    id: 'nowhere',
    iceParameters: { usernameFragment: 'none', password: 'none', iceLite: true },
    iceCandidates: [],
    dtlsParameters: { role: 'auto', fingerprints: [{ algorithm: 'sha-256', value: Array(32).fill('00').join(':') }] },
    iceServers: [],
  },
};

/**
 * A stand-in for the gateway, as a page sees it: serves the built pages and a directory of files, keeps canned sessions,
 * speaks `gateway/protocol.ts` over the socket, and refuses what it is told to refuse. With {@link PageMedia} it also
 * moves real media; without, a page gets everything but pictures and sound.
 */
export class PageServer {
  readonly sessions = new Map<string, SessionView>();
  readonly recordings = new Map<string, RecordingView>();
  /** Throws to refuse `POST /v1/sessions`. */
  onCreate: (body: Record<string, unknown>) => void = () => {};
  /** Every request that came over a socket, in order. */
  readonly asked: { readonly method: Method; readonly data: unknown }[] = [];
  media: PageMedia | undefined;
  /** What every .jpg is. */
  picture: Uint8Array = new Uint8Array();
  readonly #dist: string;
  readonly #files: string;
  readonly #sockets = new Map<WebSocket, string>();
  readonly #publishers = new Map<string, WebSocket>();
  readonly #http = createServer((request, response) => void this.#serve(request, response));
  readonly #ws = new WebSocketServer({ noServer: true });

  /** Delays what is asked until it resolves. */
  onAsked: (method: Method) => Promise<void> = () => Promise.resolve();

  /** `dist` is `dist/client`; `files` is served below `/files/`. */
  constructor(dist: string, files: string) {
    this.#dist = dist;
    this.#files = files;
    this.#http.on('upgrade', (request, socket, head) => {
      const id = /^\/v1\/sessions\/([^/]+)\/ws$/.exec(request.url ?? '')?.[1];
      this.#ws.handleUpgrade(request, socket, head, (ws) => this.#greet(ws, id ?? ''));
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  /** Tells everybody in the session. */
  tell(id: string, event: Event): void {
    for (const [ws, session] of this.#sockets) if (session === id) ws.send(JSON.stringify(event));
  }

  /** Cuts every socket of the session, as a gateway that closes does, or without a word (no code). */
  cut(id: string, code?: number, reason?: string): void {
    for (const [ws, session] of this.#sockets) {
      if (session !== id) continue;
      if (code === undefined) ws.terminate();
      else ws.close(code, reason);
    }
  }

  async close(): Promise<void> {
    for (const ws of this.#sockets.keys()) ws.terminate();
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
    await this.media?.close();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    try {
      if (pathname.endsWith('.jpg')) {
        response.writeHead(200, { 'content-type': 'image/jpeg' }).end(this.picture);
        return;
      }
      if (pathname.startsWith('/v1/')) {
        const answer = await this.#api(request, pathname);
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
        return;
      }
      const file = pathname.startsWith('/files/')
        ? join(this.#files, normalize(pathname.slice('/files'.length)))
        : join(this.#dist, extname(pathname) ? normalize(pathname) : 'index.html');
      const bytes = await readFile(file);
      response.writeHead(200, { 'content-type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(bytes);
    } catch (cause) {
      const refusal =
        cause instanceof Refusal ? cause : new Refusal(404, { code: 'not_found', message: `There is no ${pathname}.` });
      response.writeHead(refusal.status, { 'content-type': 'application/json' }).end(JSON.stringify(refusal.error));
    }
  }

  async #api(request: IncomingMessage, pathname: string): Promise<unknown> {
    const id = /^\/v1\/sessions\/([^/]+)$/.exec(pathname)?.[1];
    if (pathname === '/v1/languages') return { languages: [{ from: 'en', to: ['es', 'ca', 'gl', 'eo'] }] };
    if (pathname === '/v1/recordings') return { recordings: [...this.recordings.values()] };
    const recording = /^\/v1\/recordings\/([^/]+)$/.exec(pathname)?.[1];
    if (recording !== undefined && request.method === 'DELETE')
      return this.recordings.delete(decodeURIComponent(recording));
    if (pathname === '/v1/sessions' && request.method === 'GET') return { sessions: [...this.sessions.values()] };
    if (pathname === '/v1/sessions') {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Record<string, unknown>;
      this.onCreate(body);
      const session = {
        ...cannedSession(`new-${this.sessions.size}`),
        ...body,
        state: 'waiting',
        stats: null,
      } as SessionView;
      this.sessions.set(session.id, session);
      return session;
    }
    const session = id && this.sessions.get(id);
    if (!session) throw new Refusal(404, { code: 'not_found', message: `There is no session ${id}.` });
    if (request.method === 'DELETE') this.sessions.delete(session.id);
    return session;
  }

  #greet(ws: WebSocket, id: string): void {
    if (!this.sessions.has(id)) return ws.close(4004, 'There is no such session.');
    this.#sockets.set(ws, id);
    ws.on('message', (text: Buffer) => {
      const { id: number, method, data } = JSON.parse(text.toString()) as Request;
      this.asked.push({ method, data });
      this.#answer(ws, id, method, data).then(
        (answer) => ws.send(JSON.stringify({ id: number, ok: true, data: answer })),
        (cause: unknown) => {
          const error =
            cause instanceof Refusal
              ? cause.error
              : { code: 'internal', message: String(cause), field: null, fix: null };
          ws.send(JSON.stringify({ id: number, ok: false, error }));
        },
      );
    });
    ws.on('close', () => {
      this.#sockets.delete(ws);
      this.media?.leave(ws);
      if (this.#publishers.get(id) === ws) this.#publishers.delete(id);
    });
  }

  async #answer(ws: WebSocket, id: string, method: Method, data: unknown): Promise<unknown> {
    await this.onAsked(method);
    if (method !== 'join') {
      if (this.media) return this.media.answer(ws, method, data);
      return method === 'createTransport' ? NO_MEDIA.transport : {};
    }
    const { role } = data as Methods['join']['in'];
    if (role === 'publisher') {
      if (this.#publishers.has(id)) {
        throw new Refusal(409, {
          code: 'conflict',
          message: 'Somebody already publishes into this session.',
          fix: 'Ask them to stop first.',
        });
      }
      this.#publishers.set(id, ws);
    }
    const session = this.sessions.get(id) as SessionView;
    return {
      session: { ...session, tracks: this.media?.tracks ?? session.tracks },
      routerRtpCapabilities: this.media?.rtpCapabilities ?? NO_MEDIA.routerRtpCapabilities,
      cues: [],
    };
  }
}

/** A live session from English into Spanish and Catalan, with figures in the range of a real one. */
export function cannedSession(id: string, part: Partial<SessionView> = {}): SessionView {
  return {
    id,
    name: 'Morning lecture: how birds navigate',
    state: 'live',
    reason: null,
    source: { kind: 'webrtc' },
    ingest: null,
    from: 'en',
    to: ['es', 'ca'],
    createdAt: '2026-01-01T09:00:00.000Z',
    tracks: [
      { id: 'video', kind: 'video', language: null, label: null, rtp: { base: 0, rate: 90_000 } },
      { id: 'original', kind: 'audio', language: 'en', label: 'English', rtp: { base: 0, rate: 48_000 } },
      { id: 'dub:es', kind: 'audio', language: 'es', label: 'español', rtp: { base: 0, rate: 48_000 } },
      { id: 'dub:ca', kind: 'audio', language: 'ca', label: 'català', rtp: { base: 0, rate: 48_000 } },
    ],
    stats: {
      delay: { configured: 5, wanted: 5, measured: 5.02, lookahead: 3.4, least: 5, most: 10, drift: 12.4 },
      loudness: {
        original: { momentary: -24.1, shortTerm: -23.6, integrated: -22.8, truePeak: -2.1 },
        'dub:es': { momentary: -23.9, shortTerm: -23.2, integrated: -23.1, truePeak: -1.2 },
      },
      fit: { rungs: { es: { natural: 12, borrowed: 5, stretched: 4 } }, withinSpeed: 0.952 },
      lips: {
        takes: 9,
        pictures: 640,
        driven: 588,
        left: { profile: 1.6, late: 0.24 },
        seen: 2104,
        skipped: 3,
        shown: { es: 588 },
        process: { cpu: 0.21, rssMiB: 240, restarts: 0 },
      },
      mode: { audio: 'dubbed', video: 'original', text: 'translated', quality: 'full' },
      stages: [
        {
          kind: 'vad',
          engine: 'silero',
          standIn: null,
          state: 'up',
          latency: { p50: 2.1, p95: 4.8, count: 1800 },
          dropped: 0,
          faults: 0,
        },
        {
          kind: 'recognizer',
          engine: 'pocketsphinx',
          standIn: null,
          state: 'up',
          latency: { p50: 118, p95: 190, count: 22 },
          dropped: 0,
          faults: 0,
        },
        {
          kind: 'translator',
          engine: 'apertium',
          standIn: null,
          state: 'up',
          latency: { p50: 7, p95: 12, count: 22 },
          dropped: 0,
          faults: 0,
        },
        {
          kind: 'synthesizer',
          engine: 'espeak-ng',
          standIn: null,
          state: 'up',
          latency: { p50: 14, p95: 31, count: 21 },
          dropped: 1,
          faults: 0,
        },
      ],
      networks: [],
      spending: [],
      lines: { dubbed: 21, captionOnly: 2, late: 1, trimmed: 1 },
      drops: { 'vad.input': 0, 'synthesizer.expired': 1 },
      outputs: {},
      viewers: 12,
      process: { cpu: 0.42, rssMiB: 312, restarts: 0, uptime: 93 },
    },
    ...part,
  };
}
