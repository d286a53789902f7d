import { z } from 'zod';
import { bytesFrom } from '../../media/bytes.ts';
import { Resampler } from '../../media/resample.ts';
import { type Span, later, seconds } from '../../media/time.ts';
import { type Socket, SocketLost, SocketRefused, connect } from '../../media/websocket.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import type { HttpClient } from '../service/http.ts';

/** What is asked of the server for a segment. */
export interface RealtimeAsk {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  readonly transcription: Readonly<Record<string, string>>;
}

/** Events that matter here; there are others, which do not. */
const Event = z.discriminatedUnion('type', [
  z.object({ type: z.literal('conversation.item.input_audio_transcription.delta'), delta: z.string() }),
  z.object({ type: z.literal('conversation.item.input_audio_transcription.completed'), transcript: z.string() }),
  z.object({ type: z.literal('conversation.item.input_audio_transcription.failed') }),
  z.object({ type: z.literal('error'), error: z.object({ code: z.string().nullish(), type: z.string().nullish() }) }),
]);
const Named = z.object({ type: z.string() });
const KNOWN = new Set<string>(Event.options.map((option) => option.shape.type.value));

/**
 * One segment of speech told to a realtime transcription session while it is spoken, and what it makes of it: a socket of
 * its own, so that nothing of one segment is left in the next, and no session grows old.
 */
export class RealtimeTranscription implements AsyncDisposable {
  readonly #client: HttpClient;
  readonly #scope: StageScope;
  readonly #life = new AbortController();
  readonly #abort = () => this.#life.abort(this.#scope.signal.reason);
  readonly #pass: ReturnType<HttpClient['admit']>;
  readonly #resampler = new Resampler(16_000, 24_000);
  #socket: Socket | undefined;
  #over = false;

  private constructor(client: HttpClient, scope: StageScope) {
    this.#client = client;
    this.#scope = scope;
    this.#pass = client.admit(scope.clock);
    scope.signal.addEventListener('abort', this.#abort, { once: true });
  }

  /** Opens a session. Throws a `Fault`, or the signal's reason when it aborts. */
  static open(client: HttpClient, ask: RealtimeAsk, scope: StageScope): Promise<RealtimeTranscription> {
    const begin = async () => {
      const headers = client.headers();
      const url = client.url(ask.path, ask.query);
      url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
      const reach = client.timeouts.connect;
      const talk = new RealtimeTranscription(client, scope);
      await talk.#within(seconds(reach), `opened no socket within ${reach} s`, async () => {
        talk.#socket = await connect(url, { headers, timeout: seconds(2 * reach), signal: talk.#life.signal });
        const input = {
          format: { type: 'audio/pcm', rate: 24_000 },
          transcription: ask.transcription,
          // Where speech begins and ends is known here.
          turn_detection: null,
        };
        await talk.#send({ type: 'session.update', session: { type: 'transcription', audio: { input } } });
      });
      return talk;
    };
    return client.attempts(begin, {}, scope);
  }

  /** @param pcm 16 kHz, borrowed */
  async append(pcm: Float32Array): Promise<void> {
    await this.#audio(this.#resampler.push(pcm));
  }

  /** Ends the segment; what the server writes, as far as it has come each time, the whole at last. */
  async *commit(): AsyncGenerator<{ readonly text: string; readonly whole: boolean }, void, void> {
    const host = this.#client.base.host;
    const { firstByte, idle } = this.#client.timeouts;
    await this.#audio(this.#resampler.flush());
    await this.#within(seconds(idle), `took nothing for ${idle} s`, () =>
      this.#send({ type: 'input_audio_buffer.commit' }),
    );
    const messages = this.#socket!.messages[Symbol.asyncIterator]();
    let text = '';
    for (let patience = firstByte; ; patience = idle) {
      const next = await this.#within(seconds(patience), `was silent for ${patience} s`, () => messages.next());
      if (next.done) {
        throw this.#ended(
          this.#client.fault('unavailable', `${host} ended the session before the segment was written`),
        );
      }
      const event = this.#event(next.value);
      switch (event?.type) {
        case 'conversation.item.input_audio_transcription.delta':
          text += event.delta;
          yield { text, whole: false };
          break;
        case 'conversation.item.input_audio_transcription.completed':
          this.#end('succeeded');
          yield { text: event.transcript, whole: true };
          return;
        case 'conversation.item.input_audio_transcription.failed':
          throw this.#ended(this.#client.fault('rejected', `${host} could not write this segment down`));
        case 'error': {
          const { code, type } = event.error;
          const slow = /rate_limit|overload|quota/.test(`${code} ${type}`);
          // The server's words may be those of its user.
          const why = /^[a-z0-9_.-]{1,60}$/.test(code ?? type ?? '') ? ` (${code ?? type})` : '';
          throw this.#ended(this.#client.fault(slow ? 'overloaded' : 'rejected', `${host} refused the session${why}`));
        }
        case undefined:
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end('left');
  }

  #event(message: string | Uint8Array) {
    if (typeof message !== 'string') {
      throw this.#ended(this.#client.fault('rejected', `${this.#client.base.host} sent bytes where text was due`));
    }
    try {
      const { type } = this.#client.parse(message, Named);
      return KNOWN.has(type) ? this.#client.parse(message, Event) : undefined;
    } catch (thrown) {
      throw this.#ended(thrown);
    }
  }

  async #audio(pcm: Float32Array): Promise<void> {
    if (pcm.length === 0) return;
    const audio = Buffer.from(bytesFrom(pcm, 's16le')).toString('base64');
    const { idle } = this.#client.timeouts;
    await this.#within(seconds(idle), `took nothing for ${idle} s`, () =>
      this.#send({ type: 'input_audio_buffer.append', audio }),
    );
  }
  #send(event: object): Promise<void> {
    return this.#socket!.send(JSON.stringify(event));
  }

  /** Work that fails with a fault: its own, the connection's, or that it took too long. */
  async #within<T>(span: Span, what: string, work: () => Promise<T>): Promise<T> {
    const { clock, signal } = this.#scope;
    const off = new AbortController();
    clock.until(later(clock.now(), span), off.signal).then(
      () => {
        if (!off.signal.aborted) this.#life.abort(this.#client.fault('timeout', `${this.#client.base.host} ${what}`));
      },
      () => {},
    );
    try {
      return await work();
    } catch (thrown) {
      if (signal.aborted) {
        this.#end('left');
        throw signal.reason;
      }
      throw this.#ended(thrown);
    } finally {
      off.abort();
    }
  }

  /** What was thrown, as a fault, once everything is let go. */
  #ended(thrown: unknown): Fault {
    const client = this.#client;
    const reason: unknown = this.#life.signal.reason;
    const fault =
      reason instanceof Fault
        ? reason
        : thrown instanceof SocketRefused
          ? client.refusal(thrown.status, thrown.headers, thrown.body)
          : thrown instanceof SocketLost
            ? client.fault(
                thrown.code === 1008 || thrown.code === 1003 ? 'rejected' : 'unavailable',
                `${client.base.host} ended the session with code ${thrown.code}`,
              )
            : client.lost(thrown);
    this.#end(fault.kind === 'unavailable' || fault.kind === 'timeout' ? 'failed' : 'succeeded');
    return fault;
  }

  #end(went: 'succeeded' | 'failed' | 'left'): void {
    if (this.#over) return;
    this.#over = true;
    this.#scope.signal.removeEventListener('abort', this.#abort);
    this.#pass[went]();
    this.#life.abort(new DOMException('The session is over.', 'AbortError'));
  }
}
