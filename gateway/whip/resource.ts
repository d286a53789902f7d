import { randomBytes } from 'node:crypto';
import type { Audience, HostedSession } from '../hosted-session.ts';
import { refuse } from '../refusal.ts';
import type { DtlsParameters, WebRtcTransport } from '../sfu.ts';
import type { FragmentSection } from './fragment.ts';

/** A client that has not connected by then, ms, never will. */
const CONNECT_WITHIN = 30_000;
/** A publisher has sent something by then, ms. */
const SETTLED_WITHIN = 5_000;
/** How often it is asked whether anything has come from a client, ms; after so many times without, it is gone. */
const LISTEN_EVERY = 5_000;
const MOST_UNHEARD = 6;
const token = () => randomBytes(16).toString('hex');

/**
 * A WHIP or WHEP session: one transport and whatever is on it, until the client deletes it, nothing has come from it for
 * half a minute, the room is lost or the programme is over.
 */
export class Resource implements Audience {
  /** Not to be guessed: who knows it may end it. */
  readonly id = token();
  readonly session: HostedSession;
  /** Of the ICE session: another one after a restart. */
  etag = `"${token()}"`;
  /** Another track to play, where that can be had. */
  switchTo: ((language: string) => Promise<object>) | undefined;
  /** What ICE is told on. */
  section: FragmentSection | undefined;
  #settled = false;
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
    const settling = setTimeout(() => (this.#settled = true), SETTLED_WITHIN);
    this.defer(() => clearTimeout(settling));
    this.#listen(transport);
    await transport.connect({ dtlsParameters });
  }

  /**
   * Closes when nothing comes any more. ICE's own consent (RFC 7675) would cut off clients of libnice, GStreamer's among
   * them, which keep a connection up by indications (RFC 8445 §11) and RTCP.
   */
  #listen(transport: WebRtcTransport): void {
    let [bytes, unheard] = [0, 0];
    const timer = setInterval(() => {
      void transport.getStats().then(
        ([stats]) => {
          unheard = stats && stats.bytesReceived > bytes ? 0 : unheard + 1;
          bytes = stats?.bytesReceived ?? bytes;
          if (unheard >= MOST_UNHEARD) this.close();
        },
        () => {},
      );
    }, LISTEN_EVERY);
    this.defer(() => clearInterval(timer));
  }

  /** Whether a publisher sends nothing any more: no RTP in the SFU's last 2.5 s, not even of a muted microphone. */
  async isSilent(): Promise<boolean> {
    if (!this.#settled || this.#closed) return this.#closed;
    const [stats] = await this.transport.getStats().catch(() => []);
    return this.#closed || stats?.rtpRecvBitrate === 0;
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
