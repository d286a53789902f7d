import { once } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { decodeWav } from '../../media/wav.ts';
import { type WebSocket, WebSocketServer } from '../../media/websocket.ts';

/** Ways of a server to be of no use. */
export const MISBEHAVIOURS = [
  'slow',
  'hang',
  '429',
  '503',
  'cut',
  'garbage',
  'wrong type',
  'empty',
  '401',
  '422',
  'endless',
  'redirect',
] as const;
export type Misbehaviour = (typeof MISBEHAVIOURS)[number];

/** A request as the published API has it, with what was uploaded in place of recordings. */
export interface Asked {
  readonly api: string;
  readonly method: string;
  readonly path: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

/** What an API sends before and as its samples. */
interface Reply {
  readonly type: string | undefined;
  readonly headers?: Record<string, string>;
  readonly text: string;
  /** Frames of bytes for blocks of samples. */
  readonly frames: (blocks: Iterable<Int16Array>) => Iterable<Uint8Array>;
}

interface Heard {
  readonly path: string;
  readonly query: Record<string, string>;
  readonly headers: IncomingMessage['headers'];
  readonly json: () => unknown;
  readonly form: () => Promise<Record<string, unknown>>;
  readonly bytes: Uint8Array;
}
type Answered = Reply | { readonly status?: number; readonly json: unknown };

const bytesOf = (samples: Int16Array) => new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength);
const raw = function* (blocks: Iterable<Int16Array>) {
  for (const block of blocks) yield bytesOf(block);
};
/** A WAV header whose lengths tell nothing, as programs write that cannot go back. */
function header(rate: number): Uint8Array {
  const bytes = Buffer.alloc(44);
  bytes.write('RIFF\0\0\0\0WAVEfmt ', 'latin1');
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * 2, 28);
  bytes.writeUInt16LE(2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36, 'latin1');
  return bytes;
}
const wav = (rate: number) =>
  function* (blocks: Iterable<Int16Array>) {
    yield header(rate);
    yield* raw(blocks);
  };

/** Text with times of its characters, a tenth of a second each. */
const timesOf = (text: string) => [...text].map((_, n) => n * 0.01);

const Base64Wav = z.base64().refine((text) => decodeWav(Buffer.from(text, 'base64')).pcm.length > 0, 'is no WAV file');

const OpenaiRequest = z.strictObject({
  model: z.string(),
  input: z.string().max(4_096),
  voice: z.string(),
  response_format: z.literal('pcm'),
  instructions: z.string().optional(),
  speed: z.number().min(0.25).max(4).optional(),
});
const OmniRequest = z.strictObject({
  model: z.string(),
  input: z.string().min(1),
  voice: z.string().optional(),
  ref_audio: z
    .templateLiteral(['data:audio/wav;base64,', z.string()])
    .refine((url) => decodeWav(Buffer.from(url.slice(url.indexOf(',') + 1), 'base64')).pcm.length > 0)
    .optional(),
  response_format: z.literal('wav'),
  extra_params: z.strictObject({ lang: z.enum(['zh', 'en', 'zhen', 'ja', 'es', 'ar']) }).optional(),
});
const FishRequest = z.strictObject({
  text: z.string().min(1),
  references: z.array(z.strictObject({ audio: Base64Wav, text: z.string() })).optional(),
  reference_id: z.string().optional(),
  format: z.literal('wav'),
  streaming: z.literal(true),
  chunk_length: z.number().int().min(100).max(1_000),
  normalize: z.boolean(),
  seed: z.number().int(),
  use_memory_cache: z.enum(['on', 'off']),
});
const VoiceSettings = z.strictObject({
  stability: z.number().min(0).max(1).optional(),
  similarity_boost: z.number().optional(),
  style: z.number().min(0).max(1).optional(),
  speed: z.number().min(0.7).max(1.2).optional(),
});
const ElevenRequest = z.strictObject({
  text: z.string().min(1),
  model_id: z.string(),
  language_code: z.string().length(2).optional(),
  voice_settings: VoiceSettings.optional(),
});
const ElevenFormat = z.enum(['pcm_8000', 'pcm_16000', 'pcm_22050', 'pcm_24000', 'pcm_44100']);
const ElevenMessages = z.tuple([
  z.strictObject({
    text: z.literal(' '),
    generation_config: z.strictObject({ chunk_length_schedule: z.array(z.number().min(50).max(500)) }),
    voice_settings: VoiceSettings.optional(),
  }),
  z.strictObject({ text: z.string().endsWith(' ') }),
  z.strictObject({ text: z.literal('') }),
]);
const TritonRequest = z.strictObject({
  inputs: z.tuple([
    z.strictObject({
      name: z.literal('reference_wav'),
      shape: z.tuple([z.literal(1), z.number().int().min(1)]),
      datatype: z.literal('FP32'),
      parameters: z.strictObject({ binary_data_size: z.number().int() }),
    }),
    z.strictObject({
      name: z.literal('reference_wav_len'),
      shape: z.tuple([z.literal(1), z.literal(1)]),
      datatype: z.literal('INT32'),
      data: z.tuple([z.number().int()]),
    }),
    z.strictObject({
      name: z.literal('reference_text'),
      shape: z.tuple([z.literal(1), z.literal(1)]),
      datatype: z.literal('BYTES'),
      data: z.tuple([z.string().min(1)]),
    }),
    z.strictObject({
      name: z.literal('target_text'),
      shape: z.tuple([z.literal(1), z.literal(1)]),
      datatype: z.literal('BYTES'),
      data: z.tuple([z.string().min(1)]),
    }),
  ]),
  outputs: z.tuple([
    z.strictObject({ name: z.literal('waveform'), parameters: z.strictObject({ binary_data: z.literal(true) }) }),
  ]),
});
const strict = (fields: Record<string, z.ZodType>) => z.strictObject(fields);
const Upload = z.custom<{ length: number }>((value) => typeof value === 'object' && value !== null && 'pcm' in value);
const CosyForms = {
  '/inference_zero_shot': strict({ tts_text: z.string(), prompt_text: z.string().min(1), prompt_wav: Upload }),
  '/inference_cross_lingual': strict({ tts_text: z.string(), prompt_wav: Upload }),
  '/inference_instruct2': strict({ tts_text: z.string(), instruct_text: z.string(), prompt_wav: Upload }),
};

/**
 * A loopback server with the published APIs of every synthesizer that is somewhere else, each below a path of its own
 * (`/cosyvoice`, `/f5`, `/index`, `/fish`, `/eleven`, `/openai/v1`), which refuses what they do not have.
 *
 * It says a ramp: sample n of a line is n mod 8000 + 1, ten milliseconds for each character at 24 kHz. Bytes come in pieces
 * of an odd length.
 */
export class SpeechServer {
  readonly url: string;
  readonly asked: Asked[] = [];
  /** Voices that were uploaded and not deleted. */
  readonly voices = new Map<string, { readonly length: number; readonly text: string }>();
  /** How requests for speech are answered from now on. */
  mood: Misbehaviour | 'well' = 'well';
  /** `Retry-After` of 429, seconds. */
  retryAfter = '3';
  /** While it is set, the second half of a line waits for it. */
  half: Promise<void> | undefined;
  /** Whether Fish-Speech and Triton do without their headers, as some versions of them. */
  plain = false;
  /** Keys that are good: by header. */
  static readonly KEY = 'sk-test-0123456789abcdef';
  #voiceCount = 0;

  constructor(url: string) {
    this.url = url;
  }

  static async open(scope: Scope): Promise<SpeechServer> {
    const http = createServer();
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    const server = new SpeechServer(`http://127.0.0.1:${(http.address() as AddressInfo).port}`);
    const sockets = new WebSocketServer({ noServer: true });
    http.on('request', (request, response) => {
      server.#answer(request, response).catch((failure: unknown) => {
        if (!response.headersSent) response.writeHead(422, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ detail: failure instanceof z.ZodError ? failure.issues : String(failure) }));
      });
    });
    http.on('upgrade', (request: IncomingMessage, stream, head) => {
      const status = server.#refusal(request);
      if (status) {
        stream.end(`HTTP/1.1 ${status} No\r\nRetry-After: ${server.retryAfter}\r\nContent-Length: 0\r\n\r\n`);
        return;
      }
      sockets.handleUpgrade(request, stream, head, (socket) => server.#converse(request, socket));
    });
    scope.defer(() => {
      for (const socket of sockets.clients) socket.terminate();
      http.closeAllConnections();
      http.close();
    });
    return server;
  }

  /** The last request for speech. */
  get last(): Asked {
    const last = this.asked.findLast(({ path }) => !/voices|references/.test(path));
    if (!last) throw new Error('nobody asked for speech');
    return last;
  }

  /** The samples of a line. */
  static samplesOf(text: string): Int16Array {
    return Int16Array.from({ length: [...text].length * 240 }, (_, n) => (n % 8_000) + 1);
  }

  #refusal(request: IncomingMessage): number | undefined {
    const statuses: Partial<Record<Misbehaviour | 'well', number>> = {
      '401': 401,
      '429': 429,
      '503': 503,
      redirect: 307,
    };
    const { pathname } = new URL(request.url ?? '/', this.url);
    const wants = pathname.startsWith('/eleven')
      ? request.headers['xi-api-key'] === SpeechServer.KEY
      : !pathname.startsWith('/openai') || request.headers.authorization === `Bearer ${SpeechServer.KEY}`;
    return wants ? statuses[this.mood] : 401;
  }

  /** The blocks of a line, as they are spoken. */
  *#blocks(text: string): Generator<Int16Array> {
    if (this.mood === 'endless') for (;;) yield new Int16Array(12_000);
    if (this.mood === 'empty') return;
    const samples = SpeechServer.samplesOf(text);
    for (let at = 0; at < samples.length; at += 2_400) yield samples.slice(at, at + 2_400);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const piece of request) pieces.push(piece as Buffer);
    const bytes = Buffer.concat(pieces);
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const [, api = '', ...rest] = pathname.split('/');
    const heard: Heard = {
      path: `/${rest.join('/')}`,
      query: Object.fromEntries(searchParams),
      headers: request.headers,
      bytes,
      json: () => JSON.parse(bytes.toString('utf8')) as unknown,
      form: () => formOf(bytes, request.headers['content-type'] ?? ''),
    };
    const method = request.method ?? '';
    const speech = !/voices|references/.test(heard.path);
    const refused = this.#refusal(request);
    const json = (status: number, value: unknown, headers: Record<string, string> = {}) =>
      response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
    if (refused && (speech || refused === 401)) {
      return void json(
        refused,
        { detail: { status: 'no', message: `No to ${bytes.toString('utf8').slice(0, 2_000)}` } },
        { 'retry-after': this.retryAfter, location: 'http://elsewhere.example/' },
      );
    }
    if (speech && this.mood === 'slow') return;
    const answer = await this.#routes(api, method, heard);
    if ('json' in answer) return void json(answer.status ?? 200, answer.json);
    if (this.mood === '422') {
      const input = answer.text;
      return void json(422, { detail: [{ loc: ['body', 'text'], msg: `cannot say ${input}`, input }] });
    }
    const html = '<html><body>Sign in to the hotel network</body></html>'.repeat(40);
    const type = this.mood === 'wrong type' ? 'text/html' : answer.type;
    response.writeHead(200, { ...(type !== undefined && { 'content-type': type }), ...answer.headers });
    if (this.mood === 'garbage' || this.mood === 'wrong type') return void response.end(html);
    await this.#send(answer, response);
  }

  async #send({ frames, text }: Reply, response: ServerResponse): Promise<void> {
    const half = [...text].length * 240;
    let sent = 0;
    for (const frame of frames(this.#blocks(text))) {
      for (let at = 0; at < frame.length; at += 997) {
        if (response.destroyed) return;
        if (!response.write(frame.subarray(at, at + 997)))
          await Promise.race([once(response, 'drain'), once(response, 'close')]);
      }
      sent += frame.length;
      if (sent < half) continue;
      if (this.mood === 'hang') return;
      if (this.mood === 'cut') {
        // What was written has to be on its way.
        await new Promise((resolve) => setTimeout(resolve, 20));
        return void response.destroy();
      }
      await this.half;
    }
    response.end();
  }

  async #routes(api: string, method: string, heard: Heard): Promise<Answered> {
    const { path, query } = heard;
    const note = (fields: object, at = path) => {
      this.asked.push({ api, method, path: at, fields: { ...fields } });
    };
    switch (`${method} /${api}`) {
      case 'POST /cosyvoice': {
        const form = CosyForms[path as keyof typeof CosyForms].parse(await heard.form());
        note(form);
        // FastAPI's StreamingResponse without a media type.
        return { type: undefined, text: String(form['tts_text']), frames: raw };
      }
      case 'POST /f5': {
        const length = Number(heard.headers['inference-header-content-length']);
        const json = TritonRequest.parse(JSON.parse(Buffer.from(heard.bytes.subarray(0, length)).toString('utf8')));
        const [wave, count, words, text] = json.inputs;
        if (path !== '/v2/models/f5_tts/infer') throw new Error(`no model at ${path}`);
        const size = wave.parameters.binary_data_size;
        if (size !== heard.bytes.length - length || size !== wave.shape[1] * 4 || count.data[0] !== wave.shape[1]) {
          throw new Error('the sizes of the tensors do not agree');
        }
        note({ reference_text: words.data[0], target_text: text.data[0], samples: count.data[0] });
        return this.#triton(text.data[0]);
      }
      case 'POST /index': {
        if (path === '/v1/audio/voices') {
          const form = strict({ name: z.string(), consent: z.string(), audio_sample: Upload }).parse(
            await heard.form(),
          );
          note(form);
          return this.#upload(String(form['name']), '', { success: true, voice: { name: form['name'] } });
        }
        const json = OmniRequest.parse(heard.json());
        if ((json.voice === undefined) === (json.ref_audio === undefined)) throw new Error('voice or ref_audio');
        if (json.voice !== undefined && !this.voices.has(json.voice)) throw new Error('no such voice');
        note(json);
        return { type: 'audio/wav', text: json.input, frames: wav(22_050) };
      }
      case 'DELETE /index': {
        note({});
        const name = decodeURIComponent(path.replace('/v1/audio/voices/', ''));
        return { status: this.voices.delete(name) ? 200 : 404, json: { success: true } };
      }
      case 'POST /fish': {
        if (path === '/v1/references/add') {
          const form = strict({
            id: z.string().regex(/^[\w -]{1,255}$/),
            text: z.string().min(1),
            audio: Upload,
          }).parse(await heard.form());
          note(form);
          const id = String(form['id']);
          return this.#upload(id, String(form['text']), { success: true, message: 'added', reference_id: id });
        }
        const json = FishRequest.parse(heard.json());
        if (json.reference_id !== undefined && !this.voices.has(json.reference_id)) throw new Error('no such voice');
        note(json);
        return { type: 'audio/wav', text: json.text, frames: this.plain ? raw : wav(44_100) };
      }
      case 'DELETE /fish': {
        const { reference_id } = z.strictObject({ reference_id: z.string() }).parse(heard.json());
        note({ reference_id });
        return { status: this.voices.delete(reference_id) ? 200 : 404, json: { success: true } };
      }
      case 'POST /eleven': {
        if (path === '/v1/voices/add') {
          const form = strict({ name: z.string(), files: Upload }).parse(await heard.form());
          note(form);
          this.#voiceCount += 1;
          const id = `voice${String(this.#voiceCount).padStart(15, '0')}`;
          return this.#upload(id, '', { voice_id: id, requires_verification: false });
        }
        const json = ElevenRequest.parse(heard.json());
        const { output_format } = z.strictObject({ output_format: ElevenFormat }).parse(query);
        if (!/^\/v1\/text-to-speech\/\w+\/stream\/with-timestamps$/.test(path)) throw new Error(`nothing at ${path}`);
        note({ ...json, output_format });
        return {
          type: 'application/json',
          text: json.text,
          frames: function* (blocks) {
            let said = 0;
            for (const block of blocks) {
              const characters = [...json.text].slice(said, said + 10);
              const alignment = {
                characters,
                character_start_times_seconds: timesOf(json.text).slice(said, said + 10),
                character_end_times_seconds: timesOf(json.text).slice(said, said + 10),
              };
              said += 10;
              const line = { audio_base64: Buffer.from(bytesOf(block)).toString('base64'), alignment };
              yield Buffer.from(`${JSON.stringify({ ...line, normalized_alignment: alignment })}\n\n`);
            }
          },
        };
      }
      case 'DELETE /eleven': {
        note({});
        return { status: this.voices.delete(path.replace('/v1/voices/', '')) ? 200 : 404, json: { status: 'ok' } };
      }
      case 'POST /openai': {
        if (path !== '/v1/audio/speech') throw new Error(`nothing at ${path}`);
        const json = OpenaiRequest.parse(heard.json());
        note(json);
        return { type: 'application/octet-stream', text: json.input, frames: raw };
      }
      default:
        throw new Error(`no ${method} at /${api}${path}`);
    }
  }

  #upload(name: string, text: string, json: object): Answered {
    if (this.voices.has(name)) return { status: 409, json: { success: false } };
    this.voices.set(name, { length: 1, text });
    return { json };
  }

  #triton(text: string): Reply {
    const count = SpeechServer.samplesOf(text).length;
    const size = this.mood === 'endless' ? 2 ** 40 : this.mood === 'empty' ? 0 : count * 4;
    const output = { name: 'waveform', datatype: 'FP32', shape: [1, count] };
    const floats = (block: Int16Array) => Float32Array.from(block, (sample) => sample / 32_768);
    if (this.plain) {
      const data = [...floats(SpeechServer.samplesOf(text))];
      const json = Buffer.from(
        JSON.stringify({ model_name: 'f5_tts', model_version: '1', outputs: [{ ...output, data }] }),
      );
      return { type: 'application/json', text, frames: () => [json] };
    }
    const json = Buffer.from(JSON.stringify({ outputs: [{ ...output, parameters: { binary_data_size: size } }] }));
    return {
      type: 'application/octet-stream',
      headers: { 'inference-header-content-length': String(json.length) },
      text,
      frames: function* (blocks) {
        yield json;
        for (const block of blocks) yield new Uint8Array(floats(block).buffer);
      },
    };
  }

  /** ElevenLabs over a WebSocket. */
  #converse(request: IncomingMessage, socket: WebSocket): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
    const path = pathname.replace('/eleven', '');
    const messages: unknown[] = [];
    socket.on('error', () => {});
    socket.on('message', (data: Buffer) => {
      messages.push(JSON.parse(data.toString('utf8')));
      if (messages.length < 3) return;
      const query = z
        .strictObject({ model_id: z.string(), output_format: ElevenFormat, language_code: z.string().optional() })
        .safeParse(Object.fromEntries(searchParams));
      const parsed = ElevenMessages.safeParse(messages);
      if (!query.success || !parsed.success || !/^\/v1\/text-to-speech\/\w+\/stream-input$/.test(path)) {
        return socket.close(1008, 'not the published messages');
      }
      const text = parsed.data[1].text.slice(0, -1);
      this.asked.push({ api: 'eleven', method: 'WS', path, fields: { ...query.data, text, begin: parsed.data[0] } });
      void this.#speak(socket, text);
    });
  }

  async #speak(socket: WebSocket, text: string): Promise<void> {
    if (this.mood === 'slow') return;
    if (this.mood === '422') return socket.close(1008, `cannot say ${text}`.slice(0, 120));
    if (this.mood === 'garbage') return socket.send('<html>Sign in to the hotel network</html>');
    if (this.mood === 'wrong type') return socket.send(Buffer.from('<html>'));
    let said = 0;
    for (const block of this.#blocks(text)) {
      const chars = [...text].slice(said, said + 10);
      // Times are those of the piece.
      const alignment = { chars, charStartTimesMs: chars.map((_, n) => n * 10), charDurationsMs: chars.map(() => 10) };
      const audio = Buffer.from(bytesOf(block)).toString('base64');
      await new Promise((resolve) => socket.send(JSON.stringify({ audio, isFinal: null, alignment }), resolve));
      if (socket.readyState !== socket.OPEN) return;
      said += 10;
      if (said < [...text].length / 2) continue;
      if (this.mood === 'hang') return;
      if (this.mood === 'cut') {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return socket.terminate();
      }
      await this.half;
    }
    socket.send(JSON.stringify({ audio: null, isFinal: true }));
    socket.close(1000);
  }
}

/** A form's fields; a file as what is in it. */
async function formOf(bytes: Uint8Array, type: string): Promise<Record<string, unknown>> {
  const form = await new Response(new Uint8Array(bytes), { headers: { 'content-type': type } }).formData();
  const fields: Record<string, unknown> = {};
  for (const [name, value] of form) {
    fields[name] = typeof value === 'string' ? value : decodeWav(new Uint8Array(await value.arrayBuffer()));
  }
  return fields;
}
