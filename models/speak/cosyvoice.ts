import { z } from 'zod';
import { defineEngine } from '../engine.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { needsVariable } from '../service/keys.ts';
import { excerpt, wavOf } from './reference-audio.ts';
import { SAMPLES, languagesSetting, piecesOf, remoteSynthesizer, tags } from './remote-speech.ts';
import { castable, referenceFor, stockVoices } from './stock-voices.ts';

const URL_FROM = 'LIVEDUB_COSYVOICE_URL';
const LANGUAGES = ['zh', 'en', 'ja', 'ko', 'yue'];
/** The server refuses a prompt of more than thirty seconds (`_extract_speech_token`). */
const LONGEST_PROMPT = 28;

/**
 * CosyVoice 2 by the FastAPI server of its repository: a form with the text and a recording of the voice goes in, 16-bit
 * samples without a header come out, sentence by sentence. There is no language in it; the model hears it in the text.
 *
 * With the words of the recording `/inference_zero_shot`, without them `/inference_cross_lingual`, and with an instruction
 * `/inference_instruct2`.
 *
 * @see https://github.com/FunAudioLLM/CosyVoice/blob/ace7c47f41bbd303aa6bf1ea80e6f9fbd595cd40/runtime/python/fastapi/server.py
 */
export const cosyvoice = defineEngine({
  kind: 'synthesizer',
  id: 'cosyvoice',
  host: 'inline',
  config: z.strictObject({
    ...serverSettings('http://127.0.0.1:50000', URL_FROM),
    instruction: z
      .string()
      .min(1)
      .max(500)
      .optional()
      .describe('How to speak, in words; the model then heeds the words of the reference no more.'),
    voices: z.array(z.string().min(1)).min(1).optional().describe('Stock voices to use, by name; all unless said.'),
    rate: z.literal([22_050, 24_000]).default(24_000).describe("The model's sample rate; 22050 for CosyVoice-300M."),
    languages: languagesSetting(LANGUAGES),
  }),
  byName: true,
  summary: "CosyVoice 2 on a server of yours: speaks with the speaker's own voice; Chinese, English, Japanese, Korean.",
  licence: 'Apache-2.0',
  needs: [needsVariable(URL_FROM)],
  languages: tags(LANGUAGES),
  load: async (config, scope) => {
    const { instruction, rate, languages } = config;
    const client = new HttpClient({ stage: 'synthesizer', engine: 'cosyvoice', settings: config });
    const stock = castable(stockVoices(config.voices));
    return remoteSynthesizer(
      {
        engine: 'cosyvoice',
        client,
        caps: { languages: tags(languages), streams: true, clonesVoice: true, marks: [], voices: Infinity },
        longest: 2_000,
        say: (line, run) => {
          const prompt = excerpt(referenceFor(line, stock), LONGEST_PROMPT);
          const form = new FormData();
          form.set('tts_text', line.text);
          form.set('prompt_wav', wavOf(prompt), 'prompt.wav');
          let path = '/inference_cross_lingual';
          if (instruction !== undefined) {
            path = '/inference_instruct2';
            form.set('instruct_text', `${instruction}<|endofprompt|>`);
          } else if (prompt.text !== '' && prompt.whole) {
            // Words that only nearly are those of the recording make the model say what is left over.
            path = '/inference_zero_shot';
            form.set('prompt_text', prompt.text);
          }
          return piecesOf(client.stream({ path, body: form, accept: SAMPLES, said: line.text }, run), {
            rate,
            format: 's16le',
          });
        },
      },
      scope,
    );
  },
});
