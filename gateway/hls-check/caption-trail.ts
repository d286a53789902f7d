import type { Piece } from './media-rules.ts';
import type { Find, Finding } from './rules.ts';
import { type VttCue, vttFindings, vttOf } from './vtt-rules.ts';

/** The captions of one rendition in order, and what is wrong with them. */
export class CaptionTrail {
  readonly cues = new Map<string, VttCue>();
  readonly #at: string;

  constructor(at: string) {
    this.#at = at;
  }

  /** @param offset date less media time, seconds, where that is known */
  push(piece: Piece, offset: number | undefined): Finding[] {
    const vtt = vttOf(new TextDecoder().decode(piece.body));
    const start = piece.date === undefined || offset === undefined ? undefined : piece.date / 1_000 - offset;
    const period = start === undefined ? undefined : { start, end: start + piece.duration };
    for (const cue of vtt.cues) this.cues.set(cue.id || `${cue.start} ${cue.text}`, cue);
    return vttFindings(piece.name, vtt, period, this.#at);
  }
}

/** A whole segment holds the cues of its parts. */
export function captionsLost(number: number, whole: Uint8Array, parts: readonly Uint8Array[], find: Find): Finding[] {
  const ids = (body: Uint8Array) =>
    vttOf(new TextDecoder().decode(body)).cues.map(({ id, start, end }) => `${id} ${start} ${end}`);
  const held = new Set(ids(whole));
  const lost = parts.flatMap(ids).find((id) => !held.has(id));
  return lost === undefined ? [] : [find('parts-unlike', `segment ${number} lacks cue ${lost} of its parts`)];
}
