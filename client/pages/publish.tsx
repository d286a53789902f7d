import { useEffect, useRef, useState } from 'preact/hooks';
import type { PublisherHook } from '../hook.ts';
import { languageName } from '../language-name.ts';
import type { SourceKind } from '../capture.ts';
import { Field, FieldError } from '../parts/field.tsx';
import { Icon, type IconName } from '../parts/icon.tsx';
import { LevelMeter } from '../parts/level-meter.tsx';
import { ShareLink } from '../parts/share-link.tsx';
import { StatePill } from '../parts/state-pill.tsx';
import { useTitle } from '../parts/title.ts';
import { token } from '../storage.ts';
import { Publishing, type PublishingState, type Sent } from '../publishing.ts';
import { watchPath } from '../route.ts';
import { useOwned, useStore, useTick } from '../use.ts';
import { MissingPage } from './missing.tsx';

const SOURCES: readonly { kind: SourceKind; icon: IconName; label: string }[] = [
  { kind: 'camera', icon: 'camera', label: 'Camera' },
  { kind: 'screen', icon: 'screen', label: 'Screen' },
  { kind: 'file', icon: 'file', label: 'File' },
];

export function PublishPage({ id, autostart }: { id: string; autostart: string | null }) {
  const publishing = useOwned(() => new Publishing(id));
  const state = useStore(publishing.store);
  const [kind, setKind] = useState<SourceKind>(autostart ? 'file' : 'camera');
  const [camera, setCamera] = useState<string | null>(null);
  const [microphone, setMicrophone] = useState<string | null>(null);
  const [file, setFile] = useState<File | string | null>(autostart);
  const [sent, setSent] = useState<Sent | null>(null);
  const [accessToken, setAccessToken] = useState('');
  const devices = useDevices(state.state === 'live');
  const preview = useRef<HTMLVideoElement>(null);
  const player = useRef<HTMLVideoElement>(null);
  const counts = useRef<Sent | null>(null);
  useTitle(state.session ? `Publish: ${state.session.name}` : 'Publish');

  const start = (what: File | string | null = file) => {
    if (accessToken) token.write(accessToken);
    if (kind === 'camera') void publishing.start({ kind, camera, microphone });
    else if (kind === 'screen') void publishing.start({ kind, microphone });
    else if (what && player.current) void publishing.start({ kind, file: what, player: player.current });
  };

  useEffect(() => {
    if (autostart) start(autostart);
  }, []);
  useEffect(() => {
    const element = preview.current;
    if (!element) return;
    element.srcObject = kind === 'file' ? null : state.stream;
    if (element.srcObject) void element.play().catch(() => {});
  }, [state.stream, kind]);
  useTick(1_000, () => {
    void publishing.sent().then((now) => {
      counts.current = now;
      setSent(now);
    });
  });
  useEffect(() => {
    window.livedub = hookOf(publishing, () => counts.current);
    return () => delete window.livedub;
  }, [publishing]);

  if (state.code === 'not_found' && !state.session) {
    return <MissingPage title="No such session" text={`There is no session “${id}”. It may have ended.`} />;
  }
  const busy = state.state === 'opening' || state.state === 'preparing';
  const on = busy || state.state === 'live' || state.state === 'offline';
  const unpublishable = state.session !== null && state.session.source.kind !== 'webrtc';
  return (
    <div class="publish">
      <div class="head">
        <div>
          <h1>{state.session?.name ?? 'Publish'}</h1>
          {state.session && (
            <p class="quiet">
              {languageName(state.session.from)} → {state.session.to.map(languageName).join(', ') || 'no dub yet'}
            </p>
          )}
        </div>
        {state.sessionState && <StatePill state={state.sessionState} />}
      </div>
      <div class="studio">
        <section class="preview" aria-label="Preview">
          <video ref={preview} muted playsInline hidden={kind === 'file'} aria-label="What you publish" />
          <video ref={player} muted playsInline hidden={kind !== 'file'} aria-label="The file you publish" />
          {!state.stream && <p class="placeholder">{busy ? workWords(state) : 'Nothing is published yet.'}</p>}
          {state.state === 'live' && <span class="on-air">On air</span>}
          {state.state === 'preparing' && state.conversion && (
            <progress
              aria-label={workWords(state)}
              max="1"
              {...(state.conversion.progress !== null && { value: state.conversion.progress })}
            />
          )}
        </section>
        <section class="card form desk" aria-label="Source">
          <fieldset class="field">
            <legend>Source</legend>
            <div class="segments three">
              {SOURCES.map((source) => (
                <label key={source.kind}>
                  <input
                    type="radio"
                    name="source"
                    checked={kind === source.kind}
                    disabled={on}
                    onChange={() => setKind(source.kind)}
                  />
                  <span>
                    <Icon name={source.icon} /> {source.label}
                  </span>
                </label>
              ))}
            </div>
          </fieldset>
          {kind === 'camera' && (
            <DevicePicker
              id="camera"
              label="Camera"
              kind="videoinput"
              devices={devices}
              value={camera}
              onPick={setCamera}
              disabled={on}
            />
          )}
          {kind !== 'file' && (
            <DevicePicker
              id="microphone"
              label="Microphone"
              kind="audioinput"
              devices={devices}
              value={microphone}
              onPick={setMicrophone}
              disabled={on}
            />
          )}
          {kind === 'file' && typeof file === 'string' && (
            <p>
              Playing <b>{file}</b>
            </p>
          )}
          {kind === 'file' && typeof file !== 'string' && (
            <Field
              id="file"
              label="File"
              hint="Any format. What the browser cannot play is converted in this page; nothing is uploaded."
            >
              {(input) => (
                <input
                  {...input}
                  type="file"
                  accept="video/*,audio/*,.mkv,.avi,.mov,.flv,.ts,.m2ts,.wmv"
                  disabled={on}
                  onChange={(e) => setFile(e.currentTarget.files?.[0] ?? null)}
                />
              )}
            </Field>
          )}
          {state.code === 'unauthorized' && (
            <Field id="token" label="Access token" hint="Asked for by this gateway before it lets anybody publish.">
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
          <LevelMeter level={() => publishing.audioLevel} />
          <div role="alert">{state.problem && <FieldError id="problem" text={state.problem} />}</div>
          {unpublishable && <p class="notice">This session has another source. Nothing can be published into it.</p>}
          <div class="actions">
            {on ? (
              <button type="button" class="button danger" onClick={() => publishing.stop()}>
                {busy ? 'Cancel' : 'Stop'}
              </button>
            ) : (
              <button
                type="button"
                class="button primary"
                disabled={unpublishable || (kind === 'file' && !file)}
                onClick={() => start()}
              >
                Go live
              </button>
            )}
          </div>
          <p class="unseen" role="status">
            {statusWords(state)}
          </p>
          <ShareLink path={watchPath(id)} />
          {sent && (
            <dl class="figures">
              <Figure name="Picture" value={sent.size ? `${sent.size} · ${sent.fps.toFixed(0)} fps` : '–'} />
              <Figure name="Sending" value={`${(sent.videoKbps + sent.audioKbps).toFixed(0)} kbit/s`} />
              <Figure name="Round trip" value={sent.roundTripMs === null ? '–' : `${sent.roundTripMs.toFixed(0)} ms`} />
              <Figure name="Packets lost" value={String(sent.lost)} />
              {sent.limitedBy && <Figure name="Held back by" value={sent.limitedBy} />}
              {state.stats && <Figure name="Viewers" value={String(state.stats.viewers)} />}
            </dl>
          )}
        </section>
      </div>
    </div>
  );
}

function Figure({ name, value }: { name: string; value: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
}

function DevicePicker(props: {
  id: string;
  label: string;
  kind: MediaDeviceKind;
  devices: readonly MediaDeviceInfo[];
  value: string | null;
  onPick: (deviceId: string | null) => void;
  disabled: boolean;
}) {
  // Without permission browsers list devices without names or ids: then there is nothing to choose between yet.
  const known = props.devices.filter(
    ({ kind, deviceId }) => kind === props.kind && deviceId !== '' && deviceId !== 'default',
  );
  return (
    <Field id={props.id} label={props.label}>
      {(input) => (
        <select
          {...input}
          disabled={props.disabled}
          value={props.value ?? ''}
          onChange={(e) => props.onPick(e.currentTarget.value || null)}
        >
          <option value="">The system's own choice</option>
          {known.map(({ deviceId, label }, index) => (
            <option key={deviceId} value={deviceId}>
              {label || `${props.label} ${index + 1}`}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

/** The devices there are, asked again when one comes or goes and when permission was just given. */
function useDevices(permitted: boolean): readonly MediaDeviceInfo[] {
  const [devices, setDevices] = useState<readonly MediaDeviceInfo[]>([]);
  useEffect(() => {
    const media = navigator.mediaDevices as MediaDevices | undefined; // undefined without HTTPS
    if (!media) return;
    const list = () => void media.enumerateDevices().then(setDevices, () => {});
    list();
    media.addEventListener('devicechange', list);
    return () => media.removeEventListener('devicechange', list);
  }, [permitted]);
  return devices;
}

function workWords({ state, conversion }: PublishingState): string {
  if (state === 'opening') return 'Going live…';
  switch (conversion?.step) {
    case 'loading':
      return 'Loading the converter (32 MB, once)…';
    case 'repackaging':
      return 'Repackaging the file…';
    case 'converting':
      return `Converting the file… ${conversion.progress === null ? '' : `${Math.round(conversion.progress * 100)} %`}`;
    case undefined:
      return 'Opening the file…';
  }
}

function statusWords(state: PublishingState): string {
  switch (state.state) {
    case 'idle':
      return 'Not live.';
    case 'opening':
      return 'Going live…';
    case 'preparing':
      return 'Preparing the file…';
    case 'live':
      return 'On air.';
    case 'offline':
      return 'The connection is lost. Reconnecting…';
    case 'failed':
      return 'Not live.';
  }
}

function hookOf(publishing: Publishing, sent: () => Sent | null): PublisherHook {
  return {
    page: 'publisher',
    get connected() {
      return publishing.connected;
    },
    get state() {
      return publishing.store.value.state;
    },
    get problem() {
      return publishing.store.value.problem;
    },
    get fileMedia() {
      return publishing.fileMedia;
    },
    get framesSent() {
      return sent()?.framesSent ?? 0;
    },
    get audioPacketsSent() {
      return sent()?.audioPacketsSent ?? 0;
    },
    get audioLevel() {
      return publishing.audioLevel;
    },
  };
}
