import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { decodeWav } from '../../media/wav.ts';
import { type WebSocket, WebSocketServer } from '../../media/websocket.ts';

/** Ways of a server to be of no use. */
export const MOODS = ['silent', '429', '503', '401', '422', 'cut', 'garbage', 'wrong json', 'wrong type'] as const;
export type Mood = (typeof MOODS)[number];

/** What `POST /audio/transcriptions` takes (CreateTranscriptionRequest), and nothing else. */
const Form = z.strictObject({
  file: z.instanceof(File),
  model: z.string().min(1),
  response_format: z.enum(['json', 'verbose_json']),
  temperature: z.literal('0'),
  'timestamp_granularities[]': z.literal('segment').optional(),
  language: z
    .string()
    .regex(/^[a-z]{2}$/)
    .optional(),
  prompt: z.string().optional(),
});
/** Client events of a transcription session (RealtimeTranscriptionSessionCreateRequest and the input buffer's). */
const Event = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('session.update'),
    session: z.strictObject({
      type: z.literal('transcription'),
      audio: z.strictObject({
        input: z.strictObject({
          format: z.strictObject({ type: z.literal('audio/pcm'), rate: z.literal(24_000) }),
          transcription: z.strictObject({
            model: z.string(),
            prompt: z.string().optional(),
            language: z.string().optional(),
          }),
          turn_detection: z.null(),
        }),
      }),
    }),
  }),
  z.strictObject({ type: z.literal('input_audio_buffer.append'), audio: z.base64() }),
  z.strictObject({ type: z.literal('input_audio_buffer.commit') }),
]);

/** A request, as far as tests ask about it. */
export interface Asked {
  readonly fields: Readonly<Record<string, string | undefined>>;
  /** Seconds of audio. */
  readonly length: number;
}

/**
 * A loopback server with OpenAI's two ways to transcribe, which refuses what they do not have.
 *
 * It hears `script` in whatever it is sent, a word every half second, as far as the audio goes.
 */
export class TranscriptionServer {
  static readonly KEY = 'sk-test-9876543210fedcba';
  readonly url: string;
  readonly asked: Asked[] = [];
  mood: Mood | 'well' = 'well';
  /** With signs, which the API's words do not have. */
  script = 'Hello, there. Nobody minds the marmalade, or so they say. Good night!';
  /** What it thinks of its own segment. */
  sure = { avg_logprob: -0.2, no_speech_prob: 0.01 };
  /** How whisper.cpp answers: words in segments, none beside them. */
  nested = false;

  private constructor(url: string) {
    this.url = url;
  }

  static async open(scope: Scope): Promise<TranscriptionServer> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const server = new TranscriptionServer(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const sockets = new WebSocketServer({ noServer: true });
    http.on('request', (request, response) => void server.#answer(request, response));
    http.on('upgrade', (request: IncomingMessage, stream, head) => {
      const status = server.#refusal(request);
      if (status !== undefined) {
        const body = server.#blame(request);
        stream.end(
          `HTTP/1.1 ${status} No\r\nRetry-After: 3\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
        return;
      }
      sockets.handleUpgrade(request, stream, head, (socket) => server.#converse(socket));
    });
    scope.defer(() => {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    });
    return server;
  }

  get last(): Asked {
    const last = this.asked.at(-1);
    if (!last) throw new Error('nobody asked for a transcript');
    return last;
  }

  #refusal(request: IncomingMessage): number | undefined {
    if (request.headers.authorization !== `Bearer ${TranscriptionServer.KEY}`) return 401;
    const statuses: Partial<Record<Mood | 'well', number>> = { '401': 401, '422': 422, '429': 429, '503': 503 };
    return statuses[this.mood];
  }
  /** Servers tell more than they should. */
  #blame(request: IncomingMessage, said = ''): string {
    return JSON.stringify({ error: { message: `No to ${request.headers.authorization}, who said ${said}` } });
  }

  #heard(length: number) {
    const written = this.script.split(' ').slice(0, Math.floor(length / 0.5));
    const words = written.map((text, n) => ({ word: text.replace(/[.,!]/g, ''), start: n * 0.5, end: n * 0.5 + 0.4 }));
    return { text: written.join(' '), words };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const bytes = Buffer.concat(pieces);
    const json = (status: number, text: string, type = 'application/json') =>
      response.writeHead(status, { 'content-type': type, 'retry-after': '3' }).end(text);
    try {
      const type = { 'content-type': request.headers['content-type'] ?? '' };
      const data = await new Response(bytes, { headers: type }).formData();
      const form = Form.parse(Object.fromEntries(data));
      const { file, ...fields } = form;
      const granularities = data.getAll('timestamp_granularities[]').filter((each) => typeof each === 'string');
      if (granularities.length > 0 && form.response_format === 'json') throw new Error('no times in json');
      const { pcm, rate } = decodeWav(Buffer.from(await file.arrayBuffer()));
      const length = pcm.length / rate;
      if (request.url !== '/v1/audio/transcriptions') throw new Error(`nothing at ${request.url}`);
      this.asked.push({ fields: { ...fields, name: file.name, granularities: granularities.join(' ') }, length });
      const status = this.#refusal(request);
      if (status !== undefined) return void json(status, this.#blame(request, fields.prompt));
      const { text, words } = this.#heard(length);
      const own = { id: 0, start: 0, end: length, text: ` ${text}`, ...this.sure, ...(this.nested && { words }) };
      const verbose = {
        task: 'transcribe',
        language: 'english',
        duration: length,
        text,
        ...(granularities.includes('word') && !this.nested && { words }),
        segments: text === '' ? [] : [own],
      };
      const answer = JSON.stringify(form.response_format === 'json' ? { text } : verbose);
      switch (this.mood) {
        case 'silent':
          return;
        case 'garbage':
          return void json(200, '{"text": "Hel');
        case 'wrong json':
          return void json(200, JSON.stringify({ ...verbose, text: 7 }));
        case 'wrong type':
          return void json(200, '<html>Sign in to the hotel network</html>', 'text/html');
        case 'cut':
          response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
          response.write(answer.slice(0, 9));
          await new Promise((resolve) => setTimeout(resolve, 20));
          return void response.destroy();
        default:
          return void json(200, answer);
      }
    } catch (failure) {
      json(
        422,
        JSON.stringify({ error: { message: failure instanceof z.ZodError ? failure.issues : String(failure) } }),
      );
    }
  }

  #converse(socket: WebSocket): void {
    const send = (event: object) => socket.send(JSON.stringify(event));
    let fields: Record<string, string> | undefined;
    let samples = 0;
    send({ type: 'session.created', event_id: 'e1', session: { type: 'transcription' } });
    socket.on('message', (data: Buffer) => {
      try {
        const event = Event.parse(JSON.parse(data.toString('utf8')));
        if (event.type === 'session.update') {
          fields = event.session.audio.input.transcription as Record<string, string>;
          send({ type: 'session.updated', event_id: 'e2', session: event.session });
        } else if (event.type === 'input_audio_buffer.append') {
          if (!fields) throw new Error('no session yet');
          samples += Buffer.from(event.audio, 'base64').length / 2;
        } else {
          this.asked.push({ fields: fields ?? {}, length: samples / 24_000 });
          this.#write(socket, send, samples / 24_000);
        }
      } catch (failure) {
        send({
          type: 'error',
          error: { type: 'invalid_request_error', code: 'invalid_value', message: String(failure) },
        });
      }
    });
  }

  #write(socket: WebSocket, send: (event: object) => void, length: number): void {
    const item = { item_id: 'item_1', content_index: 0 };
    const { text } = this.#heard(length);
    send({ type: 'input_audio_buffer.committed', event_id: 'e3', previous_item_id: null, item_id: 'item_1' });
    if (this.mood === 'silent') return;
    if (this.mood === 'garbage') return void socket.send('Hello?');
    if (this.mood === 'wrong type') return void socket.send(Buffer.from([1, 2, 3]));
    const name = 'conversation.item.input_audio_transcription';
    for (const [n, word] of text.split(' ').entries()) {
      send({ type: `${name}.delta`, event_id: `d${n}`, ...item, delta: n > 0 ? ` ${word}` : word });
      if (this.mood === 'cut') return void setTimeout(() => socket.terminate(), 20);
    }
    const transcript = this.mood === 'wrong json' ? 7 : text;
    send({
      type: `${name}.completed`,
      event_id: 'e9',
      ...item,
      transcript,
      usage: { type: 'duration', seconds: length },
    });
  }
}
