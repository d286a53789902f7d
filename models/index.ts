import { entry } from '../media/entry.ts';
import { apertium } from './translate/apertium.ts';
import { cosyvoice } from './speak/cosyvoice.ts';
import { ctcAligner } from './align/ctc-aligner.ts';
import { voices } from './speakers/diarizer-voices.ts';
import { deepl } from './translate/deepl.ts';
import { deepfilternet } from './clean/deepfilternet.ts';
import { elevenlabs } from './speak/elevenlabs.ts';
import { type Engine, EngineRegistry } from './engine.ts';
import { espeak } from './speak/espeak.ts';
import { faces } from './see/faces.ts';
import { f5tts } from './speak/f5-tts.ts';
import { fishSpeech } from './speak/fish-speech.ts';
import { flite } from './speak/flite.ts';
import { fsmnVad } from './detect/fsmn-vad.ts';
import { gtcrn } from './clean/gtcrn.ts';
import { codeformer } from './restore/codeformer.ts';
import { gfpgan } from './restore/gfpgan.ts';
import { gpen } from './restore/gpen.ts';
import { identity } from './translate/identity.ts';
import { llmTranslator } from './translate/llm-translator.ts';
import { lrAsd } from './see/lr-asd.ts';
import { m2m100, nllb } from './translate/m2m100.ts';
import { indexTts } from './speak/index-tts.ts';
import { latentsync, sadtalker, videoRetalking } from './lips/remote.ts';
import { kokoro } from './speak/kokoro.ts';
import { mdxNet } from './clean/mdx-net.ts';
import { mouthMotion } from './see/mouth-motion.ts';
import { minterpolate } from './interpolate/minterpolate.ts';
import { rife } from './interpolate/rife.ts';
import { musetalk } from './lips/musetalk.ts';
import { openaiRecognizer } from './recognize/openai-recognizer.ts';
import { openaiSpeech } from './speak/openai-speech.ts';
import { phoneAligner } from './align/phone-aligner.ts';
import { opusMt } from './translate/opus-mt.ts';
import { piper } from './speak/piper.ts';
import { pocketsphinx } from './recognize/pocketsphinx.ts';
import { pyannote } from './speakers/pyannote.ts';
import { rnnoise } from './clean/rnnoise.ts';
import { sharpen } from './restore/sharpen.ts';
import { silero } from './detect/silero.ts';
import { tenVad } from './detect/ten-vad.ts';
import { warp } from './lips/warp.ts';
import { wav2lip } from './lips/wav2lip.ts';
import { whisper } from './recognize/whisper.ts';
import { zipformer } from './recognize/zipformer.ts';
import { zipvoice } from './speak/zipvoice.ts';

/**
 * Every engine there is. Of one kind, the order is the order of preference: the first that can do what is wanted and
 * is installed is what a session gets when it names none.
 */
export const engines: readonly Engine[] = [
  // Engines that hear.
  silero,
  fsmnVad,
  tenVad,
  rnnoise,
  deepfilternet,
  gtcrn,
  mdxNet,
  voices,
  pyannote,
  pocketsphinx,
  whisper,
  zipformer,
  openaiRecognizer,
  phoneAligner,
  ctcAligner,

  // Engines that translate and speak. Flite knows English alone and says it more clearly.
  apertium,
  identity,
  opusMt,
  m2m100,
  nllb,
  llmTranslator,
  deepl,
  flite,
  espeak,
  piper,
  kokoro,
  zipvoice,

  // Synthesizers on servers: those of one's own, then services.
  cosyvoice,
  fishSpeech,
  indexTts,
  f5tts,
  elevenlabs,
  openaiSpeech,

  // Engines that tell whose mouth goes with the voice.
  lrAsd,
  mouthMotion,
  // Engines that see.
  faces,
  // Engines that restore a driven mouth and that make pictures between pictures. What needs no network comes first.
  sharpen,
  gpen,
  codeformer,
  gfpgan,
  minterpolate,
  rife,
  // Engines that drive lips: on the CPU, by servers of one's own, by networks that draw.
  warp,
  latentsync,
  videoRetalking,
  sadtalker,
  musetalk,
  wav2lip,
];

export const registry = (): EngineRegistry => new EngineRegistry(engines, entry('./index.ts', import.meta.url));
