import { srt } from '../pipeline/srt.ts';
import { type Caption, type Look, timestamp, webvtt } from '../pipeline/webvtt.ts';
import type { HostedSession } from './hosted-session.ts';
import { type CueView, type LanguageTag, SPEAKER_COLOURS, colourOf, speakerName } from './protocol.ts';
import { refuse } from './refusal.ts';
import type { LineRecord } from './session/ipc.ts';

/** What was said in a session so far, as `GET /v1/sessions/:id/transcript` answers it. */
export interface Transcript {
  readonly session: string;
  readonly name: string;
  readonly from: LanguageTag;
  readonly to: LanguageTag[];
  readonly cues: Record<LanguageTag, CueView[]>;
  readonly lines: LineRecord[];
  readonly forgotten: number;
}

export function transcriptOf({ id, spec, archive }: HostedSession): Transcript {
  const cues = Object.fromEntries(
    [spec.from, ...spec.to].map((language) => [language, archive.cues(language).filter(final)]),
  );
  return {
    session: id,
    name: spec.name,
    from: spec.from,
    to: spec.to,
    cues,
    lines: [...archive.lines],
    forgotten: archive.forgotten,
  };
}

/** How speakers are called and coloured in caption files: as in the page. */
export const LOOK: Look = { colours: SPEAKER_COLOURS, colourOf, nameOf: speakerName };
/** Speakers that have a colour where captions are written while they come: a file cannot add one later. */
export const SPEAKERS: readonly string[] = Array.from({ length: 12 }, (_, n) => `s${n + 1}`);

/** Captions of one language as a file: the programme's own or one it is dubbed into. */
export const captionsOf = (session: HostedSession, language: LanguageTag, format: 'vtt' | 'srt' = 'vtt'): string =>
  (format === 'srt' ? srt : webvtt)(captionsIn(session, language), LOOK);

/** The same as views, with the types of time. */
export const captionsIn = (session: Pick<HostedSession, 'archive' | 'spec'>, language: LanguageTag): Caption[] =>
  cuesOf(session, language) as unknown as Caption[];

/** For people: one line a caption, with the time it is said at and who says it. */
export const textOf = (session: HostedSession, language: LanguageTag): string =>
  cuesOf(session, language)
    .filter(final)
    .map(({ start, speaker, text }) => `[${timestamp(Math.max(0, start))}] ${speaker}: ${text}\n`)
    .join('');

const final = (cue: CueView) => !cue.draft;

function cuesOf({ spec, archive }: Pick<HostedSession, 'archive' | 'spec'>, language: LanguageTag): CueView[] {
  const known = [spec.from, ...spec.to];
  const cues = archive.cues(language);
  if (cues.length > 0 || known.includes(language)) return cues;
  throw refuse(
    'not_found',
    `There are no captions in '${language}'.`,
    'language',
    `Choose one of ${known.join(', ')}.`,
  );
}
