import { CLOSE, type Event, type Method, type Methods, type Response } from '../gateway/protocol.ts';
import { backoff } from './backoff.ts';
import { Failure } from './failure.ts';

/** As much of a WebSocket as is used here. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((message: { readonly data: unknown }) => void) | null;
  onclose: ((event: { readonly code: number; readonly reason: string }) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** How the link to the gateway stands. A `closed` one stays closed. */
export type Link =
  | { readonly state: 'connecting'; readonly attempt: number }
  | { readonly state: 'open' }
  | { readonly state: 'waiting'; readonly attempt: number; readonly reason: string }
  | { readonly state: 'closed'; readonly why: 'ended' | 'missing' | 'refused' | 'left'; readonly reason: string };

export interface SignallingOptions {
  /** Opens a socket to the session. */
  readonly open: () => Socket;
  /** The socket is open: time to `join`. Called again after every reconnection. */
  readonly onOpen: () => void;
  readonly onEvent: (event: Event) => void;
  readonly onLink: (link: Link) => void;
  /** Asked when a socket could not even be opened: whether the session exists at all. */
  readonly exists?: () => Promise<boolean>;
  /** ms; 10 s unless told. */
  readonly timeout?: number;
  /** Waits, ms, and returns a cancel. The page's timer unless told. */
  readonly after?: (ms: number, then: () => void) => () => void;
}

/** Unanswered requests at once. A page has a handful; more means that the gateway has stopped answering. */
const MOST_PENDING = 64;

const unavailable = (message: string) => new Failure({ code: 'unavailable', message, field: null, fix: null });

/**
 * The page's end of the signalling WebSocket. Requests are answered or refused, never lost; a lost socket is opened
 * again with back-off until the gateway says that there is nothing to come back for, or {@link close} is called.
 */
export class Signalling {
  readonly #options: SignallingOptions;
  readonly #pending = new Map<
    number,
    { resolve: (data: never) => void; reject: (failure: Failure) => void; cancel: () => void }
  >();
  #socket: Socket | undefined;
  #opened = false;
  #attempt = 0;
  #nextId = 1;
  #cancelWait: (() => void) | undefined;
  #link: Link = { state: 'connecting', attempt: 0 };

  constructor(options: SignallingOptions) {
    this.#options = options;
    this.#connect();
  }

  get link(): Link {
    return this.#link;
  }

  /** Rejects with a {@link Failure}: the gateway's refusal, or `unavailable` when the socket goes or no answer comes. */
  request<M extends Method>(method: M, data: Methods[M]['in']): Promise<Methods[M]['out']> {
    const socket = this.#socket;
    if (!socket || !this.#opened) return Promise.reject(unavailable('The connection to the gateway is lost.'));
    if (this.#pending.size >= MOST_PENDING) return Promise.reject(unavailable('The gateway has stopped answering.'));
    const id = this.#nextId++;
    return new Promise<Methods[M]['out']>((resolve, reject) => {
      const cancel = this.#after(this.#options.timeout ?? 10_000, () => {
        this.#pending.delete(id);
        reject(unavailable(`The gateway did not answer "${method}" in time.`));
      });
      this.#pending.set(id, { resolve: resolve, reject, cancel });
      socket.send(JSON.stringify({ id, method, data }));
    });
  }

  /** Drops the socket and opens another a second or two later: for when the socket lives but what came over it does not. */
  reopen(reason: string): void {
    if (this.#link.state === 'closed') return;
    this.#drop(reason);
    this.#attempt = Math.max(this.#attempt, 3);
    this.#wait(reason, false);
  }

  /** Leaves for good. */
  close(): void {
    this.#end('left', 'The page was left.');
  }

  #connect(): void {
    this.#set({ state: 'connecting', attempt: this.#attempt });
    const socket = this.#options.open();
    this.#socket = socket;
    socket.onopen = () => {
      this.#opened = true;
      this.#attempt = 0;
      this.#set({ state: 'open' });
      this.#options.onOpen();
    };
    socket.onmessage = ({ data }) => this.#receive(data);
    socket.onclose = ({ code, reason }) => this.#lost(code, reason);
  }

  #receive(data: unknown): void {
    const message = JSON.parse(String(data)) as Event | Response;
    if ('event' in message) return this.#options.onEvent(message);
    const waiting = this.#pending.get(message.id);
    if (!waiting) return; // answered after its time-out
    this.#pending.delete(message.id);
    waiting.cancel();
    if (message.ok) waiting.resolve(message.data as never);
    else waiting.reject(new Failure(message.error));
  }

  #lost(code: number, reason: string): void {
    if (this.#link.state === 'closed') return; // said by a socket that was already given up
    const neverOpened = !this.#opened;
    this.#drop(reason || 'The connection to the gateway was lost.');
    if (code === CLOSE.sessionEnded) return this.#end('ended', reason || 'The session has ended.');
    if (code === CLOSE.notFound) return this.#end('missing', reason || 'There is no such session.');
    if (code === CLOSE.policy) return this.#end('refused', reason || 'The gateway refused this page.');
    this.#wait(reason || 'The connection to the gateway was lost.', neverOpened);
  }

  #wait(reason: string, neverOpened: boolean): void {
    const attempt = this.#attempt++;
    this.#set({ state: 'waiting', attempt, reason });
    this.#cancelWait = this.#after(backoff(attempt), () => void this.#retry(neverOpened));
  }

  async #retry(neverOpened: boolean): Promise<void> {
    // A refused upgrade looks like a dead gateway to a page: ask over HTTP which of the two it is.
    if (neverOpened && this.#options.exists && !(await this.#options.exists().catch(() => true))) {
      return this.#end('missing', 'There is no such session.');
    }
    if (this.#link.state === 'waiting') this.#connect();
  }

  #drop(reason: string): void {
    this.#cancelWait?.();
    this.#cancelWait = undefined;
    const socket = this.#socket;
    this.#socket = undefined;
    this.#opened = false;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close(1000);
    }
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    for (const { reject, cancel } of waiting) {
      cancel();
      reject(unavailable(reason));
    }
  }

  #end(why: 'ended' | 'missing' | 'refused' | 'left', reason: string): void {
    if (this.#link.state === 'closed') return;
    this.#drop(reason);
    this.#set({ state: 'closed', why, reason });
  }

  #set(link: Link): void {
    this.#link = link;
    this.#options.onLink(link);
  }

  #after(ms: number, then: () => void): () => void {
    if (this.#options.after) return this.#options.after(ms, then);
    const timer = setTimeout(then, ms);
    return () => clearTimeout(timer);
  }
}
