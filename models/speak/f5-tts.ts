import { z } from 'zod';
import { viewBytes } from '../../media/bytes.ts';
import { resample } from '../../media/resample.ts';
import type { Reference } from '../../pipeline/domain.ts';
import type { StageScope } from '../../pipeline/stage.ts';
import { defineEngine } from '../engine.ts';
import { type Answer, HttpClient, serverSettings } from '../service/http.ts';
import { needsVariable } from '../service/keys.ts';
import { excerpt } from './reference-audio.ts';
import { type Piece, languagesSetting, piecesOf, remoteSynthesizer, tags } from './remote-speech.ts';
import { castable, referenceFor, stockVoices } from './stock-voices.ts';

const URL_FROM = 'LIVEDUB_F5_TTS_URL';
const LANGUAGES = ['en', 'zh'];
/** "Hard coding in server". */
const RATE = 24_000;
/** The model was trained on up to 30 s, prompt included; its own program takes 12 s of the prompt. */
const LONGEST_PROMPT = 12;
/** How many bytes of an answer are JSON; the rest are samples. */
const HEADER = 'inference-header-content-length';
const MOST_JSON = 64 * 1024 * 1024;

const Output = z.object({
  name: z.string(),
  datatype: z.literal('FP32'),
  parameters: z.object({ binary_data_size: z.number().int().min(0) }).optional(),
  data: z.array(z.number()).optional(),
});
const Inferred = z.object({ outputs: z.array(Output).min(1) });

/** What is asked: the JSON of the request, followed by the reference's samples as they lie in memory. */
function question(
  text: string,
  prompt: Pick<Reference, 'pcm' | 'text'>,
): { body: Uint8Array<ArrayBuffer>; length: number } {
  const count = prompt.pcm.length;
  const json = new TextEncoder().encode(
    JSON.stringify({
      inputs: [
        { name: 'reference_wav', shape: [1, count], datatype: 'FP32', parameters: { binary_data_size: count * 4 } },
        { name: 'reference_wav_len', shape: [1, 1], datatype: 'INT32', data: [count] },
        { name: 'reference_text', shape: [1, 1], datatype: 'BYTES', data: [prompt.text] },
        { name: 'target_text', shape: [1, 1], datatype: 'BYTES', data: [text] },
      ],
      outputs: [{ name: 'waveform', parameters: { binary_data: true } }],
    }),
  );
  const body = new Uint8Array(json.length + count * 4);
  body.set(json);
  body.set(viewBytes(prompt.pcm), json.length);
  return { body, length: json.length };
}

/** Samples of an answer: binary behind its JSON, or in it where the server does not know of binary tensors. */
async function* answered(client: HttpClient, answer: Answer): AsyncGenerator<Piece, void, void> {
  const header = Number(answer.headers.get(HEADER) ?? NaN);
  const parts: Uint8Array[] = [];
  let held = 0;
  const all = Number.isInteger(header) && header > 0 ? header : undefined;
  const samples = async function* (): AsyncGenerator<Uint8Array, void, void> {
    let left: number | undefined;
    for await (const bytes of answer.body) {
      if (left !== undefined) {
        left -= bytes.length;
        yield bytes;
        continue;
      }
      parts.push(bytes);
      held += bytes.length;
      if (held > MOST_JSON) throw client.fault('rejected', 'the server answered with more than a line can be');
      if (all === undefined || held < all) continue;
      const whole = Buffer.concat(parts);
      const { outputs } = client.parse(whole.subarray(0, all).toString('utf8'), Inferred);
      const size = outputs[0]?.parameters?.binary_data_size;
      if (size === undefined) throw client.fault('rejected', 'the server names no size of the samples it sends');
      left = size - (whole.length - all);
      yield whole.subarray(all);
    }
    if (left !== undefined && left !== 0) throw client.fault('rejected', 'the server sent other than it announced');
  };
  yield* piecesOf(samples(), { rate: RATE, format: 'f32le' });
  if (all !== undefined) return;
  const { outputs } = client.parse(Buffer.concat(parts).toString('utf8'), Inferred);
  yield { pcm: Float32Array.from(outputs[0]?.data ?? []), rate: RATE };
}

/**
 * F5-TTS by the Triton server of its repository (`runtime/triton_trtllm`): `POST /v2/models/f5_tts/infer` with the
 * recording of a voice, its words and the text; the speech comes at once, since the model makes all of a line together.
 *
 * Samples go both ways as binary tensors: as JSON a line would be some megabytes to parse in the session's thread.
 * The socket server of the repository is not spoken to: it has one voice, given when it starts.
 *
 * @see https://github.com/SWivid/F5-TTS/blob/2ae2c9bd9b64dab2cb069c4b97e5e7673c521e01/src/f5_tts/runtime/triton_trtllm/client_http.py
 * @see https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/protocol/extension_binary_data.html
 */
export const f5tts = defineEngine({
  kind: 'synthesizer',
  id: 'f5-tts',
  host: 'inline',
  config: z.strictObject({
    ...serverSettings('http://127.0.0.1:8000', URL_FROM),
    model: z
      .string()
      .regex(/^[\w.-]+$/)
      .default('f5_tts')
      .describe('The model as Triton calls it.'),
    voices: z.array(z.string().min(1)).min(1).optional().describe('Stock voices to use, by name; all unless said.'),
    languages: languagesSetting(LANGUAGES),
  }),
  byName: true,
  summary: "F5-TTS on a server of yours: speaks with the speaker's own voice; English and Chinese.",
  licence: 'MIT AND CC-BY-NC-4.0',
  needs: [needsVariable(URL_FROM)],
  languages: tags(LANGUAGES),
  load: async (config, scope) => {
    const client = new HttpClient({ stage: 'synthesizer', engine: 'f5-tts', settings: config });
    const stock = castable(stockVoices(config.voices).filter(({ text }) => text !== ''));
    const path = `/v2/models/${config.model}/infer`;
    async function* say(text: string, prompt: Pick<Reference, 'pcm' | 'text'>, run: StageScope) {
      const { body, length } = question(text, prompt);
      const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': `${length}` };
      const accept = /^(|application\/(octet-stream|json))$/;
      await using answer = await client.send({ path, body, headers, accept, said: text }, run);
      yield* answered(client, answer);
    }
    return remoteSynthesizer(
      {
        engine: 'f5-tts',
        client,
        caps: { languages: tags(config.languages), streams: false, clonesVoice: true, marks: [], voices: Infinity },
        longest: 500,
        say: (line, run) => {
          // The length of the speech is reckoned from the words of the prompt: without them the model cannot work.
          const { pcm, rate, text } = excerpt(
            referenceFor(line, stock, ({ text }) => text !== ''),
            LONGEST_PROMPT,
          );
          return say(line.text, { pcm: resample(pcm, rate, RATE), text: `${text} ` }, run);
        },
      },
      scope,
    );
  },
});
