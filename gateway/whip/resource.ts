import { randomBytes } from 'node:crypto';
import type { Audience, HostedSession } from '../hosted-session.ts';
import { refuse } from '../refusal.ts';
import type { DtlsParameters, WebRtcTransport } from '../sfu.ts';

/** A client that has not connected by then, ms, never will. */
const CONNECT_WITHIN = 30_000;
const token = () => randomBytes(16).toString('hex');

/**
 * A WHIP or WHEP session: one transport and whatever is on it, until the client deletes it, its connection dies (consent,
 * RFC 7675: 30 s), the room is lost or the programme is over.
 */
export class Resource implements Audience {
  /** Not to be guessed: who knows it may end it. */
  readonly id = token();
  readonly session: HostedSession;
  /** Of the ICE session: another one after a restart. */
  etag = `"${token()}"`;
  /** Another track to play, where that can be had. */
  switchTo: ((language: string) => Promise<object>) | undefined;
  readonly #closers: (() => void)[] = [];
  #transport: WebRtcTransport | undefined;
  #closed = false;

  constructor(session: HostedSession, role: 'viewer' | 'publisher') {
    this.session = session;
    this.defer(session.attend(this, role));
  }

  get closed(): boolean {
    return this.#closed;
  }
  get transport(): WebRtcTransport {
    if (!this.#transport) throw new TypeError('Cannot use resource: it has no transport yet');
    return this.#transport;
  }

  /** Runs when the resource closes; now, if it has. */
  defer(close: () => void): void {
    if (this.#closed) close();
    else this.#closers.push(close);
  }

  /** Takes the transport over and lets the client connect. */
  async use(transport: WebRtcTransport, dtlsParameters: DtlsParameters): Promise<void> {
    this.#transport = transport;
    this.defer(() => transport.close());
    transport.observer.once('close', () => this.close());
    transport.on('icestatechange', (state) => {
      if (state === 'disconnected' || state === 'closed') this.close();
    });
    transport.on('dtlsstatechange', (state) => {
      if (state === 'failed' || state === 'closed') this.close();
    });
    const timer = setTimeout(() => {
      if (transport.dtlsState !== 'connected') this.close();
    }, CONNECT_WITHIN);
    this.defer(() => clearTimeout(timer));
    await transport.connect({ dtlsParameters });
  }

  async restartIce() {
    const iceParameters = await this.transport.restartIce();
    this.etag = `"${token()}"`;
    return { iceParameters, iceCandidates: this.transport.iceCandidates };
  }

  /** @throws Refusal when it was closed while it was being made */
  standing(): void {
    if (this.#closed) throw refuse('unavailable', 'The media server was restarted.', null, 'Try again in a moment.');
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const close of this.#closers.splice(0).reverse()) close();
  }
  event(): void {}
  lost(): void {
    this.close();
  }
  over(): void {
    this.close();
  }
}
