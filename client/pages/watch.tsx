import { useEffect, useRef, useState } from 'preact/hooks';
import type { TrackId } from '../../gateway/protocol.ts';
import type { ViewerHook } from '../hook.ts';
import { posterOf } from '../api.ts';
import { languageName } from '../language-name.ts';
import { delayWords, modeWords, stateWords } from '../mode-words.ts';
import { CAPTION_MODES } from '../preferences.ts';
import { Captions } from '../parts/captions.tsx';
import { Controls, type Menu } from '../parts/controls.tsx';
import { HelpDialog } from '../parts/help-dialog.tsx';
import { Icon } from '../parts/icon.tsx';
import { StatePill } from '../parts/state-pill.tsx';
import { StatsPanel } from '../parts/stats-panel.tsx';
import { useTitle } from '../parts/title.ts';
import { type Action, actionFor } from '../shortcuts.ts';
import { useOwned, useStore } from '../use.ts';
import { cuesShown, Viewing, type ViewingState } from '../viewing.ts';
import { MissingPage } from './missing.tsx';

/** The controls leave the picture after this long without a move, ms. */
const HIDE_AFTER = 3_000;

export function WatchPage({ id }: { id: string }) {
  const viewing = useOwned(() => new Viewing(id));
  const state = useStore(viewing.store);
  const [menu, setMenu] = useState<Menu | null>(null);
  const [stats, setStats] = useState(false);
  const [help, setHelp] = useState(false);
  const [idle, setIdle] = useState(false);
  const video = useRef<HTMLVideoElement>(null);
  const poster = useRef<string | null>(null);
  const player = useRef<HTMLElement>(null);
  const hiding = useRef<ReturnType<typeof setTimeout>>(undefined);
  useTitle(state.session?.name ?? 'Watch');

  const toggle = () => {
    if (state.play === 'playing') viewing.pause();
    else if (video.current) viewing.play(video.current);
  };
  const wake = () => {
    setIdle(false);
    clearTimeout(hiding.current);
    hiding.current = setTimeout(() => setIdle(true), HIDE_AFTER);
  };
  const act = (action: Action) => {
    wake();
    const { preferences } = viewing.store.value;
    switch (action) {
      case 'play':
        return toggle();
      case 'mute':
        return viewing.prefer({ muted: !preferences.muted });
      case 'captions': {
        const next = (CAPTION_MODES.indexOf(preferences.captions) + 1) % CAPTION_MODES.length;
        return viewing.prefer({ captions: CAPTION_MODES[next] ?? 'off' });
      }
      case 'language':
        return setMenu((open) => (open === 'language' ? null : 'language'));
      case 'fullscreen':
        return void (
          document.fullscreenElement ? document.exitFullscreen() : player.current?.requestFullscreen()
        )?.catch(() => {});
      case 'stats':
        return setStats((shown) => !shown);
      case 'help':
        return setHelp((shown) => !shown);
    }
  };

  const newest = useRef(act);
  newest.current = act;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const target = event.target instanceof HTMLElement ? event.target : document.body;
      const action = actionFor({
        key: event.key,
        modified: event.ctrlKey || event.altKey || event.metaKey,
        target: { tag: target.tagName.toLowerCase(), type: target.getAttribute('type') },
      });
      if (!action) return;
      event.preventDefault();
      newest.current(action);
    };
    addEventListener('keydown', pressed);
    return () => {
      removeEventListener('keydown', pressed);
      clearTimeout(hiding.current);
    };
  }, []);
  // Somebody who came here by a click has already asked for sound.
  useEffect(() => {
    if (navigator.userActivation.isActive && video.current) viewing.play(video.current);
  }, [viewing]);
  useEffect(() => {
    window.livedub = hookOf(viewing, () => video.current);
    return () => delete window.livedub;
  }, [viewing]);

  if (state.link === 'missing')
    return <MissingPage title="No such session" text={`There is no session “${id}”. It may have ended.`} />;
  const over = overlayOf(state);
  const mode = state.mode && modeWords(state.mode);
  // The one of the beginning: it is seen until there are pictures.
  poster.current ??= state.session && posterOf(state.session);
  return (
    <div class="watch">
      <section
        ref={player}
        class={`player ${idle && state.play === 'playing' && !menu ? 'idle' : ''}`}
        aria-label="Player"
        onPointerMove={wake}
        onPointerDown={wake}
        onFocusIn={wake}
      >
        <div class="picture">
          <video
            ref={video}
            playsInline
            muted
            {...(poster.current !== null && { poster: poster.current })}
            aria-label={state.session?.name ?? 'Programme'}
            onClick={() => (menu ? setMenu(null) : toggle())}
          />
          <Captions viewing={viewing} state={state} />
          {over && (
            <div class="overlay">
              {over.waiting && <span class="spinner" aria-hidden="true" />}
              <p>{over.text}</p>
            </div>
          )}
          {!over && state.play !== 'playing' && (
            <button
              type="button"
              class="big-play"
              aria-label={state.play === 'idle' ? 'Play' : 'Go on playing'}
              onClick={toggle}
            >
              <Icon name="play" />
            </button>
          )}
        </div>
        <Controls viewing={viewing} state={state} menu={menu} onMenu={setMenu} onAction={act} statsShown={stats} />
        {stats && <StatsPanel viewing={viewing} state={state} onClose={() => setStats(false)} />}
      </section>
      <div class="about">
        <div class="title">
          <h1>{state.session?.name ?? 'Connecting…'}</h1>
          {state.session && <StatePill state={state.state} />}
        </div>
        {state.stats && mode && (
          <p class={`badge ${mode.tone}`}>
            {delayWords(state.stats)} · {mode.badge}
          </p>
        )}
        {mode?.explanation && state.state === 'live' && <p class="quiet">{mode.explanation}</p>}
        {state.session && (
          <p class="quiet">
            Spoken in {languageName(state.session.from)}
            {state.stats && ` · ${state.stats.viewers} watching`}
          </p>
        )}
      </div>
      <p class="unseen" role="status">
        {announcement(state)}
      </p>
      {help && <HelpDialog onClose={() => setHelp(false)} />}
    </div>
  );
}

/** What covers the picture while there is none. */
function overlayOf(state: ViewingState): { text: string; waiting: boolean } | null {
  switch (state.link) {
    case 'connecting':
      return { text: 'Connecting…', waiting: true };
    case 'reconnecting':
      return { text: `${state.problem ?? 'The connection is lost.'} Reconnecting…`, waiting: true };
    case 'refused':
      return { text: state.problem ?? 'The gateway refused this page.', waiting: false };
    case 'ended':
      return { text: stateWords('ended', null).message ?? '', waiting: false };
    case 'missing':
    case 'online':
      break;
  }
  const { message } = stateWords(state.state, state.reason);
  // While the session restarts the delayed picture may go on: then a word in the page is enough.
  if (message && !(state.state === 'restarting' && state.flowing)) {
    return { text: message, waiting: state.state !== 'ended' && state.state !== 'failed' };
  }
  if (state.play === 'playing' && !state.flowing)
    return { text: state.problem ?? 'Waiting for picture and sound…', waiting: true };
  return null;
}

/** What a screen reader says when it changes: where things stand, not how they tick. */
function announcement(state: ViewingState): string {
  const over = overlayOf(state);
  if (over) return over.text;
  if (state.play !== 'playing') return state.play === 'paused' ? 'Paused.' : 'Ready to play.';
  const mode = state.mode && modeWords(state.mode);
  const heard = state.tracks.find(({ id }) => id === state.heard);
  const language =
    heard?.language &&
    (state.heard === 'original' ? `Original, ${languageName(heard.language)}` : languageName(heard.language));
  const alone = state.heard?.startsWith('voice:') && state.preferences.original;
  const under = alone && alone !== 'mixed' && UNDER_WORDS[alone];
  return [language && `Playing: ${language}.`, under, mode?.explanation].filter(Boolean).join(' ');
}

const UNDER_WORDS = {
  silent: 'The original is silent under the dub.',
  quiet: 'The original is quiet under the dub.',
  'voice-over': 'The original is heard behind the dub.',
};

function hookOf(viewing: Viewing, video: () => HTMLVideoElement | null): ViewerHook {
  const state = () => viewing.store.value;
  return {
    page: 'viewer',
    get connected() {
      return viewing.connected;
    },
    get play() {
      return state().play;
    },
    get trackId(): TrackId | null {
      return state().chosen;
    },
    get heard(): TrackId | null {
      return state().heard;
    },
    get seen(): TrackId | null {
      return state().seen;
    },
    get currentMedia() {
      return viewing.now();
    },
    get cues() {
      const { translated, original } = cuesShown(viewing.cues, state(), viewing.now());
      return [...translated, ...original];
    },
    get switchedInMs() {
      return viewing.switchedInMs;
    },
    get framesDecoded() {
      return video()?.getVideoPlaybackQuality().totalVideoFrames ?? 0;
    },
    get audioLevel() {
      return viewing.audioLevel;
    },
    get originalLevel() {
      return viewing.originalLevel;
    },
    get audioPeakHz() {
      return viewing.audioPeakHz;
    },
    get avOffsetMs() {
      return viewing.avOffsetMs;
    },
    get mode() {
      return state().mode;
    },
    get state() {
      return state().state;
    },
  };
}
