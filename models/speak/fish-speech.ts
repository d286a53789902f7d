import { createHash } from 'node:crypto';
import { z } from 'zod';
import { encodeWav } from '../../media/wav.ts';
import type { Line } from '../../pipeline/domain.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { ClonedVoices } from './cloned-voices.ts';
import { defineEngine } from '../engine.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { needsVariable } from '../service/keys.ts';
import { excerpt, wavOf } from './reference-audio.ts';
import { SAMPLES, languagesSetting, piecesOf, remoteSynthesizer, tags } from './remote-speech.ts';
import { castable, referenceFor, stockVoices } from './stock-voices.ts';

const URL_FROM = 'LIVEDUB_FISH_SPEECH_URL';
/** S2 Pro names some eighty; these are those of OpenAudio S1, which any later one has too. */
const LANGUAGES = ['en', 'zh', 'ja', 'de', 'fr', 'es', 'ko', 'ar', 'ru', 'nl', 'it', 'pl', 'pt'];
/** Ten to thirty seconds are advised. */
const LONGEST_PROMPT = 28;

const Added = z.object({ success: z.literal(true), reference_id: z.string() });

/**
 * Fish-Speech by the API server of its repository (`tools/api_server.py`): `POST /v1/tts`, streamed. A voice whose words
 * are known is uploaded once to `/v1/references/add` and named from then on; another goes with every line.
 *
 * The stream is 16-bit samples: some versions put a WAV header before them, others mean to and do not (only what is
 * `bytes` passes `inference_async`, and the header is an array).
 *
 * @see https://github.com/fishaudio/fish-speech/blob/3dd1f85c402ee6f0a17c2971d3b0dd8d881ca139/tools/server/views.py
 * @see https://github.com/fishaudio/fish-speech/blob/3dd1f85c402ee6f0a17c2971d3b0dd8d881ca139/fish_speech/utils/schema.py
 */
export const fishSpeech = defineEngine({
  kind: 'synthesizer',
  id: 'fish-speech',
  host: 'inline',
  config: z.strictObject({
    ...serverSettings('http://127.0.0.1:8080', URL_FROM),
    rate: z.literal([24_000, 44_100, 48_000]).default(44_100).describe("The model's sample rate."),
    chunk: z.number().int().min(100).max(1_000).default(200).describe('Bytes of text that are spoken at once.'),
    voices: z.array(z.string().min(1)).min(1).optional().describe('Stock voices to use, by name; all unless said.'),
    languages: languagesSetting(LANGUAGES),
  }),
  byName: true,
  summary: "Fish-Speech on a server of yours: speaks with the speaker's own voice in many languages.",
  licence: 'LicenseRef-Fish-Audio-Research',
  needs: [needsVariable(URL_FROM)],
  languages: tags(LANGUAGES),
  load: async (config, scope) => {
    const client = new HttpClient({ stage: 'synthesizer', engine: 'fish-speech', settings: config });
    const stock = castable(stockVoices(config.voices));
    const json = { accept: 'application/json' };
    const voices = new ClonedVoices(
      {
        named: true,
        async make(id, reference, run) {
          const prompt = excerpt(reference, LONGEST_PROMPT);
          const form = new FormData();
          form.set('id', id);
          form.set('text', prompt.text);
          form.set('audio', wavOf(prompt), `${id}.wav`);
          const ask = { path: '/v1/references/add', body: form, headers: json, said: reference.text, retries: 0 };
          return (await client.json(ask, Added, run)).reference_id;
        },
        unmake: async (id, run) => {
          const ask = { method: 'DELETE' as const, path: '/v1/references/delete', json: { reference_id: id } };
          await client.bytes({ ...ask, headers: json, missing: 'fine' }, run);
        },
      },
      scope,
    );
    async function* say(line: Line, run: StageScope) {
      const reference = referenceFor(line, stock);
      const prompt = excerpt(reference, LONGEST_PROMPT);
      const voice =
        prompt.text === ''
          ? { references: [{ audio: Buffer.from(encodeWav(prompt.pcm, prompt.rate)).toString('base64'), text: '' }] }
          : { reference_id: await voices.of(reference, run) };
      const request = {
        text: line.text,
        ...voice,
        format: 'wav',
        streaming: true,
        chunk_length: config.chunk,
        normalize: true,
        // The same voice does not sound of one mood in one line and of another in the next.
        seed: createHash('sha256').update(line.speaker).digest().readUInt16BE(),
        use_memory_cache: 'on',
      };
      const body = client.stream({ path: '/v1/tts', json: request, accept: SAMPLES, said: line.text }, run);
      yield* piecesOf(body, { rate: config.rate, format: 's16le' });
    }
    return remoteSynthesizer(
      {
        engine: 'fish-speech',
        client,
        caps: { languages: tags(config.languages), streams: true, clonesVoice: true, marks: [], voices: Infinity },
        longest: 2_000,
        say,
      },
      scope,
    );
  },
});
