import { createRequire } from 'node:module';
import type { SampleRate } from '../../media/time.ts';
import type { Reference } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import type { Need } from '../engine.ts';

/**
 * The one door to sherpa-onnx, which runs whole families of speech models on an onnxruntime of its own.
 *
 * Its calls block, so engines that use it are hosted in a thread. It ends the whole process when a file is not what it
 * expects, so nothing is given to it that `sherpa-files.ts` has not looked at. Its asynchronous calls are not used: a
 * thread that is terminated during one takes the process with it (`Napi::Error`, 1.13.8), which a blocking call does not.
 *
 * @see https://k2-fsa.github.io/sherpa/onnx/index.html
 */

const PACKAGE = 'sherpa-onnx-node';

/** The npm package, which brings its native part for this platform. */
export const needsSherpa: Need = {
  install: `npm package ${PACKAGE}`,
  present: () => {
    try {
      createRequire(import.meta.url).resolve(PACKAGE);
      return true;
    } catch {
      return false;
    }
  },
};

/** The files and numbers of a synthesizer. Paths are of files that have been looked at. */
export type VoiceFiles =
  | {
      readonly vits: {
        readonly model: string;
        readonly tokens: string;
        readonly dataDir: string;
        readonly noiseScale: number;
        readonly noiseScaleW: number;
      };
    }
  | {
      readonly kokoro: {
        readonly model: string;
        readonly voices: string;
        readonly tokens: string;
        readonly dataDir: string;
        readonly lexicon: string;
        readonly lang: string;
      };
    }
  | {
      readonly zipvoice: {
        readonly encoder: string;
        readonly decoder: string;
        readonly vocoder: string;
        readonly tokens: string;
        readonly dataDir: string;
        readonly lexicon: string;
      };
    };

export interface Saying {
  readonly text: string;
  /** Which of the model's speakers, from 0. */
  readonly speaker?: number;
  /** For models of several languages: which of eSpeak NG's voices to pronounce like. */
  readonly pronounced?: string;
  /** 1 is the voice's own. */
  readonly speed: number;
  /** For models that clone: whose voice, and what is said in it. */
  readonly reference?: Pick<Reference, 'pcm' | 'rate' | 'text'>;
  /** For models that clone: how often the speech is refined. */
  readonly steps?: number;
}

export interface Voice {
  readonly rate: SampleRate;
  readonly speakers: number;
  /** Blocks until all of it is said. Empty when the model could make nothing of the text. */
  say(saying: Saying): Float32Array;
}

/** What a transducer has made of a stream up to now; tokens that are there do not change with greedy search. */
export interface Heard {
  /** Pieces of words; a blank begins a word. */
  readonly tokens: readonly string[];
  /** When each was found, seconds from the stream's first sample. */
  readonly times: readonly number[];
}
export interface Ear {
  /** Samples of 16 kHz that follow those before. Blocks while it decodes. */
  hear(pcm: Float32Array): void;
  heard(): Heard;
}
export interface TransducerFiles {
  readonly encoder: string;
  readonly decoder: string;
  readonly joiner: string;
  readonly tokens: string;
}

async function library(stage: StageKind) {
  try {
    return (await import('sherpa-onnx-node')).default;
  } catch (cause) {
    const message = `Cannot load sherpa-onnx: install the npm package ${PACKAGE} and its part for this platform`;
    throw new Fault(stage, 'unavailable', message, { cause });
  }
}
/** Runs what opens a model; what is wrong with its settings is a `Fault`. */
function opened<T>(stage: StageKind, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new Fault(stage, 'broken', `sherpa-onnx does not take the model: ${why}`, { cause });
  }
}

const RATES: readonly number[] = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] satisfies SampleRate[];

/** Opens a synthesizer. It is let go of when nothing refers to it any more. */
export async function openVoice(files: VoiceFiles, threads: number): Promise<Voice> {
  const { OfflineTts } = await library('synthesizer');
  const config = { model: { ...files, numThreads: threads, provider: 'cpu', debug: false }, maxNumSentences: 1 };
  const tts = opened('synthesizer', () => new OfflineTts(config));
  const rate = tts.sampleRate;
  if (!RATES.includes(rate))
    throw new Fault('synthesizer', 'broken', `the model speaks at ${rate} Hz, which nobody plays`);
  return {
    rate: rate as SampleRate,
    speakers: Math.max(1, tts.numSpeakers),
    say({ text, speaker = 0, pronounced, speed, reference, steps }) {
      // Pauses stay as the model made them; left out they become a fifth.
      const generationConfig = {
        sid: speaker,
        speed,
        silenceScale: 1,
        ...(pronounced !== undefined && { extra: { lang: pronounced } }),
        ...(steps !== undefined && { numSteps: steps }),
        ...(reference && {
          referenceAudio: reference.pcm,
          referenceSampleRate: reference.rate,
          referenceText: reference.text,
        }),
      };
      // Memory of its own rather than the library's, so that it can be given to another thread.
      return tts.generate({ text, enableExternalBuffer: false, generationConfig }).samples;
    },
  };
}

/** Opens a streaming transducer; each call of what comes back listens to a new stream. */
export async function openTransducer(files: TransducerFiles, threads: number): Promise<() => Ear> {
  const { OnlineRecognizer } = await library('recognizer');
  const { tokens, ...transducer } = files;
  const recognizer = opened(
    'recognizer',
    () =>
      new OnlineRecognizer({
        featConfig: { sampleRate: 16_000, featureDim: 80 },
        modelConfig: { transducer, tokens, numThreads: threads, provider: 'cpu', debug: false },
        // The other search may change what it has said.
        decodingMethod: 'greedy_search',
        // Where speech ends is the detector's to say.
        enableEndpoint: false,
      }),
  );
  return () => {
    const stream = recognizer.createStream();
    return {
      hear(pcm) {
        stream.acceptWaveform({ samples: pcm, sampleRate: 16_000 });
        while (recognizer.isReady(stream)) recognizer.decode(stream);
      },
      heard() {
        const { tokens: found, timestamps } = recognizer.getResult(stream);
        return { tokens: found, times: timestamps };
      },
    };
  };
}
