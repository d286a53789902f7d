import { z } from 'zod';
import { defineEngine } from '../engine.ts';
import { placeOf } from './espeak-voices.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { type Service, needsVariable } from '../service/keys.ts';
import { SAMPLES, languagesSetting, piecesOf, remoteSynthesizer, tags } from './remote-speech.ts';

const OPENAI: Service = { url: 'https://api.openai.com/v1', variable: 'OPENAI_API_KEY' };

/** Those the guide to text to speech lists; the models follow Whisper in this. */
const LANGUAGES =
  'en es fr de it pt nl pl ru uk ar zh ja ko hi tr sv da fi no cs sk hu ro el he id ms vi th tl ta ur fa bg ca gl hr sr bs ' +
  'mk sl lt lv et is az be kk hy sw mi mr ne kn cy af';

/** Men's and women's voices in turn, so that the first speakers are the easiest to tell apart. */
const VOICES = ['onyx', 'nova', 'echo', 'shimmer', 'ash', 'coral', 'fable', 'sage', 'cedar', 'marin', 'alloy'];

/**
 * Speech by OpenAI's API or any server that has the same: `POST /audio/speech` with `response_format: pcm`, which comes as
 * 24 kHz 16-bit samples while it is made.
 *
 * @see https://platform.openai.com/docs/api-reference/audio/createSpeech
 * @see https://github.com/openai/openai-openapi/blob/f85dbe223d40e1a31cba812ab2d755c7e98a92a3/openapi.yaml CreateSpeechRequest
 */
export const openaiSpeech = defineEngine({
  kind: 'synthesizer',
  id: 'openai',
  host: 'inline',
  config: z.strictObject({
    ...serverSettings(OPENAI.url),
    model: z.string().min(1).max(120).default('gpt-4o-mini-tts').describe('Model, as the server calls it.'),
    voices: z.array(z.string().min(1).max(120)).min(1).default(VOICES).describe('Voices to give to speakers in turn.'),
    instructions: z.string().max(4_096).optional().describe('How to speak; not for tts-1 and tts-1-hd.'),
    rate: z
      .literal([8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
      .default(24_000)
      .describe('Sample rate of what the server calls pcm.'),
    languages: languagesSetting(LANGUAGES.split(' ')),
  }),
  byName: true,
  summary: 'OpenAI speech, or any server with the same API: many languages, stock voices.',
  licence: 'LicenseRef-OpenAI-Terms',
  needs: [needsVariable(OPENAI.variable)],
  languages: tags(LANGUAGES.split(' ')),
  load: async (config, scope) => {
    const { voices, model, instructions, rate, languages } = config;
    const client = new HttpClient({ stage: 'synthesizer', engine: 'openai', settings: config, service: OPENAI });
    return remoteSynthesizer(
      {
        engine: `openai ${model}`,
        client,
        caps: { languages: tags(languages), streams: true, clonesVoice: false, marks: [], voices: voices.length },
        longest: 4_096,
        say: (line, run) =>
          piecesOf(
            client.stream(
              {
                path: '/audio/speech',
                json: {
                  model,
                  input: line.text,
                  voice: voices[placeOf(line.speaker, voices.length)],
                  response_format: 'pcm',
                  ...(instructions !== undefined && { instructions }),
                },
                accept: SAMPLES,
                said: line.text,
              },
              run,
            ),
            { rate, format: 's16le' },
          ),
      },
      scope,
    );
  },
});
