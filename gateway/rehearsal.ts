import { type FileHandle, open } from 'node:fs/promises';
import { Subject } from 'rxjs';
import { bytesFrom, samplesFrom } from '../media/bytes.ts';
import type { Scope } from '../media/scope.ts';
import type { Language, Speech, UtteranceId } from '../pipeline/domain.ts';
import { type SpokenLine, wholeLines } from '../pipeline/fitter.ts';
import type { Stage } from '../pipeline/stage.ts';

/** A line without its sound, which lies in the file. */
interface Kept {
  readonly spoken: Omit<SpokenLine, 'pcm'>;
  /** In bytes. */
  readonly offset: number;
  readonly length: number;
}

/**
 * What a synthesizer said, to be fitted again and again: the sound in a file, the rest in memory.
 *
 * An hour of speech is 320 MB at 22 kHz.
 */
export class Rehearsal {
  readonly language: Language;
  readonly #file: FileHandle;
  readonly #kept = new Map<UtteranceId, Kept[]>();
  #size = 0;

  constructor(language: Language, file: FileHandle) {
    this.language = language;
    this.#file = file;
  }

  /** The same stage, overheard. */
  overhear(stage: Stage<'synthesizer'>): Stage<'synthesizer'> {
    const keep = (spoken: SpokenLine) => this.#keep(spoken);
    return {
      kind: stage.kind,
      engine: stage.engine,
      get caps() {
        return stage.caps;
      },
      ...(stage.standIn && { standIn: stage.standIn }),
      async *run(input, scope) {
        const speech$ = new Subject<Speech>();
        let kept = Promise.resolve();
        speech$.pipe(wholeLines()).subscribe((spoken) => {
          kept = keep(spoken);
        });
        for await (const speech of stage.run(input, scope)) {
          speech$.next(speech);
          await kept;
          yield speech;
        }
      },
    };
  }

  /** Every line in the order in which it was first said; of one said more than once the one whose text `said` names, else the last. */
  async *lines(said: ReadonlyMap<UtteranceId, string>): AsyncGenerator<SpokenLine, void, void> {
    for (const [utterance, takes] of this.#kept) {
      const text = said.get(utterance);
      const take = takes.findLast(({ spoken }) => spoken.line.text === text) ?? takes.at(-1);
      if (!take) continue;
      const { buffer } = await this.#file.read(new Uint8Array(take.length), 0, take.length, take.offset);
      yield { ...take.spoken, pcm: samplesFrom(buffer, 'f32le') };
    }
  }

  async #keep({ pcm, ...spoken }: SpokenLine): Promise<void> {
    const bytes = bytesFrom(pcm, 'f32le');
    const offset = this.#size;
    this.#size += bytes.length;
    const { reference: _, ...line } = spoken.line;
    const takes = this.#kept.get(line.utterance) ?? [];
    this.#kept.set(line.utterance, [...takes, { spoken: { ...spoken, line }, offset, length: bytes.length }]);
    if (bytes.length > 0) await this.#file.write(bytes, 0, bytes.length, offset);
  }
}

/** @param path a file that may be lost with `scope` */
export async function rehearsal(language: Language, path: string, scope: Scope): Promise<Rehearsal> {
  const file = await open(path, 'w+');
  scope.defer(() => file.close());
  return new Rehearsal(language, file);
}
