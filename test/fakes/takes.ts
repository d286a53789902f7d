import { resample } from '../../media/resample.ts';
import { type MediaTime, type SampleRate, type Span, later } from '../../media/time.ts';
import { Espeak } from '../../models/speak/espeak-library.ts';
import { marksOf } from '../../models/speak/espeak.ts';
import { voiceFor } from '../../models/speak/espeak-voices.ts';
import type { Language, Line, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Take } from '../../pipeline/face.ts';
import { spoken } from '../../pipeline/fitter.ts';
import { phonemeTimes } from '../../pipeline/phoneme-times.ts';

/** A line that eSpeak NG says from `start` on, with its phonemes where they are heard; `length` makes the take go on in silence. */
export function takeOf(text: string, start: MediaTime, { language = 'es', length = 0 as Span } = {}): Take {
  const espeak = new Espeak();
  try {
    const said = espeak.say(text, { voice: voiceFor(language as Language)!, rate: 150, pitch: 50 });
    const rate = espeak.rate as SampleRate;
    const pcm = Float32Array.from(said.pcm, (x) => x / 32_768);
    const line = { text, language, start, end: start, utterance: 'u1', speaker: 's1' } as unknown as Line;
    const voice = spoken(line, pcm, rate, marksOf(text, said.events, 60_000_000));
    const end = later(start, voice.natural.length);
    return {
      utterance: 'u1' as UtteranceId,
      speaker: 's1' as SpeakerId,
      language: language as Language,
      start,
      end: Math.max(end, start + length) as MediaTime,
      clip: { start, end },
      pcm: resample(voice.pcm, rate, 16_000),
      phonemes: phonemeTimes(
        voice.phonemes ?? [],
        [{ from: 0 as Span, to: voice.natural.length, at: start, speed: 1 }],
        end,
      ),
    };
  } finally {
    espeak.close();
  }
}
