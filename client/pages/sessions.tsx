import { useEffect, useRef, useState } from 'preact/hooks';
import type { SessionView, StatsView } from '../../gateway/protocol.ts';
import { endSession, listSessions, posterOf } from '../api.ts';
import { failureOf, sentences } from '../failure.ts';
import { languageName } from '../language-name.ts';
import { delayWords, loudnessWords } from '../mode-words.ts';
import { CreateSession } from '../parts/create-session.tsx';
import { Icon } from '../parts/icon.tsx';
import { Poster, Recordings } from '../parts/recordings.tsx';
import { StatePill } from '../parts/state-pill.tsx';
import { useTitle } from '../parts/title.ts';
import { publishPath, watchPath } from '../route.ts';
import { go, Link } from '../router.tsx';

/** Where players that speak WHEP watch. */
const whepUrl = (id: string) => `${location.origin}/v1/sessions/${encodeURIComponent(id)}/whep`;
/** How often the list is asked for, ms. */
const REFRESH = 3_000;

export function SessionsPage() {
  useTitle('Livedub');
  const [sessions, setSessions] = useState<readonly SessionView[] | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [creating, setCreating] = useState(false);
  const [refreshes, setRefreshes] = useState(0);
  const opener = useRef<HTMLButtonElement>(null);

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async () => {
      try {
        setSessions(await listSessions(abort.signal));
        setProblem(null);
      } catch (cause) {
        if (!abort.signal.aborted) setProblem(sentences(failureOf(cause)));
      }
      if (!abort.signal.aborted) timer = setTimeout(() => void refresh(), REFRESH);
    };
    void refresh();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [refreshes]);

  const end = (session: SessionView) => {
    if (!confirm(`End “${session.name}” for everybody?`)) return;
    endSession(session.id).then(
      () => setRefreshes((n) => n + 1),
      (cause: unknown) => setProblem(sentences(failureOf(cause))),
    );
  };

  return (
    <div class="sessions">
      <div class="head">
        <div>
          <h1>Sessions</h1>
          <p class="quiet">Programmes dubbed while they run. Pick one to watch it in your language.</p>
        </div>
        {!creating && (
          <button ref={opener} type="button" class="button primary" onClick={() => setCreating(true)}>
            <Icon name="plus" /> New session
          </button>
        )}
      </div>
      {creating && (
        <CreateSession
          onCreated={(session) =>
            session.source.kind === 'webrtc'
              ? go(publishPath(session.id))
              : session.ingest
                ? setCreating(false)
                : go(watchPath(session.id))
          }
          onCancel={() => {
            setCreating(false);
            requestAnimationFrame(() => opener.current?.focus());
          }}
        />
      )}
      {problem && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      {sessions === null && !problem && <p class="quiet">Loading…</p>}
      {sessions?.length === 0 && (
        <div class="empty">
          <h2>No sessions yet</h2>
          <p>Create one, then publish your camera, your screen or a file into it.</p>
        </div>
      )}
      <ul class="cards" aria-label="Sessions">
        {sessions?.map((session) => (
          <li key={session.id} class="card">
            <Poster src={posterOf(session)} />
            <div class="card-head">
              <h2>
                <Link to={watchPath(session.id)}>{session.name}</Link>
              </h2>
              <StatePill state={session.state} />
            </div>
            <p class="route">
              <span>{languageName(session.from)}</span>
              <span aria-label="dubbed into">→</span>
              {session.to.length > 0 ? (
                session.to.map((tag) => <span class="chip">{languageName(tag)}</span>)
              ) : (
                <span class="quiet">no dub yet</span>
              )}
            </p>
            {session.reason && <p class="quiet">{session.reason}</p>}
            <p class="facts">
              {session.stats && <span>{viewersWords(session.stats.viewers)}</span>}
              {session.stats && <span>{delayWords(session.stats)}</span>}
              {session.stats && session.stats.fit.withinSpeed !== null && (
                <span>{fitShareWords(session.stats.fit.withinSpeed)}</span>
              )}
              {session.stats && loudnessOf(session.stats) && <span>{loudnessOf(session.stats)}</span>}
              <span>{SOURCE_WORDS[session.source.kind]}</span>
            </p>
            <details class="addresses">
              <summary>For encoders and players</summary>
              <dl>
                {session.ingest && (
                  <>
                    <dt>{session.source.kind === 'webrtc' ? 'Publish by WHIP' : 'Publish to'}</dt>
                    <dd>{session.ingest.url}</dd>
                  </>
                )}
                {session.ingest?.key !== undefined && (
                  <>
                    <dt>Stream key</dt>
                    <dd>{session.ingest.key}</dd>
                  </>
                )}
                <dt>Watch by WHEP</dt>
                <dd>{whepUrl(session.id)}</dd>
              </dl>
            </details>
            <div class="actions">
              <Link to={watchPath(session.id)} class="button" label={`Watch ${session.name}`}>
                <Icon name="play" /> Watch
              </Link>
              {session.source.kind === 'webrtc' && (
                <Link to={publishPath(session.id)} class="button plain" label={`Publish into ${session.name}`}>
                  Publish
                </Link>
              )}
              <button
                type="button"
                class="button plain end"
                aria-label={`End ${session.name}`}
                onClick={() => end(session)}
              >
                End
              </button>
            </div>
          </li>
        ))}
      </ul>
      <Recordings />
    </div>
  );
}

const SOURCE_WORDS: Record<SessionView['source']['kind'], string> = {
  webrtc: 'From a browser',
  file: 'From a file',
  url: 'From an address',
  rtmp: 'From an encoder, by RTMP',
  srt: 'From an encoder, by SRT',
  rtp: 'From an encoder, by RTP',
};
const viewersWords = (viewers: number) => (viewers === 1 ? '1 viewer' : `${viewers} viewers`);
const fitShareWords = (share: number) => `${(share * 100).toFixed(0)} % of lines fit`;

/** Of the first dub that was measured. */
function loudnessOf({ loudness }: StatsView): string | null {
  const [, first] =
    Object.entries(loudness ?? {}).find(([id, { integrated }]) => id.startsWith('dub:') && integrated !== null) ?? [];
  return first ? loudnessWords({ ...first, momentary: null }) : null;
}
