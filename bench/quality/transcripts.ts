import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A recording of English and what is said in it. */
export interface Transcribed {
  /** The set of recordings that it belongs to. */
  readonly set: string;
  readonly file: string;
  readonly text: string;
}

const LIBRIVOX = ['0870', '0880', '0890', '0920', '0930'].map((n) => `sense_and_sensibility_01_austen_64kb-${n}`);
const CHAPTERS = ['1089-134686', '1089-134691'];

/** English recordings with their texts, as `shared/media` has them: four of LibriSpeech, five of LibriVox, two more. */
export function transcribed(media: string): Transcribed[] {
  const speech = join(media, 'speech');
  const librispeech = CHAPTERS.flatMap((chapter) => {
    const folder = join(speech, 'librispeech_1089');
    return readIfThere(join(folder, `${chapter}.trans.txt`))
      .split('\n')
      .filter(Boolean)
      .map((line) => {
        const [id = '', ...words] = line.split(' ');
        return { set: 'librispeech_1089', file: join(folder, `${id}.flac`), text: words.join(' ') };
      });
  });
  const librivox = LIBRIVOX.map((name) => {
    const file = join(media, 'align/librivox', name);
    return { set: 'librivox', file: `${file}.wav`, text: readIfThere(`${file}.txt`).trim() };
  });
  const others = [
    {
      set: 'jfk',
      file: join(speech, 'faster-whisper/jfk.flac'),
      text: 'And so my fellow Americans ask not what your country can do for you ask what you can do for your country',
    },
    {
      set: 'vosk_test',
      file: join(speech, 'vosk_test.wav'),
      text: 'one zero zero zero one nine oh two one oh zero one eight zero three',
    },
  ];
  return [...librispeech, ...librivox, ...others].filter(({ file }) => existsSync(file));
}
const readIfThere = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '');
