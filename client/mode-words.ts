import type { FitView, LipsView, LoudnessView, ModeView, SessionState, StatsView } from '../gateway/protocol.ts';

/** A mode as a person would say it: a few words for the badge, and a sentence when something is missing. */
export interface ModeWords {
  readonly badge: string;
  readonly tone: 'good' | 'reduced';
  readonly explanation: string | null;
}

export function modeWords(mode: ModeView): ModeWords {
  const lips = mode.video === 'driven' ? ', lips in sync' : '';
  if (mode.audio === 'dubbed') {
    if (mode.text !== 'none' && mode.quality === 'full') {
      return { badge: `dubbed${lips}`, tone: 'good', explanation: null };
    }
    if (mode.text !== 'none') {
      return {
        badge: `dubbed${lips}, simpler engines`,
        tone: 'reduced',
        explanation: 'Part of the dubbing is done by a simpler engine at the moment.',
      };
    }
    return {
      badge: `dubbed${lips}, no captions`,
      tone: 'reduced',
      explanation: 'Captions are not available at the moment.',
    };
  }
  switch (mode.text) {
    case 'translated':
      return {
        badge: 'original voice, translated captions',
        tone: 'reduced',
        explanation:
          'The dubbing voice is not available at the moment. You hear the original with translated captions.',
      };
    case 'transcribed':
      return {
        badge: 'original voice, original captions',
        tone: 'reduced',
        explanation:
          'Translation is not available at the moment. You hear the original with captions in its own language.',
      };
    case 'none':
      return {
        badge: 'original voice',
        tone: 'reduced',
        explanation: 'Dubbing and captions are not available at the moment. You hear the original.',
      };
  }
}

/** "5.0 s behind". */
export function delayWords(stats: StatsView): string {
  return `${(stats.delay.measured ?? stats.delay.wanted).toFixed(1)} s behind`;
}

/** The lateness and where it may go: "5.02 s (set to 5 s, up to 10 s); 3.4 s is the least the engines need". */
export function latenessWords({ measured, wanted, configured, least, most, lookahead }: StatsView['delay']): string {
  const now = `${(measured ?? wanted).toFixed(2)} s`;
  const range = `${brief(least)} to ${brief(most)} s`;
  const set = configured === 'auto' ? `by itself, ${range}` : `set to ${brief(configured)} s, up to ${brief(most)} s`;
  const moving = measured !== null && Math.abs(wanted - measured) > 0.1 ? `, on its way to ${wanted.toFixed(2)} s` : '';
  return `${now}${moving} (${set}); the engines need ${lookahead.toFixed(1)} s`;
}

/** "the source’s clock is 12 ppm fast". */
export const driftWords = (drift: number | null): string | null =>
  drift === null
    ? null
    : Math.round(drift) === 0
      ? 'the source’s clock keeps time'
      : `the source’s clock is ${Math.abs(drift).toFixed(0)} ppm ${drift > 0 ? 'fast' : 'slow'}`;

/** "-23.1 LUFS now -23.9, peak -1.2 dBTP", with the sign as it is written. */
export function loudnessWords({ momentary, integrated, truePeak }: LoudnessView): string | null {
  const parts = [
    integrated !== null && `${signed(integrated)} LUFS`,
    momentary !== null && `${signed(momentary)} now`,
    truePeak !== null && `peak ${signed(truePeak)} dBTP`,
  ].filter(Boolean);
  return parts.length > 0 ? parts.join(' · ') : null;
}

/** What it took to make lines fit, of all languages, most first; `null` before the first. */
export function fitWords({ rungs, withinSpeed }: FitView): string | null {
  const counts: Record<string, number> = {};
  for (const each of Object.values(rungs))
    for (const [rung, count] of Object.entries(each)) counts[rung] = (counts[rung] ?? 0) + count;
  const parts = Object.entries(counts)
    .sort(([, a], [, b]) => b - a)
    .map(([rung, count]) => `${count} ${RUNG_WORDS[rung] ?? rung}`);
  if (parts.length === 0 || withinSpeed === null) return null;
  return `${parts.join(' · ')}; ${(withinSpeed * 100).toFixed(0)} % whole and at a natural speed`;
}

/** What became of the pictures in which mouths were to move with the dub; `null` before the first. */
export function lipsWords({ pictures, driven, left }: LipsView): string | null {
  if (pictures === 0) return null;
  const why = Object.entries(left)
    .filter(([, seconds]) => seconds >= 0.05)
    .sort(([, a], [, b]) => b - a)
    .map(([reason, seconds]) => `${LEFT_WORDS[reason] ?? reason} ${brief(seconds)} s`);
  const share = `${((driven / pictures) * 100).toFixed(0)} % of ${pictures} pictures`;
  return why.length > 0 ? `${share}; left alone: ${why.join(' · ')}` : share;
}

const LEFT_WORDS: Readonly<Record<string, string>> = {
  profile: 'turned away',
  occluded: 'covered',
  small: 'too small',
  fast: 'moving fast',
  cut: 'at a cut',
  lost: 'not seen',
  nobody: 'speaker not in the picture',
  late: 'too late',
  failed: 'not possible',
};

const RUNG_WORDS: Readonly<Record<string, string>> = {
  natural: 'as spoken',
  rate: 'at another rate',
  borrowed: 'into a pause',
  slowed: 'slowed',
  stretched: 'sped up',
  shortened: 'reworded',
  trimmed: 'cut short',
};
const brief = (value: number) => String(Math.round(value * 10) / 10);
const signed = (value: number) => value.toFixed(1).replace('-', '−');

export interface StateWords {
  readonly label: string;
  /** What the viewer is told instead of a picture; `null` while there is one. */
  readonly message: string | null;
}

export function stateWords(state: SessionState, reason: string | null): StateWords {
  switch (state) {
    case 'starting':
      return { label: 'Starting', message: 'The session is starting.' };
    case 'waiting':
      return {
        label: 'Waiting',
        message: 'Waiting for the programme. It will start by itself when the publisher goes live.',
      };
    case 'live':
      return { label: 'Live', message: null };
    case 'restarting':
      return {
        label: 'Restarting',
        message: reason ?? 'The session is restarting. Picture and sound will be back in a moment.',
      };
    case 'ended':
      return { label: 'Ended', message: 'The programme has ended.' };
    case 'failed':
      return { label: 'Failed', message: reason ?? 'The session has failed.' };
  }
}
