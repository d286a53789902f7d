import type { ModeView, SessionState, StatsView } from '../gateway/protocol.ts';

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
