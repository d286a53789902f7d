import type { Event, ModeView, SessionState, SessionView, StatsView, TrackId, TrackView } from '../gateway/protocol.ts';
import { getSession } from './api.ts';
import { type Blend, blendOf, dubOf, sameTracks } from './blend.ts';
import { ClipBook } from './clip-book.ts';
import { CueBook, type ShownCue } from './cue-book.ts';
import { failureOf, sentences } from './failure.ts';
import { gainPlan, REACH } from './gain-plan.ts';
import { hold, type Holds } from './lip-sync.ts';
import { mediaAt, MediaClock } from './media-clock.ts';
import { Mixer } from './mixer.ts';
import type { Preferences } from './preferences.ts';
import { readPreferences, writePreferences } from './storage.ts';
import { inboundOf, type InboundStats, reception, type Reception } from './reception.ts';
import { type Incoming, LEAST_HOLD, openDevice, openReceiving, type Receiving, type TransportState } from './sfu.ts';
import { Signalling } from './signalling.ts';
import { openSocket } from './socket.ts';
import { Store } from './store.ts';
import { trackToHear, trackToSee } from './track-choice.ts';

/** Everything the page draws, replaced as a whole at every change. */
export interface ViewingState {
  readonly link: 'connecting' | 'online' | 'reconnecting' | 'ended' | 'missing' | 'refused';
  /** What went wrong last, for a person. */
  readonly problem: string | null;
  readonly session: SessionView | null;
  readonly state: SessionState;
  readonly reason: string | null;
  readonly tracks: readonly TrackView[];
  readonly mode: ModeView | null;
  readonly stats: StatsView | null;
  readonly play: 'idle' | 'playing' | 'paused';
  /** Sound has been arriving lately. */
  readonly flowing: boolean;
  readonly chosen: TrackId | null;
  /** The track that is let through: of a dub that is mixed here, its voices. */
  readonly heard: TrackId | null;
  /** The picture that is shown. */
  readonly seen: TrackId | null;
  readonly preferences: Preferences;
}

/** One track taken from the gateway. `flow` is what was last asked for: a paused one costs nothing. */
interface Feed {
  readonly incoming: Incoming;
  flow: 'running' | 'paused';
  /** When it was last resumed, page time, ms. */
  since: number;
}

/** How often the clock is read and the original's level follows the clips, ms. */
const TICK = 40;
/** How far ahead the original's level is planned, µs: longer than any tick is late. */
const PLANNED = 1_000_000;
/** How often a track that was just resumed is asked whether it plays, ms. */
const LOOK = 8;
/** How long a new picture is waited for before it is shown anyway, ms: key frames come every two seconds. */
const PICTURE_PATIENCE = 5_000;
/** How often picture and sound are brought together, ms: a new hold takes about a second to be seen in the offset. */
const ALIGN = 1_500;
/** How long a transport may be without connection before ICE is restarted, and then before everything is built anew, ms. */
const ICE_PATIENCE = 2_000;
const ICE_LAST_HOPE = 6_000;

/** A viewer's side of one session: its socket, its tracks, what is heard, and where in the programme that is. */
export class Viewing {
  readonly store: Store<ViewingState>;
  readonly cues = new CueBook();
  readonly #clips = new ClipBook();
  readonly #clock = new MediaClock();
  readonly #signalling: Signalling;
  readonly #feeds = new Map<TrackId, Promise<Feed | null>>();
  readonly #open = new Map<TrackId, Feed>();
  readonly #ticking: ReturnType<typeof setInterval>;
  #receiving: Receiving | undefined;
  #transport: TransportState = 'new';
  #iceTimer: ReturnType<typeof setTimeout> | undefined;
  #mixer: Mixer | undefined;
  /** What sounds now. */
  #blend: Blend | null = null;
  #video: HTMLVideoElement | undefined;
  /** Counts choices and rebuilds: whoever waited across one of them has been overtaken. */
  #turn = 0;
  /** Counts rebuilds only: who chooses while the page joins does not overtake the joining. */
  #build = 0;
  #chosenAt = 0;
  #switchedInMs: number | null = null;
  #avOffset: number | null = null;
  #holds: Holds = { audio: LEAST_HOLD, video: LEAST_HOLD };
  #alignedAt = 0;

  constructor(id: string) {
    this.store = new Store<ViewingState>({
      link: 'connecting',
      problem: null,
      session: null,
      state: 'starting',
      reason: null,
      tracks: [],
      mode: null,
      stats: null,
      play: 'idle',
      flowing: false,
      chosen: null,
      heard: null,
      seen: null,
      preferences: readPreferences(),
    });
    this.#signalling = new Signalling({
      open: () => openSocket(id),
      onOpen: () => void this.#join(),
      onEvent: (event) => this.#hear(event),
      onLink: (link) => {
        if (link.state === 'closed') {
          if (link.why !== 'left')
            this.store.patch({ link: link.why, problem: link.why === 'ended' ? null : link.reason });
          this.#dropMedia();
        } else if (link.state === 'waiting') {
          this.store.patch({ link: 'reconnecting', problem: link.reason });
          this.#dropMedia();
        }
      },
      exists: () => exists(id),
    });
    this.#ticking = setInterval(() => this.#tick(), TICK);
  }

  /** Starts picture and sound. Call it in a user gesture, with the element that shows the picture. */
  play(video: HTMLVideoElement): void {
    this.#video = video;
    this.#mixer ??= new Mixer();
    this.#mixer.run();
    this.#applyVolume();
    this.store.patch({ play: 'playing' });
    if (video.srcObject) void video.play().catch(() => {});
    void this.#follow();
  }

  /** Freezes the picture and silences the sound. Playing again goes on with what is on then: the programme does not wait. */
  pause(): void {
    if (this.store.value.play !== 'playing') return;
    this.#mixer?.rest();
    this.#video?.pause();
    this.store.patch({ play: 'paused' });
  }

  /** Chooses what is heard. The track heard so far stays until the new one plays. */
  choose(trackId: TrackId): void {
    if (trackId === this.store.value.chosen) return;
    this.#chosenAt = performance.now();
    this.store.patch({ chosen: trackId });
    this.prefer({ language: trackId.startsWith('dub:') ? trackId.slice(4) : (this.store.value.session?.from ?? null) });
    void this.#follow();
  }

  /** Takes a track from the gateway, paused, so that choosing it later is quicker. */
  prepare(trackId: TrackId): void {
    if (this.store.value.play === 'playing') void this.#take(trackId);
  }

  prefer(part: Partial<Preferences>): void {
    const before = this.#wanted;
    const preferences = { ...this.store.value.preferences, ...part };
    this.store.patch({ preferences });
    writePreferences(preferences);
    this.#applyVolume();
    const wanted = this.#wanted;
    if (!sameTracks(before, wanted)) {
      this.#chosenAt = performance.now();
      void this.#follow();
    } else if (sameTracks(this.#blend, wanted)) this.#blend = wanted;
  }

  /** Programme position at the ear, µs, or `null` while nothing arrives. */
  now(): number | null {
    const now = this.#clock.now(performance.now());
    return now === null ? null : now - Math.round((this.#mixer?.latency ?? 0) * 1e6);
  }

  get switchedInMs(): number | null {
    return this.#switchedInMs;
  }

  /** Level at which the original sounds beside the dub, or by itself; 0 to 1. */
  get originalLevel(): number {
    return this.#mixer?.gainOf('original') ?? 0;
  }

  get avOffsetMs(): number | null {
    return this.#avOffset === null ? null : Math.round(this.#avOffset);
  }

  get audioLevel(): number {
    return this.#mixer?.heard() ?? 0;
  }

  get audioPeakHz(): number {
    return this.#mixer?.peak() ?? 0;
  }

  get connected(): boolean {
    return this.store.value.link === 'online' && (this.#open.size === 0 || this.#transport === 'connected');
  }

  /** How picture and heard sound arrive since `before`, and the raw figures to pass next time. */
  async receptionSince(before: { video?: InboundStats; audio?: InboundStats }): Promise<{
    video: Reception | null;
    audio: Reception | null;
    raw: { video?: InboundStats; audio?: InboundStats };
  }> {
    const { heard, seen } = this.store.value;
    const read = async (trackId: TrackId | null, kind: 'audio' | 'video') => {
      const feed = trackId && this.#open.get(trackId);
      if (!feed) return undefined;
      const report = await feed.incoming.stats().catch(() => undefined);
      return report && inboundOf([...report.values()] as InboundStats[], kind);
    };
    const [video, audio] = await Promise.all([read(seen, 'video'), read(heard, 'audio')]);
    return {
      video: video ? reception(video, before.video) : null,
      audio: audio ? reception(audio, before.audio) : null,
      raw: { ...(video && { video }), ...(audio && { audio }) },
    };
  }

  close(): void {
    clearInterval(this.#ticking);
    this.#signalling.close();
    this.#dropMedia();
    this.#mixer?.close();
    this.#mixer = undefined;
  }

  // ── joining ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #join(): Promise<void> {
    this.#dropMedia();
    const build = this.#build;
    try {
      const { session, routerRtpCapabilities, cues } = await this.#signalling.request('join', { role: 'viewer' });
      for (const cue of cues) this.cues.put(cue);
      this.#clips.clear();
      const { tracks, state, reason, stats } = session;
      this.store.patch({ link: 'online', problem: null, session, state, reason, stats, mode: stats?.mode ?? null });
      this.#setTracks(tracks);
      const device = await openDevice(routerRtpCapabilities);
      const receiving = await openReceiving(
        device,
        (method, data) => this.#signalling.request(method, data),
        (now) => this.#connection(now),
      );
      if (build !== this.#build) return receiving.close();
      this.#receiving = receiving;
      await this.#follow();
    } catch (cause) {
      if (build !== this.#build) return; // the socket went meanwhile, and comes back by itself
      const failure = failureOf(cause);
      if (failure.error.code === 'not_found') {
        this.store.patch({ link: 'missing', problem: sentences(failure) });
        this.#signalling.close();
      } else if (['unavailable', 'internal', 'limit'].includes(failure.error.code)) {
        this.#signalling.reopen(sentences(failure));
      } else {
        this.store.patch({ link: 'refused', problem: sentences(failure) });
        this.#signalling.close();
      }
    }
  }

  #hear(event: Event): void {
    switch (event.event) {
      case 'state':
        return this.store.patch({ state: event.data.state, reason: event.data.reason });
      case 'tracks':
        this.#setTracks(event.data);
        return void this.#follow();
      case 'consumerClosed':
        this.#dropFeed(event.data.trackId, event.data.consumerId);
        return void this.#follow();
      case 'rejoin':
        return void this.#join();
      case 'cue':
        return this.cues.put(event.data);
      case 'clip':
        return this.#clips.put(event.data);
      case 'mode':
        return this.store.patch({ mode: event.data });
      case 'stats':
        return this.store.patch({ stats: event.data, mode: event.data.mode });
    }
  }

  #setTracks(tracks: readonly TrackView[]): void {
    const { chosen, preferences } = this.store.value;
    const stays = chosen !== null && tracks.some(({ id }) => id === chosen);
    const wanted = preferences.language ? [preferences.language] : navigator.languages;
    this.store.patch({
      tracks,
      chosen: stays ? chosen : trackToHear(tracks, wanted, preferences.language ?? undefined),
    });
    for (const trackId of [...this.#open.keys()]) if (!tracks.some(({ id }) => id === trackId)) this.#dropFeed(trackId);
  }

  // ── media ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Brings what flows in line with what is chosen. Called after every change; an older call gives way to a newer one. */
  async #follow(): Promise<void> {
    const turn = ++this.#turn;
    const { play, tracks, chosen, seen } = this.store.value;
    if (!this.#receiving || play === 'idle') return;
    const blend = this.#wanted;
    const wanted = new Set<TrackId>();
    if (blend) wanted.add(blend.lead);
    if (blend?.original) wanted.add('original');
    const picture = trackToSee(tracks, chosen);
    if (picture) wanted.add(picture);
    // The picture so far stays until the new one comes.
    if (seen && seen !== picture && tracks.some(({ id }) => id === seen)) wanted.add(seen);
    try {
      await Promise.all([...wanted].filter((id) => tracks.some((track) => track.id === id)).map((id) => this.#run(id)));
    } catch (cause) {
      if (turn === this.#turn) this.store.patch({ problem: sentences(failureOf(cause)) });
    }
    if (picture && picture !== seen) void this.#look(picture, turn);
    if (turn !== this.#turn || !blend) return;
    if (blend.lead !== this.store.value.heard && !(await this.#plays(blend.lead, turn))) return;
    // Without the original the voices alone would leave a gap.
    if (blend.original && blend.original.elsewhere > 0 && !(await this.#plays('original', turn))) return;
    this.#let(blend);
    for (const [trackId, feed] of this.#open) {
      if (wanted.has(trackId) || feed.flow === 'paused') continue;
      feed.flow = 'paused';
      void feed.incoming.pause().catch(() => {}); // a lost socket: the feed goes with it
    }
  }

  /** Takes the track from the gateway, once, paused. `null` when everything was dropped meanwhile. */
  #take(trackId: TrackId): Promise<Feed | null> {
    const known = this.#feeds.get(trackId);
    if (known) return known;
    const receiving = this.#receiving;
    if (!receiving) return Promise.resolve(null);
    const taking = receiving.consume(trackId).then((incoming) => {
      if (this.#feeds.get(trackId) !== taking) {
        incoming.close();
        return null;
      }
      const feed: Feed = { incoming, flow: 'paused', since: 0 };
      this.#open.set(trackId, feed);
      incoming.hold(this.#holds[incoming.kind]);
      if (incoming.kind === 'audio') this.#mixer?.add(trackId, incoming.track);
      return feed;
    });
    this.#feeds.set(trackId, taking);
    taking.catch(() => this.#feeds.get(trackId) === taking && this.#feeds.delete(trackId));
    return taking;
  }

  async #run(trackId: TrackId): Promise<void> {
    const feed = await this.#take(trackId);
    if (!feed || feed.flow === 'running') return;
    feed.flow = 'running';
    feed.since = performance.now();
    await feed.incoming.resume().catch((cause: unknown) => {
      feed.flow = 'paused';
      throw cause;
    });
  }

  /** Waits until the track's sound comes out of its receiver. `false` when something newer overtook the wait. */
  async #plays(trackId: TrackId, turn: number): Promise<boolean> {
    for (;;) {
      const feed = this.#open.get(trackId);
      if (turn !== this.#turn) return false;
      const source = feed?.incoming.receiver?.getSynchronizationSources()[0];
      if (feed && source && pageTime(source.timestamp) > feed.since) return true;
      await new Promise((resolve) => setTimeout(resolve, LOOK));
    }
  }

  /** What is to sound. */
  get #wanted(): Blend | null {
    const { chosen, tracks, preferences } = this.store.value;
    return chosen && blendOf(chosen, tracks, preferences);
  }

  /** Lets `blend` through and whatever was heard before no longer. */
  #let(blend: Blend): void {
    const [before, wanted, { heard }] = [this.#blend, this.#wanted, this.store.value];
    // Its levels may have been changed while its tracks were waited for.
    this.#blend = sameTracks(blend, wanted) ? wanted : blend;
    if (before?.original && !blend.original && blend.lead !== 'original') this.#mixer?.level('original', 0);
    if (heard === blend.lead) return;
    this.#mixer?.level(blend.lead, 1);
    if (heard && !(heard === 'original' && blend.original)) this.#mixer?.level(heard, 0);
    if (heard) this.#switchedInMs = Math.round(performance.now() - this.#chosenAt);
    this.store.patch({ heard: blend.lead });
    this.#duck();
  }

  /** Plans the original's level under what is heard. */
  #duck(): void {
    const { play } = this.store.value;
    const language = dubOf(this.#blend?.lead ?? null);
    const now = this.#clock.now(performance.now());
    if (!this.#blend?.original || language === null || play !== 'playing' || !this.#open.has('original')) return;
    const from = now ?? this.#clock.position ?? 0;
    const clips = now === null ? [] : this.#clips.within(language, from - REACH, from + PLANNED + REACH);
    const plan = gainPlan(clips, from, from + PLANNED, this.#blend.original, this.originalLevel);
    this.#mixer?.plan(
      'original',
      plan.slice(1).map(({ at, gain }) => ({ after: (at - from) / 1e6, gain })),
    );
  }

  /** Shows another picture as soon as it can be shown, and lets go of the one before. */
  async #look(trackId: TrackId, turn: number): Promise<void> {
    const feed = this.#open.get(trackId);
    if (!feed) return;
    const before = this.store.value.seen;
    if (before !== null && this.#open.has(before)) await decodes(feed.incoming.track);
    if (turn !== this.#turn || this.#open.get(trackId) !== feed) return;
    this.store.patch({ seen: trackId });
    this.#show(feed.incoming.track);
    const old = before !== null && before !== trackId ? this.#open.get(before) : undefined;
    if (!old || old.flow === 'paused') return;
    old.flow = 'paused';
    void old.incoming.pause().catch(() => {}); // a lost socket: the feed goes with it
  }

  #show(track: MediaStreamTrack): void {
    const video = this.#video;
    if (!video) return;
    const { srcObject } = video;
    if (srcObject instanceof MediaStream && srcObject.active) {
      // Within the stream: an element that gets another one is black until that one's first picture.
      const before = srcObject.getVideoTracks();
      if (!before.includes(track)) srcObject.addTrack(track);
      for (const old of before) if (old !== track) srcObject.removeTrack(old);
    } else video.srcObject = new MediaStream([track]);
    // Not awaited: it settles only with the first picture, and the picture only comes once the track is resumed.
    if (this.store.value.play === 'playing') void video.play().catch(() => {});
  }

  #dropFeed(trackId: TrackId, consumerId?: string): void {
    const feed = this.#open.get(trackId);
    if (consumerId && feed?.incoming.consumerId !== consumerId) return;
    this.#feeds.delete(trackId);
    this.#open.delete(trackId);
    feed?.incoming.close();
    this.#mixer?.remove(trackId);
    if (this.store.value.heard === trackId) {
      this.#blend = null;
      this.store.patch({ heard: null });
      this.#clock.forget();
    }
    if (this.store.value.seen === trackId) this.store.patch({ seen: null });
  }

  #dropMedia(): void {
    this.#turn++;
    this.#build++;
    clearTimeout(this.#iceTimer);
    this.#feeds.clear();
    for (const trackId of [...this.#open.keys()]) this.#dropFeed(trackId);
    this.#receiving?.close();
    this.#receiving = undefined;
    this.#transport = 'new';
  }

  #connection(state: TransportState): void {
    this.#transport = state;
    clearTimeout(this.#iceTimer);
    if (state !== 'disconnected' && state !== 'failed') return;
    this.#iceTimer = setTimeout(
      () => {
        this.store.patch({ problem: 'The media connection is interrupted. Reconnecting…' });
        this.#receiving?.restartIce().catch(() => {}); // the last hope below
        this.#iceTimer = setTimeout(() => this.#signalling.reopen('The media connection is lost.'), ICE_LAST_HOPE);
      },
      state === 'failed' ? 0 : ICE_PATIENCE,
    );
  }

  // ── what is heard now ──────────────────────────────────────────────────────────────────────────────────────────────

  #tick(): void {
    const { heard, seen, tracks, flowing } = this.store.value;
    const audio = this.#sourceOf(heard);
    const base = tracks.find(({ id }) => id === heard)?.rtp;
    if (audio && base) this.#clock.read(audio, base);
    const now = this.#clock.now(performance.now());
    if ((now !== null) !== flowing) this.store.patch({ flowing: now !== null, ...(now !== null && { problem: null }) });
    const picture = this.#sourceOf(seen);
    const pictureBase = tracks.find(({ id }) => id === seen)?.rtp;
    if (now !== null && picture && pictureBase) {
      const shown = mediaAt(picture.rtp, pictureBase, now) + (performance.now() - picture.at) * 1000;
      const offset = (now - (this.#mixer?.latency ?? 0) * 1e6 - shown) / 1000;
      this.#avOffset = this.#avOffset === null ? offset : this.#avOffset * 0.9 + offset * 0.1;
      this.#align();
    } else {
      this.#avOffset = null;
      this.#alignedAt = performance.now();
    }
    this.#duck();
  }

  /** Holds whatever comes out early a little longer. Every sound is held alike, so that a switch does not shift it. */
  #align(): void {
    if (this.#avOffset === null || performance.now() - this.#alignedAt < ALIGN) return;
    this.#alignedAt = performance.now();
    this.#holds = hold(this.#holds, this.#avOffset, LEAST_HOLD);
    for (const { incoming } of this.#open.values()) incoming.hold(this.#holds[incoming.kind]);
  }

  #sourceOf(trackId: TrackId | null): { rtp: number; at: number } | undefined {
    const source = trackId && this.#open.get(trackId)?.incoming.receiver?.getSynchronizationSources()[0];
    return source ? { rtp: source.rtpTimestamp, at: pageTime(source.timestamp) } : undefined;
  }

  #applyVolume(): void {
    const { volume, muted } = this.store.value.preferences;
    // Loudness is heard on a logarithmic scale: the square makes half the slider sound like half.
    this.#mixer?.master(muted ? 0 : volume ** 2);
  }
}

/** Resolves when a picture of the track has been decoded, or after a while without one. */
async function decodes(track: MediaStreamTrack): Promise<void> {
  const trial = document.createElement('video');
  trial.muted = true;
  trial.srcObject = new MediaStream([track]);
  void trial.play().catch(() => {});
  await new Promise<void>((resolve) => {
    const patience = setTimeout(resolve, PICTURE_PATIENCE);
    trial.requestVideoFrameCallback(() => {
      clearTimeout(patience);
      resolve();
    });
  });
  trial.srcObject = null;
}

/** The captions on the picture, translated and original: one each, or two while two people speak at once. */
export interface CuesShown {
  readonly translated: readonly ShownCue[];
  readonly original: readonly ShownCue[];
}
const NO_CUES: readonly ShownCue[] = [];

/** The captions on the picture at `now`, by what the viewer asked for. */
export function cuesShown(cues: CueBook, state: ViewingState, now: number | null): CuesShown {
  const { preferences, session, chosen, tracks } = state;
  if (now === null || !session || preferences.captions === 'off') return { translated: NO_CUES, original: NO_CUES };
  const dub = chosen?.startsWith('dub:') ? chosen : tracks.find(({ id }) => id.startsWith('dub:'))?.id;
  const target = dub?.slice(4) ?? null;
  return {
    translated: target && preferences.captions !== 'original' ? cues.show(target, now) : NO_CUES,
    original: preferences.captions !== 'translated' || !target ? cues.show(session.from, now) : NO_CUES,
  };
}

/** Chromium stamps what it played with the time since 1970; the page's clock counts from its own start, ms. */
const pageTime = (timestamp: number) => timestamp - performance.timeOrigin;

async function exists(id: string): Promise<boolean> {
  try {
    await getSession(id);
    return true;
  } catch (cause) {
    return failureOf(cause).error.code !== 'not_found';
  }
}
