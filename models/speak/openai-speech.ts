import { z } from 'zod';
import type { Line, Register } from '../../pipeline/domain.ts';
import { defineEngine } from '../engine.ts';
import { byName, voiceOf } from './cast-voices.ts';
import { NATURAL, livelinessOf, rateOf } from './delivery.ts';
import { HttpClient, serverSettings } from '../service/http.ts';
import { type Service, needsVariable } from '../service/keys.ts';
import { SAMPLES, languagesSetting, piecesOf, remoteSynthesizer, tags } from './remote-speech.ts';

const OPENAI: Service = { url: 'https://api.openai.com/v1', variable: 'OPENAI_API_KEY' };

/** Those the guide to text to speech lists; the models follow Whisper in this. */
const LANGUAGES =
  'en es fr de it pt nl pl ru uk ar zh ja ko hi tr sv da fi no cs sk hu ro el he id ms vi th tl ta ur fa bg ca gl hr sr bs ' +
  'mk sl lt lv et is az be kk hy sw mi mr ne kn cy af';

/** The voices by how they are heard; OpenAI does not say. */
const REGISTERS: Readonly<Record<string, Register>> = {
  onyx: 'male',
  nova: 'female',
  echo: 'male',
  shimmer: 'female',
  ash: 'male',
  coral: 'female',
  fable: 'male',
  sage: 'female',
  cedar: 'male',
  marin: 'female',
  alloy: 'female',
  ballad: 'male',
  verse: 'male',
};
/** Those every model that is offered now has. */
const VOICES = Object.keys(REGISTERS).filter((name) => !['ballad', 'verse'].includes(name));

/** From this much energy on, either way, a line is asked for with it. */
const TELLING = 3;
/** How a line with much or little energy is to be said; nothing for others, and for models that take no instructions. */
function moodOf(model: string, line: Line): string | undefined {
  const energy = livelinessOf(line);
  if (/^tts-1/.test(model) || Math.abs(energy) < TELLING) return undefined;
  return energy > 0
    ? 'Speak this with noticeably more energy than usual.'
    : 'Speak this more quietly and calmly than usual.';
}

/**
 * Speech by OpenAI's API or any server that has the same: `POST /audio/speech` with `response_format: pcm`, which comes as
 * 24 kHz 16-bit samples while it is made. `speed` may be 0.25 … 4 and is sent where a line asks for another rate; a model
 * that does not heed it says the line at its own.
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
    voices: z
      .array(z.string().min(1).max(120))
      .min(1)
      .default(VOICES)
      .describe('Voices to speak with; those we do not know count as men and women in turn.'),
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
    const ensemble = byName(voices, REGISTERS);
    const told = (line: Line) => [instructions, moodOf(model, line)].filter(Boolean).join(' ');
    const client = new HttpClient({ stage: 'synthesizer', engine: 'openai', settings: config, service: OPENAI });
    return remoteSynthesizer(
      {
        engine: `openai ${model}`,
        client,
        caps: {
          languages: tags(languages),
          streams: true,
          clonesVoice: false,
          marks: [],
          voices: voices.length,
          rates: NATURAL,
          guides: true,
        },
        longest: 4_096,
        say: (line, run) =>
          piecesOf(
            client.stream(
              {
                path: '/audio/speech',
                json: {
                  model,
                  input: line.text,
                  voice: voiceOf(line, ensemble),
                  response_format: 'pcm',
                  ...(rateOf(line) !== 1 && { speed: rateOf(line) }),
                  ...(told(line) !== '' && { instructions: told(line) }),
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
