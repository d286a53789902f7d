import { type IncomingMessage, request } from 'node:http';
import type { Clock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { toMs } from '../media/time.ts';
import type { VideoCodec } from '../media/video.ts';
import type { Config } from './config.ts';
import type { Audience, HostedSession } from './hosted-session.ts';
import type { Log } from './log.ts';
import type { FromOutlets, TapTrack, ToOutlets } from './outlet/ipc.ts';
import type { Event, TrackId } from './protocol.ts';
import { refuse } from './refusal.ts';
import { RestartPolicy } from './restart-policy.ts';
import { type Room, plain, streamOf } from './room.ts';
import { SessionProcess } from './session-process.ts';
import type { Consumer, PlainTransport } from './sfu.ts';

const LOOPBACK = '127.0.0.1';
/** How long outlets may take to finish recordings, ms. What is not finished then is finished at the next start. */
const FINISH_WITHIN = 60_000;

export interface OutletsOptions {
  readonly recordings: Config['recordings'];
  readonly clock: Clock;
  readonly log: Log;
  /** The built module that is run as outlet process. */
  readonly program: string;
  /** Told that a process has died, and what it wrote is nobody's. */
  readonly onDeath: () => void;
}

/** What the outlet process gets from one room. */
interface Attached {
  readonly room: Room;
  readonly transport: PlainTransport;
  readonly consumers: Map<TrackId, { readonly consumer: Consumer; readonly track: TapTrack }>;
}

/**
 * A session's outlets as the gateway keeps them: their process, and its place among the viewers.
 *
 * The process begins with the first outlet that is wanted, gets what every viewer gets, and is replaced when it dies; what it
 * does costs no viewer anything.
 */
export class HostedOutlets implements Audience {
  readonly #session: HostedSession;
  readonly #options: OutletsOptions;
  readonly #log: Log;
  readonly #scope: Scope;
  readonly #policy = new RestartPolicy();
  #process: SessionProcess<ToOutlets, FromOutlets> | undefined;
  #ports: { readonly rtp: number; readonly http: number } | undefined;
  #ready = pending<number>();
  #epoch: number | null = null;
  #counts: Extract<FromOutlets, { type: 'counts' }>['counts'] = {};
  #attached: Attached | undefined;
  #work: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #over = false;
  #asked = 0;
  #answering = 0;
  #restarts = 0;

  constructor(session: HostedSession, options: OutletsOptions, scope: Scope) {
    this.#session = session;
    this.#options = options;
    this.#log = options.log.child({ session: session.id, part: 'outlets' });
    this.#scope = scope;
    scope.defer(() => this.#close());
  }

  /** By outlet and name. */
  get counts(): Extract<FromOutlets, { type: 'counts' }>['counts'] {
    return this.#counts;
  }
  /** Requests that were asked, and of them those that are not answered. */
  get requests(): number {
    return this.#asked;
  }
  get answering(): number {
    return this.#answering;
  }
  /** Processes that died. */
  get restarts(): number {
    return this.#restarts;
  }
  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** Begins, where it has not begun. */
  start(): void {
    if (this.#process || this.#over) return;
    const leave = this.#session.attend(this, 'reader');
    this.#scope.defer(leave);
    this.#spawn();
  }

  /**
   * Asks for a playlist, a segment or a picture.
   *
   * @param path below `hls/`, with its query; pictures are below `stills/`
   * @throws Refusal `unavailable` while the process is being replaced, or the request was given up
   */
  async ask(path: string, signal: AbortSignal): Promise<IncomingMessage> {
    this.start();
    this.#asked += 1;
    this.#answering += 1;
    try {
      return await this.#answer(path, await this.#ready.promise, signal);
    } finally {
      this.#answering -= 1;
    }
  }

  #answer(path: string, port: number, signal: AbortSignal): Promise<IncomingMessage> {
    return new Promise((answered, failed) => {
      const asked = request({ host: LOOPBACK, port, path: `/${path}`, signal, agent: false }, answered);
      asked.on('error', (cause) =>
        failed(refuse('unavailable', 'The outlets are being restarted.', null, 'Ask again in a second.', cause)),
      );
      asked.end();
    });
  }

  // What the session tells everybody.

  event(event: Event): void {
    if (event.event === 'cue') void this.#process?.send({ type: 'cue', cue: event.data });
    if (event.event === 'tracks') this.#attach();
  }
  lost(): void {
    this.#attached = undefined;
    this.#attach();
  }
  over(): void {
    void this.#close();
  }

  #spawn(): void {
    if (this.#over) return;
    const process: SessionProcess<ToOutlets, FromOutlets> = new SessionProcess(this.#options.program, (message) => {
      if (this.#process === process) this.#hear(message);
    });
    this.#process = process;
    void process.exited.then((exit) => this.#exited(process, exit));
    const { id: session, spec } = this.#session;
    const { name, from, outputs } = spec;
    const { recordings } = this.#options;
    void process.send({ type: 'start', session, name, from, outputs, recordings, epoch: this.#epoch });
    this.#log.info({ process: process.pid }, 'outlet process started');
  }

  #hear(message: FromOutlets): void {
    switch (message.type) {
      case 'ready':
        this.#ports = message;
        this.#attached?.transport.close();
        this.#attached = undefined;
        this.#attach();
        return this.#ready.resolve(message.http);
      case 'epoch':
        this.#epoch = message.epoch;
        return;
      case 'counts':
        this.#counts = message.counts;
        return;
      case 'complaint':
        return this.#log.warn({ outlet: message.outlet, detail: message.message }, 'outlet complains');
    }
  }

  #exited(process: SessionProcess<ToOutlets, FromOutlets>, exit: object): void {
    if (this.#process !== process || this.#over) return;
    this.#ports = undefined;
    this.#ready = pending<number>();
    this.#options.onDeath();
    this.#restarts += 1;
    const wait = this.#policy.died(this.#options.clock.now());
    this.#log.warn({ ...exit, wait: wait === undefined ? null : toMs(wait) }, 'outlet process died');
    if (wait === undefined) {
      this.#over = true;
      this.#ready.reject(refuse('unavailable', 'The outlets of this session died again and again.', null));
      return;
    }
    this.#timer = setTimeout(() => this.#spawn(), toMs(wait));
  }

  /** Brings what the process gets in line with what the session offers. One after the other. */
  #attach(): void {
    this.#work = this.#work
      .then(() => this.#attachNow())
      .catch((error: unknown) => {
        if (!this.#scope.signal.aborted) this.#log.error({ err: error }, 'outlets not attached');
      });
  }

  async #attachNow(): Promise<void> {
    const ports = this.#ports;
    if (!ports || this.#over) return;
    const room = await this.#session.room;
    const attached: Attached =
      this.#attached?.room === room
        ? this.#attached
        : { room, transport: await room.receiver(ports.rtp), consumers: new Map() };
    this.#attached = attached;
    const wanted = this.#session.tracks.filter(({ id }) => !id.startsWith('voice:'));
    for (const [id, { consumer }] of attached.consumers) {
      // A consumer hears a moment later that its track has become another one.
      const current = room.offered(id)?.id === consumer.producerId;
      if (!consumer.closed && current && wanted.some((track) => track.id === id)) continue;
      consumer.close();
      attached.consumers.delete(id);
    }
    const fresh: Consumer[] = [];
    for (const view of wanted) {
      if (attached.consumers.has(view.id)) continue;
      const consumer = await room.consume(attached.transport, view.id, plain(room.capabilities));
      const { ssrc, mimeType } = streamOf(consumer);
      const codec = mimeType.split('/')[1] ?? '';
      const { id, kind, language, label, rtp } = view;
      const title = id === 'original' ? 'Original' : (label ?? id);
      const track = { id, kind, language, title, rtp, ssrc, codec: kind === 'audio' ? 'Opus' : (codec as VideoCodec) };
      attached.consumers.set(id, { consumer, track: track as TapTrack });
      fresh.push(consumer);
    }
    const tracks = wanted.flatMap(({ id }) => attached.consumers.get(id)?.track ?? []);
    await this.#process?.send({ type: 'tracks', tracks });
    for (const consumer of fresh) await consumer.resume();
  }

  async #close(): Promise<void> {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#ready.reject(refuse('conflict', 'The session has ended.'));
    await this.#process?.stop(FINISH_WITHIN);
  }
}

/** A promise that is settled later. That nobody waits for it is no reason to end the gateway. */
function pending<T>() {
  let resolve!: (value: T) => void;
  let reject!: (cause: Error) => void;
  const promise = new Promise<T>((yes, no) => ([resolve, reject] = [yes, no]));
  promise.catch(() => {});
  return { promise, resolve, reject };
}
