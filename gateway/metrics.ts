import { monitorEventLoopDelay } from 'node:perf_hooks';
import { statfs } from 'node:fs/promises';
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Scope } from '../media/scope.ts';
import type { InferenceServer } from '../models/serve/inference-server.ts';
import { type Question, countsFor } from './outlet-counts.ts';
import type { RtmpDoor } from './rtmp/door.ts';
import type { Sessions } from './sessions.ts';
import type { Sfu } from './sfu.ts';

/** What this gateway counts, one instrument per question. Labels are bounded: sessions by their limit, the rest by code. */
export interface Metrics {
  readonly contentType: string;
  /** The Prometheus text format. */
  text(): Promise<string>;
  readonly requests: { took(route: string, method: string, status: number, seconds: number): void };
  readonly signalling: {
    opened(): void;
    closed(code: number): void;
    answered(method: string, outcome: 'ok' | 'refused'): void;
    skipped(): void;
  };
  readonly captions: { opened(): void; closed(slow: boolean): void };
}

export function openMetrics(
  scope: Scope,
  subjects: {
    readonly sfu: Pick<Sfu, 'pids' | 'deaths'>;
    readonly rtmp: Pick<RtmpDoor, 'counts'>;
    readonly sessions: Pick<Sessions, 'list'>;
    /** Directory of the recordings. */
    readonly recordings?: string;
  },
): Metrics {
  const { sfu, rtmp, sessions, recordings } = subjects;
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  scope.defer(() => registry.clear());

  const loop = monitorEventLoopDelay({ resolution: 10 });
  loop.enable();
  scope.defer(() => void loop.disable());
  new Gauge({
    name: 'event_loop_delay_seconds',
    help: 'How late timers fire in the gateway since the last scrape.',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const quantile of [50, 95, 99])
        this.set({ quantile: String(quantile / 100) }, loop.percentile(quantile) / 1e9 || 0);
      loop.reset();
    },
  });

  /** Values that are read when asked for, one label set per session. */
  const perSession = <L extends string>(
    Instrument: typeof Gauge | typeof Counter,
    name: string,
    help: string,
    labels: readonly L[],
    read: (
      session: ReturnType<Sessions['list']>[number],
      say: (labels: Record<L, string>, value: number) => void,
    ) => void,
  ) =>
    new Instrument({
      name,
      help,
      labelNames: ['session', ...labels],
      registers,
      collect(this: Gauge | Counter) {
        this.reset();
        for (const session of sessions.list()) {
          if (session.over) continue;
          read(session, (more, value) => this.inc({ session: session.id, ...more }, value));
        }
      },
    });

  new Gauge({
    name: 'sessions',
    help: 'Sessions of this gateway by state.',
    labelNames: ['state'],
    registers,
    collect() {
      this.reset();
      for (const { state } of sessions.list()) this.inc({ state });
    },
  });
  perSession(Gauge, 'viewers', 'Viewers joined.', [], (session, say) => say({}, session.viewers));
  perSession(Counter, 'session_restarts_total', 'Session processes that had to be replaced.', [], (session, say) =>
    say({}, session.restarts),
  );
  perSession(Gauge, 'lag_seconds', 'How late the programme is shown.', [], ({ stats }, say) => {
    if (stats && stats.delay.measured !== null) say({}, stats.delay.measured);
  });
  perSession(Gauge, 'delay_wanted_seconds', 'How late it is being brought to.', [], ({ stats }, say) => {
    if (stats) say({}, stats.delay.wanted);
  });
  perSession(Gauge, 'drift_ppm', 'How much faster the source’s clock runs than ours.', [], ({ stats }, say) => {
    if (stats && stats.delay.drift !== null) say({}, stats.delay.drift);
  });
  const perTrack = (name: string, help: string, of: 'integrated' | 'truePeak') =>
    perSession(Gauge, name, help, ['track'], ({ stats }, say) => {
      for (const [track, measured] of Object.entries(stats?.loudness ?? {})) {
        const value = measured[of];
        if (value !== null) say({ track }, value);
      }
    });
  perTrack('loudness_integrated_lufs', 'Integrated loudness of what is sent (EBU R 128).', 'integrated');
  perTrack('true_peak_dbtp', 'Highest peak of what was sent (ITU-R BS.1770-4).', 'truePeak');
  perSession(
    Counter,
    'lines_fitted_total',
    'Dubbed lines by the furthest step it took to make them fit.',
    ['language', 'rung'],
    ({ stats }, say) => {
      for (const [language, rungs] of Object.entries(stats?.fit.rungs ?? {}))
        for (const [rung, count] of Object.entries(rungs)) say({ language, rung }, count);
    },
  );
  perSession(
    Counter,
    'pictures_encoded_total',
    'Pictures sent with driven mouths, or between such.',
    ['language'],
    ({ stats }, say) => {
      for (const [language, count] of Object.entries(stats?.lips?.shown ?? {})) say({ language }, count);
    },
  );
  perSession(
    Counter,
    'mouths_left_seconds_total',
    'Time in which a mouth was to move with the dub and was left alone, by reason.',
    ['reason'],
    ({ stats }, say) => {
      for (const [reason, seconds] of Object.entries(stats?.lips?.left ?? {})) say({ reason }, seconds);
    },
  );
  perSession(Gauge, 'picture_process_cpu', 'Cores the picture process keeps busy.', [], ({ stats }, say) => {
    if (stats?.lips) say({}, stats.lips.process.cpu);
  });
  perSession(
    Gauge,
    'stage_latency_seconds',
    'Time a stage takes for an item, over the last minute.',
    ['stage', 'quantile'],
    ({ stats }, say) => {
      for (const { kind: stage, latency } of stats?.stages ?? []) {
        if (latency.p50 !== null) say({ stage, quantile: '0.5' }, latency.p50 / 1_000);
        if (latency.p95 !== null) say({ stage, quantile: '0.95' }, latency.p95 / 1_000);
      }
    },
  );
  perSession(Counter, 'stage_faults_total', 'Faults of a stage.', ['stage'], ({ stats }, say) => {
    for (const { kind: stage, faults } of stats?.stages ?? []) say({ stage }, faults);
  });
  perSession(
    Gauge,
    'stage_stand_in',
    '1 while another engine does the work of the chosen one.',
    ['stage'],
    ({ stats }, say) => {
      for (const { kind: stage, standIn } of stats?.stages ?? []) say({ stage }, standIn === null ? 0 : 1);
    },
  );
  perSession(
    Gauge,
    'network_run_seconds',
    'Time a neural network takes for a run, since it was opened.',
    ['network', 'device', 'quantile'],
    ({ stats }, say) => {
      for (const { name: network, device, running } of stats?.networks ?? []) {
        if (running.p50 !== null) say({ network, device, quantile: '0.5' }, running.p50 / 1_000);
        if (running.p95 !== null) say({ network, device, quantile: '0.95' }, running.p95 / 1_000);
      }
    },
  );
  perSession(Counter, 'network_lost_total', 'Calls a neural network did not answer.', ['network'], ({ stats }, say) => {
    for (const { name: network, lost } of stats?.networks ?? []) say({ network }, lost);
  });
  perSession(
    Counter,
    'service_requests_total',
    'Requests to services on other machines, by what became of them.',
    ['engine', 'outcome'],
    ({ stats }, say) => {
      for (const { stage, engine: name, requests, failures } of stats?.spending ?? []) {
        const engine = `${stage}:${name}`;
        say({ engine, outcome: 'answered' }, requests - failures);
        say({ engine, outcome: 'failed' }, failures);
      }
    },
  );
  perSession(
    Counter,
    'service_money_total',
    'Estimated cost of services on other machines, where their prices are in the settings.',
    ['engine', 'currency'],
    ({ stats }, say) => {
      for (const { stage, engine, money } of stats?.spending ?? []) {
        if (money) say({ engine: `${stage}:${engine}`, currency: money.currency }, money.amount);
      }
    },
  );
  perSession(Counter, 'mailbox_dropped_total', 'Items a full queue lost.', ['stage'], ({ stats }, say) => {
    for (const [stage, count] of Object.entries(stats?.drops ?? {})) say({ stage }, count);
  });
  perSession(
    Counter,
    'clips_late_total',
    'Dubbed lines that came after their place was played.',
    [],
    ({ stats }, say) => say({}, stats?.lines.late ?? 0),
  );
  perSession(Counter, 'lines_total', 'Lines by what became of them.', ['outcome'], ({ stats }, say) => {
    for (const [outcome, count] of Object.entries(stats?.lines ?? {})) say({ outcome }, count);
  });
  perSession(Gauge, 'session_cpu', 'Cores the session process keeps busy.', [], ({ stats }, say) =>
    say({}, stats?.process.cpu ?? 0),
  );
  perSession(Gauge, 'session_resident_bytes', 'Memory of the session process.', [], ({ stats }, say) =>
    say({}, (stats?.process.rssMiB ?? 0) * 1024 * 1024),
  );
  perSession(Counter, 'relay_packets_total', 'Datagrams of the publisher.', [], ({ relay }, say) =>
    say({}, relay?.counts.packets ?? 0),
  );
  perSession(Counter, 'relay_bytes_total', 'Bytes of the publisher.', [], ({ relay }, say) =>
    say({}, relay?.counts.bytes ?? 0),
  );
  perSession(
    Counter,
    'relay_dropped_total',
    'Datagrams that never reached the session process, by why.',
    ['reason'],
    ({ relay }, say) => {
      if (!relay) return;
      const { dropped, strangers, failed } = relay.counts;
      say({ reason: 'expired' }, dropped);
      say({ reason: 'stranger' }, strangers);
      say({ reason: 'refused' }, failed);
    },
  );
  perSession(Gauge, 'relay_kept_bytes', 'Bytes kept for a successor of the session process.', [], ({ relay }, say) =>
    say({}, relay?.kept.bytes ?? 0),
  );

  const perOutlet = (
    Instrument: typeof Gauge | typeof Counter,
    name: string,
    help: string,
    question: Question,
    label?: string,
  ) =>
    perSession<string>(Instrument, name, help, ['outlet', ...(label ? [label] : [])], ({ outlets }, say) => {
      for (const { outlet, name: what, value } of countsFor(question, outlets.counts))
        say({ outlet, ...(label && { [label]: what }) }, value);
    });
  perOutlet(
    Counter,
    'outlet_done_total',
    'What outlets have made: parts, segments, pictures, packets.',
    'done',
    'what',
  );
  perOutlet(Counter, 'outlet_lost_total', 'What outlets have lost, or had too late, by reason.', 'lost', 'reason');
  perOutlet(Counter, 'outlet_bytes_total', 'Bytes that pushes have sent and recordings have written.', 'bytes');
  perOutlet(Gauge, 'outlet_queue', 'What waits in an outlet or is kept by it, by queue.', 'queue', 'queue');
  perOutlet(Gauge, 'outlet_connected', '1 while a push is connected.', 'connected');
  perOutlet(Counter, 'outlet_restarts_total', 'How often a push had to connect again.', 'restarts');
  perSession(Counter, 'outlet_requests_total', 'Requests for playlists, segments and pictures.', [], (session, say) =>
    say({}, session.outlets.requests),
  );
  perSession(Gauge, 'outlet_requests', 'Requests that are being answered.', [], (session, say) =>
    say({}, session.outlets.answering),
  );
  perSession(
    Counter,
    'outlet_process_restarts_total',
    'Outlet processes that had to be replaced.',
    [],
    (session, say) => say({}, session.outlets.restarts),
  );
  if (recordings !== undefined)
    new Gauge({
      name: 'recordings_free_bytes',
      help: 'Room on the disk that recordings are written to.',
      registers,
      async collect() {
        const room = await statfs(recordings).catch(() => undefined);
        if (room) this.set(room.bavail * room.bsize);
      },
    });

  new Gauge({
    name: 'sfu_workers',
    help: 'mediasoup workers that run.',
    registers,
    collect() {
      this.set(sfu.pids.length);
    },
  });
  new Counter({
    name: 'sfu_worker_deaths_total',
    help: 'mediasoup workers that died.',
    registers,
    collect() {
      this.reset();
      this.inc(sfu.deaths);
    },
  });

  new Counter({
    name: 'rtmp_connections_total',
    help: 'RTMP publishers and connections by what became of them.',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset();
      for (const [outcome, count] of Object.entries(rtmp.counts)) this.inc({ outcome }, count);
    },
  });

  const requests = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'Time to answer.',
    labelNames: ['route', 'method', 'status'],
    buckets: [0.005, 0.02, 0.1, 0.5, 2, 10],
    registers,
  });
  const sockets = new Gauge({ name: 'signalling_sockets', help: 'Open sockets.', registers });
  const closes = new Counter({
    name: 'signalling_closed_total',
    help: 'Sockets closed, by close code.',
    labelNames: ['code'],
    registers,
  });
  const answers = new Counter({
    name: 'signalling_requests_total',
    help: 'Requests over sockets.',
    labelNames: ['method', 'outcome'],
    registers,
  });
  const skips = new Counter({
    name: 'signalling_skipped_total',
    help: 'Events not sent to a socket that was behind.',
    registers,
  });

  const readers = new Gauge({ name: 'caption_readers', help: 'Readers of live captions.', registers });
  const readersCut = new Counter({
    name: 'caption_readers_cut_total',
    help: 'Readers of live captions that were cut off because they were too slow.',
    registers,
  });

  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    requests: { took: (route, method, status, seconds) => requests.observe({ route, method, status }, seconds) },
    signalling: {
      opened: () => sockets.inc(),
      closed(code) {
        sockets.dec();
        closes.inc({ code });
      },
      answered: (method, outcome) => answers.inc({ method, outcome }),
      skipped: () => skips.inc(),
    },
    captions: {
      opened: () => readers.inc(),
      closed: (slow) => {
        readers.dec();
        if (slow) readersCut.inc();
      },
    },
  };
}

/** What a model server counts. Labels are bounded: models are those that it was started with. */
export function openModelMetrics(scope: Scope, server: InferenceServer): Pick<Metrics, 'contentType' | 'text'> {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  scope.defer(() => registry.clear());
  type Say<L extends string> = (labels: Record<L, string>, value: number) => void;
  const read = <L extends string>(
    Instrument: typeof Gauge | typeof Counter,
    name: string,
    help: string,
    labelNames: readonly L[],
    tell: (say: Say<L>) => void,
  ) =>
    new Instrument({
      name,
      help,
      labelNames: [...labelNames],
      registers,
      collect(this: Gauge | Counter) {
        this.reset();
        tell((labels, value) => this.inc(labels, value));
      },
    });

  const each = (tell: (report: ReturnType<InferenceServer['reports']>[number]) => void) =>
    server.reports().forEach(tell);
  read(Counter, 'model_calls_total', 'Inferences asked for.', ['model'], (say) =>
    each(({ name: model, calls }) => say({ model }, calls)),
  );
  read(Counter, 'model_items_total', 'Items computed.', ['model'], (say) =>
    each(({ name: model, items }) => say({ model }, items)),
  );
  read(Counter, 'model_runs_total', 'Runs, by the items computed together.', ['model', 'items'], (say) =>
    each(({ name: model, batches }) => {
      for (const [items, runs] of Object.entries(batches)) say({ model, items }, runs);
    }),
  );
  read(Counter, 'model_calls_lost_total', 'Inferences that were not answered, by why.', ['model', 'why'], (say) =>
    each(({ name: model, lost }) => {
      for (const [why, count] of Object.entries(lost)) say({ model, why }, count);
    }),
  );
  read(Gauge, 'model_queue_items', 'Items that wait.', ['model'], (say) =>
    each(({ name: model, queued }) => say({ model }, queued)),
  );
  read(Gauge, 'model_queue_sessions', 'Sessions that have items waiting.', ['model'], (say) =>
    each(({ name: model, sessions }) => say({ model }, sessions)),
  );
  const quantiles = (name: string, help: string, of: 'waiting' | 'running') =>
    read(Gauge, name, help, ['model', 'quantile'], (say) =>
      each(({ name: model, [of]: { p50, p95 } }) => {
        if (p50 !== null) say({ model, quantile: '0.5' }, p50 / 1_000);
        if (p95 !== null) say({ model, quantile: '0.95' }, p95 / 1_000);
      }),
    );
  quantiles('model_waiting_seconds', 'How long inferences waited for their run.', 'waiting');
  quantiles('model_run_seconds', 'How long runs took.', 'running');
  read(Gauge, 'model_items_per_second', 'Measured throughput.', ['model'], (say) => {
    for (const { name: model, itemsPerSecond } of server.capacity().models) {
      if (itemsPerSecond !== null) say({ model }, itemsPerSecond);
    }
  });
  read(Gauge, 'model_faces_max', 'Faces a model can carry when the device does nothing else.', ['model'], (say) => {
    for (const { name: model, maxFaces } of server.capacity().models) if (maxFaces !== null) say({ model }, maxFaces);
  });
  read(Gauge, 'model_faces_promised', 'Faces that sessions have.', ['model'], (say) => {
    const { models, sessions } = server.capacity();
    for (const { name: model } of models) {
      say(
        { model },
        sessions.filter((lease) => lease.model === model).reduce((sum, { faces }) => sum + faces, 0),
      );
    }
  });
  read(Gauge, 'device_load', 'The part of the device’s time that sessions were promised.', [], (say) =>
    say({}, server.capacity().load),
  );
  read(Counter, 'faces_refused_total', 'Requests refused because the device was promised to others.', [], (say) =>
    say({}, server.refused),
  );
  return { contentType: registry.contentType, text: () => registry.metrics() };
}
