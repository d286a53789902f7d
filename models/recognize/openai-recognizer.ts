import { z } from 'zod';
import { type MediaTime, between, later, ms, sampleIndex, samples, seconds } from '../../media/time.ts';
import { encodeWav } from '../../media/wav.ts';
import type { Hypothesis, SpeechChunk, Word } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { Agreement } from './agreement.ts';
import { defineEngine } from '../engine.ts';
import { SoundMeter, doubt, guardSettings, silent } from './hallucination.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { type Service, needsVariable } from '../service/keys.ts';
import { RealtimeTranscription } from './realtime-transcription.ts';
import { type Told, placed, punctuated, shared } from './transcript.ts';

const OPENAI: Service = { url: 'https://api.openai.com/v1', variable: 'OPENAI_API_KEY' };
const RATE = 16_000;
/** A word this old is settled once two answers agree on it. */
const SETTLED = ms(1_000);
/** Audio missing within a segment is filled with silence up to this, so that word times stay true. */
const LONGEST_GAP = sampleIndex(seconds(10), RATE);
/** Characters of what was said before that the server is told. */
const CONTEXT = 200;

const config = z.strictObject({
  ...serverSettings(OPENAI.url),
  model: z.string().min(1).max(120).default('whisper-1').describe('Model, as the server calls it.'),
  transport: z
    .enum(['http', 'realtime'])
    .default('http')
    .describe('How speech is sent: each segment as a file, or while it is spoken over a WebSocket.'),
  format: z
    .enum(['verbose_json', 'json'])
    .default('verbose_json')
    .describe('What the server answers: words with times, or text alone, which is all that some models can give.'),
  hop: z
    .number()
    .min(0)
    .max(30)
    .default(0)
    .describe('Seconds of new speech after which an unfinished segment is sent, too; 0 for never, which costs least.'),
  language: z
    .string()
    .regex(/^(auto|[a-z]{2,3}(-[A-Za-z0-9]+)*)$/, { error: "give a language as in 'en' or 'pt-BR', or 'auto'" })
    .default('auto')
    .describe("Language of the programme, or 'auto' to let the server find out."),
  glossary: z.array(z.string().min(1).max(60)).max(60).default([]).describe('Names and terms to expect.'),
  doubts: guardSettings.prefault({}).describe('When what was written is taken for invented.'),
});
type Settings = z.output<typeof config>;

const Timed = z.object({ word: z.string(), start: z.number(), end: z.number() });
/** `CreateTranscriptionResponseVerboseJson`; `words` are within the segments where whisper.cpp answers. */
const Transcript = z.object({
  text: z.string(),
  words: z.array(Timed).nullish(),
  segments: z
    .array(
      z.object({
        start: z.number(),
        end: z.number(),
        text: z.string(),
        avg_logprob: z.number().nullish(),
        no_speech_prob: z.number().nullish(),
        words: z.array(Timed).nullish(),
      }),
    )
    .nullish(),
});
type Answer = z.output<typeof Transcript>;

const told = ({ word, start, end }: z.output<typeof Timed>): Told => ({ text: word, start, end });

/** What goes from one segment to the next. */
interface Memory {
  said: string;
}

/** The audio of one segment so far, and what is known of it. */
class Segment {
  readonly number: number;
  readonly start: MediaTime;
  readonly agreement = new Agreement(SETTLED);
  readonly #meter = new SoundMeter();
  readonly #settings: Settings;
  readonly #pieces: Float32Array[] = [];
  heard = 0;
  asked = 0;
  stable: readonly Word[] = [];

  constructor(first: SpeechChunk, settings: Settings) {
    this.number = first.segment;
    this.start = first.start;
    this.#settings = settings;
  }

  /** Takes audio; what comes back is the same with its holes filled. */
  take({ start, pcm }: SpeechChunk): Float32Array {
    const missing = sampleIndex(between(this.end, start), RATE);
    const filled = missing > RATE / 1_000 ? Math.min(missing, LONGEST_GAP) : 0;
    const piece = new Float32Array(filled + pcm.length);
    piece.set(pcm, filled);
    this.#pieces.push(piece);
    this.#meter.hear(piece);
    this.heard += piece.length;
    return piece;
  }

  get end(): MediaTime {
    return later(this.start, samples(this.heard, RATE));
  }
  get silent(): boolean {
    return silent(this.#meter.sound, this.#settings.doubts);
  }
  get pcm(): Float32Array {
    const whole = new Float32Array(this.heard);
    let at = 0;
    for (const piece of this.#pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  /** The words of an answer that are believed. */
  words({ text, words, segments }: Answer, over: boolean): Word[] {
    const believed = (line: string, logprob?: number | null, noSpeech?: number | null) =>
      line.trim() !== '' &&
      doubt(
        { text: line.trim(), over, logprob: logprob ?? undefined, noSpeech: noSpeech ?? undefined },
        this.#meter.sound,
        this.#settings.doubts,
      ) === undefined;
    if (!segments || segments.length === 0) {
      if (!believed(text)) return [];
      const timed = words && words.length > 0 ? words.map(told) : shared(text, 0, this.heard / RATE);
      return placed(punctuated(timed, text), this.start, this.end);
    }
    const all = segments.flatMap((segment) => {
      if (!believed(segment.text, segment.avg_logprob, segment.no_speech_prob)) return [];
      const inside = (word: { start: number; end: number }) => {
        const middle = (word.start + word.end) / 2;
        return middle >= segment.start && middle < segment.end;
      };
      const timed = (segment.words ?? words?.filter(inside) ?? []).map(told);
      return timed.length > 0
        ? punctuated(timed, segment.text)
        : shared(segment.text, segment.start, Math.max(segment.start, segment.end));
    });
    // What is credited to a whole answer may be spread over its segments.
    return believed(all.map((word) => word.text).join(' ')) ? placed(all, this.start, this.end) : [];
  }

  belief(draft: string): Hypothesis {
    return { segment: this.number, start: this.start, end: this.end, stable: this.stable, draft, final: false };
  }
  final(): Hypothesis {
    return { ...this.belief(''), final: true };
  }
}

/** How segments are sent. */
interface Transport {
  /** Called with each piece of audio; says what is new by now. */
  hear(segment: Segment, pcm: Float32Array): Promise<Hypothesis | undefined>;
  /** The segment is over: everything that comes of it but the final belief. */
  finish(segment: Segment): AsyncIterable<Hypothesis>;
  /** Lets go of what the segment held. */
  leave(): void;
}

function overHttp(client: HttpClient, settings: Settings, memory: Memory, run: StageScope): Transport {
  const { model, format, glossary, language, hop } = settings;
  const step = sampleIndex(seconds(hop), RATE);
  let cost = 0;
  const ask = async (segment: Segment, over: boolean): Promise<Word[]> => {
    const form = new FormData();
    form.set('file', new Blob([new Uint8Array(encodeWav(segment.pcm, RATE))], { type: 'audio/wav' }), 'speech.wav');
    form.set('model', model);
    form.set('response_format', format);
    form.set('temperature', '0');
    if (format === 'verbose_json') {
      form.append('timestamp_granularities[]', 'word');
      form.append('timestamp_granularities[]', 'segment');
    }
    if (language !== 'auto') form.set('language', language.split('-')[0] ?? language);
    const prompt = [glossary.join(', '), memory.said].filter((part) => part !== '').join('. ');
    if (prompt !== '') form.set('prompt', prompt);
    const json = { path: '/audio/transcriptions', body: form, accept: /^application\/json$/, said: prompt };
    client.spent({ seconds: segment.heard / RATE });
    return segment.words(await client.json(json, Transcript, run), over);
  };
  return {
    async hear(segment) {
      const due = hop > 0 && segment.heard - segment.asked >= Math.max(step, cost);
      if (!due || segment.silent) return undefined;
      segment.asked = segment.heard;
      const begun = run.clock.now();
      try {
        const { stable, draft } = segment.agreement.hear(await ask(segment, false), segment.end);
        segment.stable = stable;
        return segment.belief(draft.map(({ text }) => text).join(' '));
      } catch (failure) {
        // The segment will be sent again, when it is over at the latest.
        if (failure instanceof Fault && failure.response !== 'stop') return undefined;
        throw failure;
      } finally {
        cost = Math.round((between(begun, run.clock.now()) * RATE) / 1e6);
      }
    },
    async *finish(segment) {
      if (!segment.silent) segment.stable = segment.agreement.finish(await ask(segment, true));
    },
    leave() {},
  };
}

function overSocket(client: HttpClient, settings: Settings, memory: Memory, run: StageScope): Transport {
  const { model, glossary, language } = settings;
  let talk: RealtimeTranscription | undefined;
  const open = () => {
    const prompt = [glossary.join(', '), memory.said].filter((part) => part !== '').join('. ');
    const transcription = {
      model,
      ...(prompt !== '' && { prompt }),
      ...(language !== 'auto' && { language: language.split('-')[0] ?? language }),
    };
    return RealtimeTranscription.open(
      client,
      { path: '/realtime', query: { intent: 'transcription' }, transcription },
      run,
    );
  };
  return {
    async hear(_, pcm) {
      talk ??= await open();
      await talk.append(pcm);
      return undefined;
    },
    async *finish(segment) {
      if (!talk || segment.silent) return;
      client.spent({ seconds: segment.heard / RATE });
      for await (const { text, whole } of talk.commit()) {
        const words = segment.words({ text }, whole);
        if (whole) segment.stable = words;
        // The first words of what is invented look like any others.
        else if (words.length > 2) yield segment.belief(text.trim());
      }
    },
    leave() {
      void talk?.[Symbol.asyncDispose]();
      talk = undefined;
    },
  };
}

/**
 * Speech recognition by OpenAI's API or any server that has the same: whisper.cpp's server, speaches
 * (faster-whisper-server), vLLM, Groq.
 *
 * With `transport: 'http'` each segment is sent as a WAV file (`POST /audio/transcriptions`), with `hop` also while it is
 * still being spoken, words being settled once two answers agree. With `'realtime'` it is sent while it is spoken over
 * a WebSocket (`/realtime?intent=transcription`: `input_audio_buffer.append`, `…commit`), and read when it is over
 * (`conversation.item.input_audio_transcription.delta`, `…completed`). vLLM's WebSocket speaks otherwise and is not spoken
 * to; its HTTP is.
 *
 * @see https://platform.openai.com/docs/api-reference/audio/createTranscription
 * @see https://developers.openai.com/api/docs/guides/realtime-transcription
 * @see https://developers.openai.com/api/reference/resources/realtime/client-events
 * @see https://github.com/ggml-org/whisper.cpp/tree/master/examples/server
 * @see https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html
 */
export const openaiRecognizer = defineEngine({
  kind: 'recognizer',
  id: 'openai',
  host: 'inline',
  config,
  byName: true,
  summary: 'OpenAI transcription, or any server with the same API: segment by segment, or over a WebSocket.',
  licence: 'LicenseRef-OpenAI-Terms',
  needs: [needsVariable(OPENAI.variable)],
  languages: 'any',
  load: async (settings) => {
    const { transport, model, hop, format } = settings;
    const client = new HttpClient({ stage: 'recognizer', engine: 'openai', settings, service: OPENAI });
    return {
      kind: 'recognizer',
      engine: `openai ${model}`,
      caps: {
        rate: RATE,
        lookahead: hop > 0 ? seconds(2 * hop) : ms(0),
        languages: 'any',
        drafts: transport === 'realtime' || hop > 0,
        wordTimes: transport === 'http' && format === 'verbose_json',
      },
      async *run(input, { signal, clock }) {
        const run = { signal, clock };
        const memory: Memory = { said: '' };
        const send = (transport === 'http' ? overHttp : overSocket)(client, settings, memory, run);
        const end = async function* (segment: Segment): AsyncGenerator<Hypothesis, void> {
          let failure: Error | undefined;
          try {
            yield* send.finish(segment);
          } catch (thrown) {
            signal.throwIfAborted();
            failure = Fault.from('recognizer', thrown);
          } finally {
            send.leave();
          }
          const said = segment.stable.map(({ text }) => text).join(' ');
          memory.said = `${memory.said} ${said}`.trim().slice(-CONTEXT);
          // What was settled is good, whatever became of the rest.
          yield segment.final();
          if (failure !== undefined) throw failure;
        };
        let segment: Segment | undefined;
        try {
          for await (const chunk of until(input, signal)) {
            if (segment && segment.number !== chunk.segment) {
              const torn: Segment = segment;
              segment = undefined;
              yield* end(torn);
            }
            segment ??= new Segment(chunk, settings);
            const piece = segment.take(chunk);
            if (!chunk.last) {
              const news = piece.length > 0 ? await send.hear(segment, piece) : undefined;
              if (news) yield news;
              continue;
            }
            if (transport === 'realtime' && piece.length > 0) await send.hear(segment, piece);
            const whole: Segment = segment;
            segment = undefined;
            yield* end(whole);
          }
          if (segment && !signal.aborted) yield* end(segment);
        } catch (failure) {
          if (!signal.aborted) throw failure;
        } finally {
          send.leave();
        }
      },
    };
  },
});
