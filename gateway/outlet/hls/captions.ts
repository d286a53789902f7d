import type { Interval } from '../../../media/time.ts';
import { type Caption, type Shown, following, vttBlock } from '../../../pipeline/webvtt.ts';
import type { CueView } from '../../protocol.ts';
import { LOOK } from '../../transcript.ts';

/** Captions of one language that may still be needed. */
const MOST = 512;
/** RFC 8216bis §3.1.4: cues count on the same timeline as the samples of sound and pictures. */
const MAP = 'X-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000';

/** Captions of one language, cut as the media are. A caption that was written once keeps its times in every later piece. */
export class CaptionTrack {
  readonly #cues = new Map<string, Caption>();
  readonly #written = new Map<string, Shown>();
  #lost = 0;

  /** Captions that came after the media they belong to, or were too many. */
  get lost(): number {
    return this.#lost;
  }

  /** @param edge the captions before this are published */
  push(cue: CueView, edge: number): void {
    if (cue.draft || this.#written.has(cue.id)) return;
    if (cue.end <= edge) this.#lost += 1;
    this.#cues.set(cue.id, cue as unknown as Caption); // the same fields, without the types of time
    const oldest = this.#cues.keys().next();
    if (this.#cues.size > MOST && !oldest.done) {
      this.#cues.delete(oldest.value);
      this.#lost += 1;
    }
  }

  /** A whole file with the captions that are seen during `piece`, whole ones even where they begin before it. */
  file({ start, end }: Interval): Uint8Array {
    const shown = following([...this.#cues.values()])
      .map((cue) => this.#written.get(cue.id) ?? cue)
      .filter((cue) => cue.start < end && cue.end > start)
      .sort((a, b) => a.start - b.start);
    for (const cue of shown) this.#written.set(cue.id, cue);
    // Without a style sheet: FFmpeg 5 and GStreamer 1.22 find no caption behind one.
    return new TextEncoder().encode(`WEBVTT\n${MAP}\n` + shown.map((cue) => `\n${vttBlock(cue, LOOK)}`).join(''));
  }

  /** What ended before this is not asked for any more. */
  forget(before: number): void {
    for (const [id, cue] of this.#cues)
      if (cue.end <= before && (this.#written.get(id)?.end ?? 0) <= before) {
        this.#cues.delete(id);
        this.#written.delete(id);
      }
  }
}
