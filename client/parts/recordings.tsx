import { useEffect, useState } from 'preact/hooks';
import type { RecordingView } from '../../gateway/protocol.ts';
import { deleteRecording, listRecordings } from '../api.ts';
import { failureOf, sentences } from '../failure.ts';
import { languageName } from '../language-name.ts';
import { lengthWords, sizeWords } from '../recording-words.ts';
import { Icon } from './icon.tsx';

/** How often the list is asked for, ms. */
const REFRESH = 15_000;

/** What was recorded here, for whoever has the token; nothing where there is nothing. */
export function Recordings() {
  const [recordings, setRecordings] = useState<readonly RecordingView[]>([]);
  const [problem, setProblem] = useState<string | null>(null);
  const [refreshes, setRefreshes] = useState(0);

  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const refresh = async () => {
      // Without the token, and with a gateway that does not answer, the rest of the page says what there is to say.
      const found = await listRecordings(abort.signal).catch(() => null);
      if (abort.signal.aborted) return;
      // Addresses are new each time: pictures that are shown stay.
      setRecordings((before) => (found ?? []).map((each) => ({ ...each, ...kept(before, each) })));
      timer = setTimeout(() => void refresh(), REFRESH);
    };
    void refresh();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [refreshes]);

  const remove = ({ name, title }: RecordingView) => {
    if (!confirm(`Delete the recording “${title}” for good?`)) return;
    deleteRecording(name).then(
      () => setRefreshes((n) => n + 1),
      (cause: unknown) => setProblem(sentences(failureOf(cause))),
    );
  };

  if (recordings.length === 0 && !problem) return null;
  return (
    <section class="recordings" aria-labelledby="recordings">
      <h2 id="recordings">Recordings</h2>
      {problem && (
        <p class="notice bad" role="alert">
          {problem}
        </p>
      )}
      <ul class="cards" aria-label="Recordings">
        {recordings.map((recording) => (
          <li key={recording.name} class="card">
            <Poster src={recording.poster} />
            <h3>{recording.title}</h3>
            <p class="route">
              {recording.languages.map((tag) => (
                <span class="chip">{languageName(tag)}</span>
              ))}
            </p>
            <p class="facts">
              <span>{lengthWords(recording.seconds)}</span>
              <span>{sizeWords(recording.bytes)}</span>
              <span>
                <time dateTime={recording.started}>
                  {new Date(recording.started).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' })}
                </time>
              </span>
            </p>
            <div class="actions">
              <a class="button" href={recording.url} download aria-label={`Download ${recording.title}`}>
                <Icon name="file" /> Download
              </a>
              <button
                type="button"
                class="button plain end"
                aria-label={`Delete ${recording.title}`}
                onClick={() => remove(recording)}
              >
                Delete
              </button>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function kept(before: readonly RecordingView[], { name, started }: RecordingView): Partial<RecordingView> {
  const same = before.find((each) => each.name === name && each.started === started);
  return same ? { poster: same.poster } : {};
}

/** A picture above a card; gone where it cannot be had. */
export function Poster({ src }: { src: string | null }) {
  const [failed, setFailed] = useState<string | null>(null);
  if (src === null || failed === src) return null;
  return <img class="poster" src={src} alt="" loading="lazy" decoding="async" onError={() => setFailed(src)} />;
}
