import { type Span, seconds } from '../../media/time.ts';
import { SEGMENTING } from '../../pipeline/segmenter.ts';
import { CLOSING } from '../../pipeline/utterances.ts';

/** From an utterance's last word to its dub in place: words settle about 1.1 s after they were said, the rest is quick. */
const TURNAROUND = seconds(1.7);
/** How long speech may get before it is cut: what takes longer to say than the delay leaves could never be dubbed. */
export function within(delay: Span) {
  const longest = Math.max(seconds(1.2), Math.min(CLOSING.longest, delay - TURNAROUND)) as Span;
  return { closing: { longest }, segmenting: { longest: Math.min(SEGMENTING.longest, longest + seconds(1)) as Span } };
}
