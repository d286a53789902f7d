import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Language } from '../../pipeline/domain.ts';

/** Real speech, as MEDIA.md lists it. */
export interface RealClip {
  readonly name: string;
  readonly file: string;
  readonly language: Language;
}

const CLIPS: readonly (readonly [name: string, file: string])[] = [
  ['englishvideo', 'talking/open-dubbing/englishvideo.mp4'],
  ['face1', 'talking/video-retalking/face1.mp4'],
  ['face2', 'talking/video-retalking/face2.mp4'],
  ['jfk', 'speech/faster-whisper/jfk.flac'],
  ['two women', 'diar/pyannote_sample/sample.wav'],
  ['librispeech', 'speech/librispeech_1089/1089-134686-0000.flac'],
  ['librispeech 2', 'speech/librispeech_1089/1089-134691-0001.flac'],
  ['librivox 1', 'align/librivox/sense_and_sensibility_01_austen_64kb-0870.wav'],
  ['librivox 2', 'align/librivox/sense_and_sensibility_01_austen_64kb-0880.wav'],
  ['eng', 'talking/musetalk/eng.wav'],
];

/** The clips that are there, and the files that are not. All are English. */
export function realClips(media: string): { readonly clips: readonly RealClip[]; readonly absent: readonly string[] } {
  const all = CLIPS.map(([name, file]) => ({ name, file: join(media, file), language: 'en' as Language }));
  return {
    clips: all.filter(({ file }) => existsSync(file)),
    absent: all.filter(({ file }) => !existsSync(file)).map(({ file }) => file),
  };
}
