import { endOf } from '../../media/audio.ts';
import { type Anchor, type Clock, clockAt, mediaAt } from '../../media/clock.ts';
import { openFile } from '../../media/file.ts';
import type { Programme } from '../../media/programme.ts';
import { Packetizer } from '../../media/packetize.ts';
import type { Scope } from '../../media/scope.ts';
import { type MediaTime, type Span, at, earlier } from '../../media/time.ts';
import { type Sink, formatOf } from './source.ts';

export interface FileSourceOptions {
  readonly path: string;
  readonly loop: boolean;
  readonly clock: Clock;
  /** How late the programme is played. */
  readonly delay: Span;
  /** Go on with a programme that began so. */
  readonly resume?: Anchor | undefined;
}

/** A recorded programme, played as if it were live: every sample and every picture comes in when its time has come. */
export class FileSource {
  readonly #programme: Programme;
  readonly #options: FileSourceOptions;
  readonly #scope: Scope;
  #end: MediaTime;

  private constructor(programme: Programme, start: MediaTime, options: FileSourceOptions, scope: Scope) {
    this.#programme = programme;
    this.#options = options;
    this.#scope = scope;
    this.#end = start;
  }

  /** @throws Refusal when the file is not there or not media */
  static async open(options: FileSourceOptions, scope: Scope): Promise<FileSource> {
    const { path, loop, clock, delay, resume } = options;
    // A process that takes over begins where the play-head is: what comes in later than now follows at its time.
    const played = resume ? earlier(mediaAt(resume, clock.now()), delay) : at(0);
    const start = at(Math.max(0, played));
    return new FileSource(await openFile(path, { start, loop }, scope), start, options, scope);
  }

  /** Where the programme ends, as far as it has come in. */
  get end(): MediaTime {
    return this.#end;
  }

  /**
   * Plays to the end of the file, or of the scope.
   *
   * @param onFirst called once, before anything is handed to `sink`
   */
  async play(sink: Sink, onFirst: (anchor: Anchor) => void): Promise<void> {
    const { clock, resume } = this.#options;
    const { video } = this.#programme.info;
    const { signal } = this.#scope;
    const packetizer = video && new Packetizer(video.codec);
    let anchor: Anchor | undefined;
    sink.format(video ? formatOf(video.codec) : null);
    for await (const item of this.#programme) {
      if (!anchor) {
        anchor = resume ?? { media: this.#end, clock: clock.now() };
        onFirst(anchor);
      }
      const due = item.kind === 'audio' ? endOf(item) : item.start;
      await clock.until(clockAt(anchor, due), signal);
      this.#end = at(Math.max(this.#end, due));
      if (item.kind === 'audio') sink.audio(item);
      else if (packetizer) {
        sink.video({ start: item.start, keyFrame: item.keyFrame, payloads: packetizer.packetize(item.data) });
      }
    }
  }
}
