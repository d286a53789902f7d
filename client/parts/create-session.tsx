import { useEffect, useRef, useState } from 'preact/hooks';
import type { SessionView } from '../../gateway/protocol.ts';
import { createSession, listLanguages } from '../api.ts';
import { type Failure, failureOf, sentences } from '../failure.ts';
import { languageName } from '../language-name.ts';
import { token } from '../storage.ts';
import { Field, FieldError } from './field.tsx';

/** Fields of the form; an error anywhere else is shown above it. */
const FIELDS = ['name', 'source', 'from', 'to', 'delay', 'denoise', 'mix', 'voices'] as const;
/** Where the programme comes from. */
const SOURCES = {
  webrtc: { name: 'A browser', says: 'Publish a camera, a screen or a file from a page.' },
  rtmp: { name: 'An encoder, by RTMP', says: 'OBS and most others; address and stream key are shown afterwards.' },
  srt: { name: 'An encoder, by SRT', says: 'MPEG-TS; the address is shown afterwards.' },
  url: { name: 'An address', says: 'HLS, a stream or file over HTTP, or RTSP; opened again when it breaks off.' },
  file: { name: 'A server file', says: 'One that lies on the gateway’s machine.' },
} as const;
type SourceKind = keyof typeof SOURCES;

/** What becomes of the original while the dub speaks, with the level (dB) that each begins with. */
const MIX_MODES = {
  duck: { name: 'Lowered', says: 'The original goes down under the dub.', under: -20 },
  'voice-over': { name: 'Voice-over', says: 'The speaker is still heard behind the dub.', under: -12 },
  replace: { name: 'Silent', says: 'The dub alone.', under: 0 },
} as const;
type MixMode = keyof typeof MIX_MODES;
type FieldName = (typeof FIELDS)[number];

/** The form's field a refusal speaks of: `source.path` and `to.0` belong to `source` and `to`. */
const fieldOf = ({ error }: Failure): FieldName | null =>
  FIELDS.find((name) => name === error.field?.split(/[.[]/)[0]) ?? null;

export function CreateSession(props: { onCreated: (session: SessionView) => void; onCancel: () => void }) {
  const [pairs, setPairs] = useState<Map<string, string[]>>(new Map());
  const [name, setName] = useState('');
  const [kind, setKind] = useState<SourceKind>('webrtc');
  const [path, setPath] = useState('');
  const [url, setUrl] = useState('');
  const [loop, setLoop] = useState(true);
  const [from, setFrom] = useState('en');
  const [to, setTo] = useState<readonly string[]>(['es']);
  const [delay, setDelay] = useState(5);
  const [denoise, setDenoise] = useState(false);
  const [auto, setAuto] = useState(false);
  const [mode, setMode] = useState<MixMode>('duck');
  const [under, setUnder] = useState<number>(MIX_MODES.duck.under);
  const [cloning, setCloning] = useState(false);
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<Failure | null>(null);
  const [accessToken, setAccessToken] = useState('');
  const form = useRef<HTMLFormElement>(null);

  useEffect(() => {
    const abort = new AbortController();
    listLanguages(abort.signal).then(setPairs, (cause: unknown) => {
      if (!abort.signal.aborted) setFailure(failureOf(cause));
    });
    form.current?.querySelector<HTMLElement>('input')?.focus();
    return () => abort.abort();
  }, []);
  // The refused field takes the focus, so that a screen reader reads its error.
  useEffect(() => form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus(), [failure]);

  const targets = pairs.get(from) ?? [];
  const wrong = failure && fieldOf(failure);
  const errorAt = (field: FieldName) => (wrong === field && failure ? sentences(failure) : undefined);
  const needsToken = failure?.error.code === 'unauthorized';

  const submit = async () => {
    setBusy(true);
    setFailure(null);
    if (accessToken) token.write(accessToken);
    try {
      props.onCreated(
        await createSession({
          ...(name.trim() && { name: name.trim() }),
          source: kind === 'file' ? { kind, path, loop } : kind === 'url' ? { kind, url } : { kind },
          from,
          to: to.filter((tag) => targets.length === 0 || targets.includes(tag)),
          delay: auto ? 'auto' : delay,
          denoise,
          mix: mode === 'replace' ? { mode } : { mode, under },
          ...(cloning && { voices: { cloning: 'consented' as const } }),
        }),
      );
    } catch (cause) {
      setFailure(failureOf(cause));
      setBusy(false);
    }
  };

  return (
    <form
      ref={form}
      class="card form"
      aria-label="New session"
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
      onKeyDown={(event) => event.key === 'Escape' && props.onCancel()}
    >
      <h2>New session</h2>
      {failure && !wrong && !needsToken && (
        <p class="notice bad" role="alert">
          {sentences(failure)}
        </p>
      )}
      <div class="columns">
        <Field id="name" label="Name" error={errorAt('name')} hint="Shown in the list and as the page's title.">
          {(input) => (
            <input
              {...input}
              value={name}
              placeholder="Untitled"
              autocomplete="off"
              onInput={(e) => setName(e.currentTarget.value)}
            />
          )}
        </Field>
        <Field
          id="source"
          label="Source"
          error={kind === 'file' || kind === 'url' ? undefined : errorAt('source')}
          hint={SOURCES[kind].says}
        >
          {(input) => (
            <select {...input} value={kind} onChange={(e) => setKind(e.currentTarget.value as SourceKind)}>
              {Object.entries(SOURCES).map(([value, { name }]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        {kind === 'url' && (
          <Field id="url" label="Address" error={errorAt('source')} hint="http, https, rtsp or rtsps.">
            {(input) => (
              <input
                {...input}
                type="url"
                value={url}
                placeholder="https://example.org/live.m3u8"
                autocomplete="off"
                onInput={(e) => setUrl(e.currentTarget.value)}
              />
            )}
          </Field>
        )}
        {kind === 'file' && (
          <Field id="path" label="Path" error={errorAt('source')} hint="Below one of the gateway's media directories.">
            {(input) => (
              <input
                {...input}
                value={path}
                placeholder="talks/keynote.mp4"
                autocomplete="off"
                onInput={(e) => setPath(e.currentTarget.value)}
              />
            )}
          </Field>
        )}
        {kind === 'file' && (
          <label class="check">
            <input type="checkbox" checked={loop} onChange={(e) => setLoop(e.currentTarget.checked)} /> Start again at
            the end
          </label>
        )}
        <Field id="from" label="Spoken language" error={errorAt('from')}>
          {(input) => (
            <select {...input} value={from} onChange={(e) => setFrom(e.currentTarget.value)}>
              {[...new Set([...pairs.keys(), from])].map((tag) => (
                <option key={tag} value={tag}>
                  {languageName(tag)}
                </option>
              ))}
            </select>
          )}
        </Field>
        <fieldset class="field" aria-describedby={errorAt('to') ? 'to-error' : undefined}>
          <legend>Dub into</legend>
          <div class="choices">
            {(targets.length > 0 ? targets : to).map((tag) => (
              <label key={tag}>
                <input
                  type="checkbox"
                  checked={to.includes(tag)}
                  aria-invalid={Boolean(errorAt('to'))}
                  onChange={(e) => setTo(e.currentTarget.checked ? [...to, tag] : to.filter((other) => other !== tag))}
                />
                <span>{languageName(tag)}</span>
              </label>
            ))}
          </div>
          {errorAt('to') && <FieldError id="to-error" text={errorAt('to') ?? ''} />}
        </fieldset>
        <Field
          id="delay"
          label="Delay, seconds"
          error={errorAt('delay')}
          hint="How late the programme is shown, 2 to 60. Dubbing needs about 4."
        >
          {(input) => (
            <input
              {...input}
              type="number"
              min="2"
              max="60"
              step="0.5"
              disabled={auto}
              value={delay}
              onInput={(e) => setDelay(e.currentTarget.valueAsNumber || 0)}
            />
          )}
        </Field>
        <label class="check">
          <input type="checkbox" checked={auto} onChange={(e) => setAuto(e.currentTarget.checked)} /> As little delay as
          the lines need
        </label>
        <Field id="mix" label="Original under the dub" error={errorAt('mix')} hint={MIX_MODES[mode].says}>
          {(input) => (
            <select
              {...input}
              value={mode}
              onChange={(e) => {
                const chosen = e.currentTarget.value as MixMode;
                setMode(chosen);
                setUnder(MIX_MODES[chosen].under);
              }}
            >
              {Object.entries(MIX_MODES).map(([value, { name }]) => (
                <option key={value} value={value}>
                  {name}
                </option>
              ))}
            </select>
          )}
        </Field>
        {mode !== 'replace' && (
          <Field id="under" label={`Its level there: ${under === 0 ? '' : '−'}${Math.abs(under)} dB`}>
            {(input) => (
              <input
                {...input}
                type="range"
                min="-40"
                max="0"
                step="1"
                value={under}
                onInput={(e) => setUnder(e.currentTarget.valueAsNumber)}
              />
            )}
          </Field>
        )}
        <fieldset class="field" aria-describedby={errorAt('voices') ? 'voices-error' : undefined}>
          <legend>Voices</legend>
          <label class="check">
            <input
              type="checkbox"
              checked={cloning}
              aria-invalid={Boolean(errorAt('voices'))}
              onChange={(e) => setCloning(e.currentTarget.checked)}
            />{' '}
            Imitate the speakers’ own voices. I confirm that everybody who speaks has agreed to it.
          </label>
          {errorAt('voices') && <FieldError id="voices-error" text={errorAt('voices') ?? ''} />}
        </fieldset>
        <label class="check">
          <input type="checkbox" checked={denoise} onChange={(e) => setDenoise(e.currentTarget.checked)} /> Clean up
          noise before recognition
        </label>
        {needsToken && (
          <Field id="token" label="Access token" error={failure ? sentences(failure) : undefined}>
            {(input) => (
              <input
                {...input}
                type="password"
                autocomplete="off"
                value={accessToken}
                onInput={(e) => setAccessToken(e.currentTarget.value)}
              />
            )}
          </Field>
        )}
      </div>
      <div class="actions">
        <button type="submit" class="button primary" disabled={busy}>
          {busy ? 'Creating…' : 'Create session'}
        </button>
        <button type="button" class="button plain" onClick={props.onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
