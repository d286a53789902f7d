import { useRef, useState } from 'preact/hooks';
import { driftWords, fitWords, lipsWords, latenessWords, loudnessWords } from '../mode-words.ts';
import type { InboundStats, Reception } from '../reception.ts';
import { useTick } from '../use.ts';
import type { Viewing, ViewingState } from '../viewing.ts';
import { Icon } from './icon.tsx';

/** What arrives here and what the session takes for it, once a second. */
export function StatsPanel({
  viewing,
  state,
  onClose,
}: {
  viewing: Viewing;
  state: ViewingState;
  onClose: () => void;
}) {
  const [now, setNow] = useState<{ video: Reception | null; audio: Reception | null }>({ video: null, audio: null });
  const before = useRef<{ video?: InboundStats; audio?: InboundStats }>({});
  useTick(1_000, () => {
    void viewing.receptionSince(before.current).then(({ video, audio, raw }) => {
      before.current = raw;
      setNow({ video, audio });
    });
  });
  const { video, audio } = now;
  const { stats } = state;
  // Of voices that are mixed here, the dub that everybody else hears.
  const loudness = stats?.loudness?.[(state.heard ?? '').replace(/^voice:/, 'dub:')];
  const drops = stats ? Object.entries(stats.drops).filter(([, count]) => count > 0) : [];
  return (
    <aside class="stats" aria-label="Statistics">
      <button type="button" class="control close" aria-label="Hide statistics" onClick={onClose}>
        <Icon name="close" />
      </button>
      <table>
        <tbody>
          <Row
            name="Picture"
            value={
              video && `${video.size ?? '–'} · ${video.fps?.toFixed(0) ?? '–'} fps · ${video.kbps.toFixed(0)} kbit/s`
            }
          />
          <Row name="Sound" value={audio && `${audio.kbps.toFixed(0)} kbit/s · ${state.heard ?? '–'}`} />
          <Row
            name="Jitter"
            value={audio && `${audio.jitterMs.toFixed(0)} ms sound · ${video?.jitterMs.toFixed(0) ?? '–'} ms picture`}
          />
          <Row name="Packets lost" value={audio && `${audio.lost} sound · ${video?.lost ?? 0} picture`} />
          <Row
            name="Frames"
            value={video && `${video.framesDecoded} shown · ${video.framesDropped} dropped · ${video.freezes} freezes`}
          />
          <Row
            name="Lip sync"
            value={viewing.avOffsetMs === null ? null : `${viewing.avOffsetMs > 0 ? '+' : ''}${viewing.avOffsetMs} ms`}
          />
          <Row name="Last switch" value={viewing.switchedInMs === null ? null : `${viewing.switchedInMs} ms`} />
          {stats && (
            <>
              <Row name="Delay" value={latenessWords(stats.delay)} />
              <Row name="Drift" value={driftWords(stats.delay.drift)} />
              <Row name="Loudness" value={loudness ? loudnessWords(loudness) : null} />
              <Row name="Fit" value={fitWords(stats.fit)} />
              {stats.lips && <Row name="Mouths" value={lipsWords(stats.lips)} />}
              <Row
                name="Lines"
                value={`${stats.lines.dubbed} dubbed · ${stats.lines.captionOnly} captions only · ${stats.lines.late} late · ${stats.lines.trimmed} trimmed`}
              />
              <Row
                name="Drops"
                value={drops.length > 0 ? drops.map(([name, count]) => `${name} ${count}`).join(' · ') : 'none'}
              />
              {stats.spending.map(({ stage, engine, requests, failures, money }) => (
                <Row
                  key={`${stage}:${engine}`}
                  name={engine}
                  value={`${requests} requests · ${failures} failed${money ? ` · ${money.amount.toFixed(2)} ${money.currency}` : ''}`}
                />
              ))}
              <Row
                name="Session process"
                value={`${(stats.process.cpu * 100).toFixed(0)} % CPU · ${stats.process.rssMiB.toFixed(0)} MiB · ${stats.process.restarts} restarts`}
              />
            </>
          )}
        </tbody>
      </table>
      {stats && stats.stages.length > 0 && (
        <table>
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col">p50</th>
              <th scope="col">p95</th>
              <th scope="col">drops</th>
            </tr>
          </thead>
          <tbody>
            {stats.stages.map((stage) => (
              <tr key={stage.kind} class={stage.state === 'down' ? 'down' : ''}>
                <th scope="row">
                  {stage.kind} <small>{stage.state === 'down' ? 'down' : (stage.standIn ?? stage.engine)}</small>
                </th>
                <td>{ms(stage.latency.p50)}</td>
                <td>{ms(stage.latency.p95)}</td>
                <td>{stage.dropped}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </aside>
  );
}

const ms = (value: number | null) => (value === null ? '–' : value < 10 ? value.toFixed(1) : value.toFixed(0));

function Row({ name, value }: { name: string; value: string | null }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>{value ?? '–'}</td>
    </tr>
  );
}
