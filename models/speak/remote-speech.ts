import { z } from 'zod';
import { type Span, at, ms, samples } from '../../media/time.ts';
import type { SampleRate } from '../../media/time.ts';
import type { Scope } from '../../media/scope.ts';
import type { Language, Line, Speech, SpeechMark } from '../../pipeline/domain.ts';
import type { Stage, StageMap, StageScope } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import type { HttpClient } from '../service/http.ts';
import { serves } from '../languages.ts';
import { type PcmFormat, PcmStream } from './pcm-stream.ts';

/** A piece of a line's speech as a server sent it. */
export interface Piece {
  readonly pcm: Float32Array;
  readonly rate: SampleRate;
  /** Offsets from the line's first sample. */
  readonly marks?: readonly SpeechMark[];
}

export interface RemoteSpeech {
  readonly engine: string;
  readonly client: HttpClient;
  readonly caps: Omit<StageMap['synthesizer']['caps'], 'lookahead'>;
  /** Longest line the server takes, characters. */
  readonly longest: number;
  /** What the server says of a line, as it comes. */
  readonly say: (line: Line, scope: StageScope) => AsyncIterable<Piece>;
}

/** The media types of samples; some servers name none. */
export const SAMPLES = /^(|audio\/(wav|wave|x-wav|vnd\.wave|pcm|x-pcm|l16)|application\/octet-stream)$/;

/** A setting: languages a server was trained for, where that is not the usual. */
export const languagesSetting = (usual: readonly string[]) =>
  z
    .array(z.string().min(2).max(35))
    .min(1)
    .default([...usual])
    .describe('Languages the model on the server speaks, BCP 47.');

/**
 * Nobody speaks for longer than this: 10 s and half a second for each character. A server that goes on has lost itself,
 * as models that speak one token at a time do.
 */
const longestSpeech = (text: string): Span => ms(10_000 + 500 * [...text].length);

/** A body of samples as pieces of speech. */
export async function* piecesOf(
  bytes: AsyncIterable<Uint8Array>,
  assumed: PcmFormat,
): AsyncGenerator<Piece, void, void> {
  const stream = new PcmStream(assumed);
  for await (const each of bytes) {
    const pcm = stream.push(each);
    if (pcm.length > 0) yield { pcm, rate: stream.rate };
  }
  const rest = stream.end();
  if (rest.length > 0) yield { pcm: rest, rate: stream.rate };
}

/**
 * A synthesizer that is somewhere else: lines one after the other, each passed on as it comes.
 *
 * A line in a language the server does not speak, one that is too long and one that is answered with no sound, with what
 * is no sound or without end are `rejected`.
 */
export function remoteSynthesizer(speech: RemoteSpeech, life: Scope): Stage<'synthesizer'> {
  const { engine, client, caps, longest } = speech;
  const refused = (message: string, cause?: unknown) => client.fault('rejected', message, cause);

  async function* say(line: Line, scope: StageScope): AsyncGenerator<Speech, void, void> {
    const limit = longestSpeech(line.text);
    let count = 0;
    let rate: SampleRate = 24_000;
    for await (const piece of speech.say(line, scope)) {
      if (count > 0 && piece.rate !== rate) throw refused('the server changed its sample rate in the middle of a line');
      rate = piece.rate;
      const start = samples(count, rate);
      count += piece.pcm.length;
      const end = samples(count, rate);
      if (end > limit) throw refused(`the server went on for longer than ${limit / 1e6} s about one line`);
      const marks = (piece.marks ?? []).map((mark) => ({ ...mark, offset: Math.min(mark.offset, end) }));
      yield { line, chunk: { start: at(start), rate, pcm: piece.pcm }, marks, last: false };
    }
    if (count === 0) throw refused('the server answered with no sound');
    client.spent({ characters: [...line.text].length, seconds: count / rate });
    yield { line, chunk: { start: at(samples(count, rate)), rate, pcm: new Float32Array(0) }, marks: [], last: true };
  }

  return {
    kind: 'synthesizer',
    engine,
    caps: { lookahead: ms(0), ...caps },
    async *run(input, { signal: wanted, clock }) {
      const signal = AbortSignal.any([wanted, life.signal]);
      for await (const line of until(input, signal)) {
        const known = caps.languages;
        if (known !== 'any' && !known.some((each) => serves(each, line.language))) {
          throw refused(`does not speak ${line.language}; it speaks ${known.join(', ')}`);
        }
        if (line.text.length > longest) throw refused(`takes no more than ${longest} characters at once`);
        if (line.text.trim() === '') {
          const pcm = new Float32Array(0);
          yield { line, chunk: { start: at(0), rate: 24_000, pcm }, marks: [], last: true };
          continue;
        }
        try {
          yield* say(line, { signal, clock });
        } catch (thrown) {
          if (wanted.aborted) return;
          if (thrown instanceof RangeError) throw refused(thrown.message, thrown);
          if (signal.aborted) throw client.fault('broken', 'the engine is closed');
          throw thrown;
        }
      }
    },
  };
}

export const tags = (languages: readonly string[]): readonly Language[] => languages as readonly Language[];
