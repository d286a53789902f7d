import { z } from 'zod';
import type { Language, Line } from '../../pipeline/domain.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { ClonedVoices } from './cloned-voices.ts';
import { defineEngine } from '../engine.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { needsVariable } from '../service/keys.ts';
import { dataUrlOf, excerpt, wavOf } from './reference-audio.ts';
import { SAMPLES, piecesOf, remoteSynthesizer, tags } from './remote-speech.ts';
import { castable, referenceFor, stockVoices } from './stock-voices.ts';

const URL_FROM = 'LIVEDUB_INDEX_TTS_URL';
const RATE = 22_050;
/** IndexTTS hears the first fifteen seconds of a reference. */
const LONGEST_PROMPT = 15;
const LANGUAGES = ['zh', 'en', 'ja', 'es', 'ar'];
/** What each generation was trained for. */
const languagesOf = (model: string) => (/2[._-]?5/.test(model) ? LANGUAGES : ['zh', 'en', 'ja']);

const Stored = z.object({ success: z.literal(true) });

/** The model's word for a language: its primary subtag. */
const wordFor = (language: Language) => language.split('-')[0] ?? language;

/**
 * Index-TTS2 by vLLM-Omni, which its repository names for serving: `POST /v1/audio/speech` with the recording of a voice in
 * it, or with a voice that was uploaded to `/v1/audio/voices` before. The speech comes at once: its second stage wants
 * all of the first one's output.
 *
 * @see https://github.com/index-tts/index-tts/blob/ee40fa7d6c6b8a2c7f06105f9f1e65775b74868c/README.md "Serving with vLLM"
 * @see https://github.com/vllm-project/vllm-omni/blob/52d1d49a6e8f196064f41ded6a030b6f21f6eaba/recipes/IndexTeam/IndexTTS-2_5.md
 * @see https://github.com/vllm-project/vllm-omni/blob/f70c7fab4c24804fae948f4f1849656e1f7b743f/docs/serving/speech_api.md
 */
export const indexTts = defineEngine({
  kind: 'synthesizer',
  id: 'index-tts2',
  host: 'inline',
  config: z.strictObject({
    ...serverSettings('http://127.0.0.1:8092', URL_FROM),
    model: z
      .string()
      .min(1)
      .max(200)
      .default('IndexTeam/IndexTTS-2.5')
      .describe('The model as the server calls it; IndexTeam/IndexTTS-2 knows fewer languages.'),
    consent: z
      .string()
      .min(1)
      .max(200)
      .optional()
      .describe(
        "Identifier of the speakers' consent, which the server asks for to store a voice. With it each voice is uploaded " +
          'once and deleted with the session; without it the recording goes with every line.',
      ),
    voices: z.array(z.string().min(1)).min(1).optional().describe('Stock voices to use, by name; all unless said.'),
  }),
  byName: true,
  summary:
    "Index-TTS2 on a server of yours: speaks with the speaker's own voice; Chinese, English, Japanese, Spanish, Arabic.",
  licence: 'LicenseRef-bilibili-Index',
  needs: [needsVariable(URL_FROM)],
  languages: tags(LANGUAGES),
  load: async (config, scope) => {
    const { model, consent } = config;
    const client = new HttpClient({ stage: 'synthesizer', engine: 'index-tts2', settings: config });
    const stock = castable(stockVoices(config.voices));
    const voices =
      consent === undefined
        ? undefined
        : new ClonedVoices(
            {
              named: true,
              async make(name, reference, run) {
                const form = new FormData();
                form.set('name', name);
                form.set('consent', consent);
                form.set('audio_sample', wavOf(excerpt(reference, LONGEST_PROMPT)), `${name}.wav`);
                const ask = { path: '/v1/audio/voices', body: form, said: reference.text, retries: 0 };
                await client.json(ask, Stored, run);
                return name;
              },
              async unmake(name, run) {
                const path = `/v1/audio/voices/${encodeURIComponent(name)}`;
                await client.bytes({ method: 'DELETE', path, missing: 'fine' }, run);
              },
            },
            scope,
          );
    const lang = languagesOf(model) === LANGUAGES;
    async function* say(line: Line, run: StageScope) {
      const reference = referenceFor(line, stock);
      const voice = voices
        ? { voice: await voices.of(reference, run) }
        : { ref_audio: dataUrlOf(excerpt(reference, LONGEST_PROMPT)) };
      const json = {
        model,
        input: line.text,
        ...voice,
        response_format: 'wav',
        ...(lang && { extra_params: { lang: wordFor(line.language) } }),
      };
      const body = client.stream({ path: '/v1/audio/speech', json, accept: SAMPLES, said: line.text }, run);
      yield* piecesOf(body, { rate: RATE, format: 's16le' });
    }
    return remoteSynthesizer(
      {
        engine: `index-tts2 ${model}`,
        client,
        caps: {
          languages: tags(languagesOf(model)),
          streams: false,
          clonesVoice: true,
          marks: [],
          voices: Infinity,
        },
        longest: 1_000,
        say,
      },
      scope,
    );
  },
});
