import { z } from 'zod';
import { type SampleRate, seconds } from '../../media/time.ts';
import type { Language, Line, Register, SpeechMark } from '../../pipeline/domain.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { ClonedVoices } from './cloned-voices.ts';
import { defineEngine } from '../engine.ts';
import { byName, voiceOf } from './cast-voices.ts';
import { NATURAL, bounded, livelinessOf, rateOf } from './delivery.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { converse } from '../service/http-socket.ts';
import { type Service, needsVariable } from '../service/keys.ts';
import { PcmStream } from './pcm-stream.ts';
import { excerpt, wavOf } from './reference-audio.ts';
import { type Piece, remoteSynthesizer, tags } from './remote-speech.ts';
import { SpokenWords } from './spoken-words.ts';

const ELEVENLABS: Service = { url: 'https://api.elevenlabs.io', variable: 'ELEVENLABS_API_KEY' };

const V2 = 'en ja zh de hi fr ko pt it es id nl tr fil pl sv bg ro ar cs el fi hr ms sk da ta uk ru'.split(' ');
const V2_5 = [...V2, 'hu', 'no', 'vi'];
/** What each model speaks, by the page "Models". */
const MODELS: Readonly<Record<string, readonly string[]>> = {
  eleven_flash_v2_5: V2_5,
  eleven_turbo_v2_5: V2_5,
  eleven_multilingual_v2: V2,
  eleven_flash_v2: ['en'],
  eleven_turbo_v2: ['en'],
};

/** Default voices: George, Sarah, Roger, Aria, Charlie, Laura, Daniel, Alice. */
const REGISTERS: Readonly<Record<string, Register>> = {
  JBFqnCBsd6RMkjVDRZzb: 'male',
  EXAVITQu4vr4xnSDxMaL: 'female',
  CwhRBWXzGAHq8TQ4Fs17: 'male',
  '9BWtsMINqrJLrRacOk9x': 'female',
  IKne3meq5aSn9XLyUdCD: 'male',
  FGY2WhTYpPnrIDTdsKH5: 'female',
  onwK4e9ZLuTAKqWW03F9: 'male',
  Xb7hH8MSUJpSbSDYk0k2: 'female',
};
const VOICES = Object.keys(REGISTERS);
/** The service's own stability and style, from which energy, heard or seen, departs by so much for each decibel. */
const USUAL = { stability: 0.5, style: 0 };
const LIVELIER = { stability: 0.03, style: 0.04 };
/** One to two minutes are advised for an instant clone; more does not help. */
const LONGEST_PROMPT = 60;

const Made = z.object({ voice_id: z.string().min(1), requires_verification: z.boolean() });
/** A line of `/stream/with-timestamps`. */
const Timed = z.object({
  audio_base64: z.base64(),
  alignment: z
    .object({
      characters: z.array(z.string()),
      character_start_times_seconds: z.array(z.number()),
    })
    .nullish(),
});
/** A message of `stream-input`. */
const Message = z.object({
  audio: z.base64().nullish(),
  isFinal: z.boolean().nullish(),
  alignment: z.object({ chars: z.array(z.string()), charStartTimesMs: z.array(z.number()) }).nullish(),
  message: z.string().nullish(),
  error: z.string().nullish(),
});

/** Audio and the times of characters, as either way of asking gives them. */
interface Part {
  readonly audio: string;
  readonly characters: readonly string[];
  /** Seconds. */
  readonly starts: readonly number[];
}

/** Parts as pieces of speech, with words where characters are. */
async function* piecesOf(parts: AsyncIterable<Part>, rate: SampleRate): AsyncGenerator<Piece, void, void> {
  const stream = new PcmStream({ rate, format: 's16le' });
  const words = new SpokenWords();
  let count = 0;
  for await (const { audio, characters, starts } of parts) {
    const pcm = stream.push(Buffer.from(audio, 'base64'));
    const marks: SpeechMark[] = words.hear(characters, starts, count / rate).map(({ text, start }) => ({
      type: 'word',
      offset: seconds(start),
      text,
    }));
    count += pcm.length;
    if (pcm.length > 0 || marks.length > 0) yield { pcm, rate, marks };
  }
  const rest = stream.end();
  const marks = words.end().map(({ text, start }): SpeechMark => ({ type: 'word', offset: seconds(start), text }));
  if (rest.length > 0 || marks.length > 0) yield { pcm: rest, rate, marks };
}

/**
 * ElevenLabs by its API: speech with the time of each character as it is made, over HTTP
 * (`POST /v1/text-to-speech/{voice_id}/stream/with-timestamps`) or a WebSocket (`…/stream-input`).
 *
 * `speed` may be 0.7 … 1.2, `stability` and `style` 0 … 1, where style costs time.
 *
 * With `clone`, speakers' voices are uploaded (`POST /v1/voices/add`), each once, and deleted with the session.
 *
 * @see https://elevenlabs.io/docs/api-reference/text-to-speech/stream-with-timestamps
 * @see https://elevenlabs.io/docs/api-reference/text-to-speech/v-1-text-to-speech-voice-id-stream-input
 * @see https://elevenlabs.io/docs/api-reference/voices/ivc/create
 * @see https://elevenlabs.io/docs/eleven-agents/customization/voice/speed-control
 * @see https://github.com/elevenlabs/elevenlabs-python/blob/54e58995d57669c7807be998f755519dbb05211a/src/elevenlabs the names of every field
 */
export const elevenlabs = defineEngine({
  kind: 'synthesizer',
  id: 'elevenlabs',
  host: 'inline',
  config: z.strictObject({
    ...serverSettings(ELEVENLABS.url),
    model: z
      .enum(Object.keys(MODELS) as [string, ...string[]])
      .default('eleven_flash_v2_5')
      .describe('Model; the flash models answer soonest.'),
    voices: z
      .array(z.string().regex(/^[A-Za-z0-9]{8,40}$/))
      .min(1)
      .default(VOICES)
      .describe('Ids of voices to speak with; those we do not know count as men and women in turn.'),
    clone: z
      .boolean()
      .default(false)
      .describe("Upload speakers' voices to ElevenLabs and speak with them. Ask them first."),
    transport: z.enum(['http', 'websocket']).default('http').describe('How lines are sent.'),
    rate: z
      .literal([8_000, 16_000, 22_050, 24_000, 44_100])
      .default(24_000)
      .describe('Sample rate; 44100 needs the Pro tier.'),
    stability: z.number().min(0).max(1).optional().describe('Lower is livelier, higher is steadier.'),
    similarity: z.number().min(0).max(1).optional().describe('How near to the original voice.'),
  }),
  byName: true,
  summary:
    "ElevenLabs: some thirty languages, timed to the word; stock voices, or the speakers' own where that is asked.",
  licence: 'LicenseRef-ElevenLabs-Terms',
  needs: [needsVariable(ELEVENLABS.variable)],
  languages: tags(V2_5),
  load: async (config, scope) => {
    const { model, rate, clone, transport } = config;
    const client = new HttpClient({
      stage: 'synthesizer',
      engine: 'elevenlabs',
      settings: config,
      service: ELEVENLABS,
      authorize: (key) => ({ 'xi-api-key': key }),
    });
    const own = new ClonedVoices(
      {
        named: false,
        async make(name, reference, run) {
          const form = new FormData();
          form.set('name', name);
          form.set('files', wavOf(excerpt(reference, LONGEST_PROMPT)), `${name}.wav`);
          const ask = { path: '/v1/voices/add', body: form, said: reference.text, retries: 0 };
          const made = await client.json(ask, Made, run);
          if (made.requires_verification) {
            throw client.fault('rejected', 'the voice must be verified before it can be used: look at it in My Voices');
          }
          return made.voice_id;
        },
        async unmake(id, run) {
          await client.bytes({ method: 'DELETE', path: `/v1/voices/${id}`, missing: 'fine' }, run);
        },
      },
      scope,
    );
    const { stability, similarity } = config;
    const settings = {
      ...(stability !== undefined && { stability }),
      ...(similarity !== undefined && { similarity_boost: similarity }),
    };
    const ensemble = byName(config.voices, REGISTERS);
    /** Livelier and in more style with energy, steadier without; quicker or slower where the line asks for it. */
    const manner = (line: Line) => {
      const energy = livelinessOf(line);
      const { stability: usual = USUAL.stability } = config;
      const mood = {
        ...settings,
        ...(energy !== 0 && { stability: bounded(usual - LIVELIER.stability * energy, 0, 1) }),
        ...(energy > 0 && { style: USUAL.style + LIVELIER.style * energy }),
        ...(rateOf(line) !== 1 && { speed: rateOf(line) }),
      };
      return Object.keys(mood).length > 0 && { voice_settings: mood };
    };
    const output_format = `pcm_${rate}`;
    /** Multilingual v2 takes no language, and the older ones know one. */
    const told = (language: Language) => /v2_5$/.test(model) && { language_code: language.split('-')[0] ?? language };

    async function* overHttp(line: Line, voice: string, run: StageScope): AsyncGenerator<Part, void, void> {
      const path = `/v1/text-to-speech/${voice}/stream/with-timestamps`;
      const json = { text: line.text, model_id: model, ...told(line.language), ...manner(line) };
      const accept =
        /^(|application\/json|application\/x-ndjson|text\/event-stream|application\/octet-stream|audio\/.*)$/;
      for await (const text of client.lines({ path, query: { output_format }, json, accept, said: line.text }, run)) {
        if (text.trim() === '') continue;
        const { audio_base64, alignment } = client.parse(text, Timed);
        const { characters = [], character_start_times_seconds: starts = [] } = alignment ?? {};
        yield { audio: audio_base64, characters, starts };
      }
    }
    async function* overSocket(line: Line, voice: string, run: StageScope): AsyncGenerator<Part, void, void> {
      const path = `/v1/text-to-speech/${voice}/stream-input`;
      const query = { model_id: model, output_format, ...told(line.language) };
      const messages = [
        // All of the line is there, so that nothing is gained by waiting for more of it.
        { text: ' ', generation_config: { chunk_length_schedule: [50] }, ...manner(line) },
        { text: `${line.text} ` },
        { text: '' },
      ];
      const sent = messages.map((each) => JSON.stringify(each));
      for await (const heard of converse(client, { path, query, said: line.text }, sent, run)) {
        if (typeof heard !== 'string') throw client.fault('rejected', 'the server sent bytes where text was due');
        const { audio, alignment, isFinal, error, message } = client.parse(heard, Message);
        if (error || (message && !audio)) throw client.fault('rejected', 'the server could not say this line');
        const { chars: characters = [], charStartTimesMs: times = [] } = alignment ?? {};
        if (audio) yield { audio, characters, starts: times.map((time) => time / 1_000) };
        if (isFinal) return;
      }
      throw client.fault('unavailable', 'the server ended the conversation before the line was said');
    }
    async function* say(line: Line, run: StageScope) {
      const { reference } = line;
      const stock = voiceOf(line, ensemble);
      const voice = clone && reference ? await own.of(reference, run) : stock;
      yield* piecesOf((transport === 'http' ? overHttp : overSocket)(line, voice, run), rate);
    }
    return remoteSynthesizer(
      {
        engine: `elevenlabs ${model}`,
        client,
        caps: {
          languages: tags(MODELS[model] ?? V2),
          streams: true,
          clonesVoice: clone,
          marks: ['word'],
          voices: clone ? Infinity : config.voices.length,
          rates: NATURAL,
          guides: true,
        },
        longest: 5_000,
        say,
      },
      scope,
    );
  },
});
