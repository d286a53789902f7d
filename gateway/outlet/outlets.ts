import { type Server, createServer } from 'node:http';
import { once } from 'node:events';
import type { Clock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import type { MediaTime } from '../../media/time.ts';
import { MediaSocket } from '../session/socket.ts';
import type { Answer, Question } from './hls/counter.ts';
import { Guarded } from './guarded.ts';
import type { FromOutlets, ToOutlets } from './ipc.ts';
import type { Outlet, OutletContext } from './outlet.ts';
import { Tap } from './tap.ts';

type Start = Extract<ToOutlets, { type: 'start' }>;

/** An outlet that is asked for what it has. */
export interface Served extends Outlet {
  answer(question: Question): Promise<Answer>;
}

/** How outlets are opened. One that cannot be opened is complained about, and the others go on without it. */
export interface Openers {
  hls(start: Start, context: OutletContext, scope: Scope): Promise<Served>;
  record(start: Start, context: OutletContext, scope: Scope): Promise<Outlet>;
  push(start: Start, which: number, context: OutletContext, scope: Scope): Promise<Outlet>;
  stills(start: Start, context: OutletContext, scope: Scope): Promise<Served>;
}

const TICK_EVERY = 100;
const COUNTS_EVERY = 1_000;

/** One session's outlets, in their process: RTP comes in from the SFU, files, segments and streams go out. */
export class Outlets {
  readonly #start: Start;
  readonly #openers: Openers;
  readonly #tell: (message: FromOutlets) => void;
  readonly #scope: Scope;
  readonly #outlets = new Map<string, Guarded>();
  /** Those that work. */
  #working: readonly Guarded[] = [];
  readonly #tap: Tap;
  #hls: Promise<Served> | undefined;
  #stills: Served | undefined;
  #epoch: number | null;

  private constructor(start: Start, openers: Openers, clock: Clock, tell: (m: FromOutlets) => void, scope: Scope) {
    this.#start = start;
    this.#openers = openers;
    this.#tell = tell;
    this.#scope = scope;
    this.#epoch = start.epoch;
    this.#tap = new Tap(
      clock,
      () => this.#working,
      (media) => this.#begin(media),
    );
  }

  /** Opens ports and the outlets that the session asks for, and says `ready`. */
  static async open(
    start: Start,
    openers: Openers,
    clock: Clock,
    tell: (message: FromOutlets) => void,
    scope: Scope,
  ): Promise<Outlets> {
    const outlets = new Outlets(start, openers, clock, tell, scope);
    const socket = await MediaSocket.open(0, scope);
    const http = await outlets.#serve();
    const { record, push, hls } = start.outputs;
    outlets.#stills = await outlets.#open('stills', (context, own) => openers.stills(start, context, own));
    if (record) await outlets.#open('record', (context, own) => openers.record(start, context, own));
    for (const which of push.keys()) {
      await outlets.#open(`push ${which + 1}`, (context, own) => openers.push(start, which, context, own));
    }
    if (hls.enabled === 'on') await outlets.#openHls();
    socket.receive((data) => outlets.#tap.datagram(data));
    for (const [every, work] of [
      [TICK_EVERY, () => outlets.#tap.tick()],
      [COUNTS_EVERY, () => tell({ type: 'counts', counts: outlets.counts })],
    ] as const) {
      const timer = setInterval(work, every);
      scope.defer(() => clearInterval(timer));
    }
    tell({ type: 'ready', rtp: socket.port, http });
    return outlets;
  }

  get counts(): Readonly<Record<string, Readonly<Record<string, number>>>> {
    const each = [...this.#outlets].map(([name, outlet]) => [name, outlet.counts] as const);
    return { tap: this.#tap.counts, ...Object.fromEntries(each) };
  }

  /** What the gateway says while the session lasts. */
  hear(message: Exclude<ToOutlets, Start | { type: 'stop' }>): void {
    if (message.type === 'tracks') return this.#tap.tracks(message.tracks);
    for (const outlet of this.#working) outlet.cue(message.cue);
  }

  /** Finishes what can be finished, all at the same time. */
  async close(): Promise<void> {
    this.#tap.close();
    await Promise.all(
      [...this.#outlets].map(([name, outlet]) =>
        outlet.close().catch((failure: unknown) => this.#failed(name, failure)),
      ),
    );
  }

  #begin(media: MediaTime): void {
    if (this.#epoch !== null) return;
    this.#epoch = Date.now() - media / 1_000;
    this.#tell({ type: 'epoch', epoch: this.#epoch });
  }

  async #open<T extends Outlet>(
    name: string,
    open: (context: OutletContext, scope: Scope) => Promise<T>,
  ): Promise<T | undefined> {
    const { session, name: title, from } = this.#start;
    const context: OutletContext = {
      session,
      name: title,
      from,
      dateOf: (media) => (this.#epoch ?? Date.now()) + media / 1_000,
      complain: (message) => this.#tell({ type: 'complaint', outlet: name, message }),
    };
    try {
      const outlet = await open(context, this.#scope.child(name));
      const guarded = new Guarded(outlet, (failure) => this.#broke(name, guarded, failure));
      this.#outlets.set(name, guarded);
      this.#working = [...this.#outlets.values()].filter(({ broken }) => !broken);
      this.#tap.introduce(guarded);
      return outlet;
    } catch (failure) {
      this.#failed(name, failure);
      return undefined;
    }
  }

  #openHls(): Promise<Served> {
    const open = async () => {
      const hls = await this.#open('hls', (context, own) => this.#openers.hls(this.#start, context, own));
      if (hls) return hls;
      this.#hls = undefined;
      throw new Error('HLS could not be opened; the gateway’s log says why.');
    };
    return (this.#hls ??= open());
  }

  /** `stills/…` are pictures, everything else is HLS. */
  async #asked(question: Question): Promise<Answer> {
    const [, below] = /^stills\/(.*)$/u.exec(question.path) ?? [];
    if (below === undefined) return (await this.#openHls()).answer(question);
    if (!this.#stills) throw new Error('There are no pictures; the gateway’s log says why.');
    return this.#stills.answer({ ...question, path: below });
  }

  /** What it has is finished; the others go on without it. */
  #broke(name: string, outlet: Guarded, failure: unknown): void {
    this.#working = this.#working.filter((one) => one !== outlet);
    this.#failed(name, failure);
    outlet.close().catch((again: unknown) => this.#failed(name, again));
  }

  #failed(outlet: string, failure: unknown): void {
    const message = failure instanceof Error ? failure.message : String(failure);
    this.#tell({ type: 'complaint', outlet, message });
  }

  async #serve(): Promise<number> {
    const server: Server = createServer((request, response) => {
      const gone = new AbortController();
      response.on('close', () => gone.abort());
      const url = new URL(request.url ?? '/', 'http://localhost');
      const asked = { path: url.pathname.slice(1), query: Object.fromEntries(url.searchParams), signal: gone.signal };
      this.#asked(asked)
        .catch((failure: unknown): Answer => {
          const text = failure instanceof Error ? failure.message : String(failure);
          return { status: 503, headers: { 'content-type': 'text/plain', 'cache-control': 'no-store' }, body: text };
        })
        .then(({ status, headers, body }) => {
          if (response.destroyed) return;
          response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) });
          response.end(request.method === 'HEAD' ? undefined : body);
        })
        .catch(() => response.destroy());
    });
    server.keepAliveTimeout = 60_000;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#scope.defer(() => {
      server.closeAllConnections();
      return new Promise<void>((closed) => server.close(() => closed()));
    });
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }
}
