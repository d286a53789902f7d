import type { ComponentChildren } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import type { TrackId, TrackView } from '../../gateway/protocol.ts';
import { languageName, ownName } from '../language-name.ts';
import { delayWords } from '../mode-words.ts';
import { voiceOf } from '../blend.ts';
import { CAPTION_MODES, type CaptionMode, ORIGINAL_MODES, type OriginalMode, VOICE_OVER } from '../preferences.ts';
import type { Action } from '../shortcuts.ts';
import type { Viewing, ViewingState } from '../viewing.ts';
import { Icon, type IconName } from './icon.tsx';

export type Menu = 'language' | 'captions';

interface ControlsProps {
  readonly viewing: Viewing;
  readonly state: ViewingState;
  readonly menu: Menu | null;
  readonly onMenu: (menu: Menu | null) => void;
  readonly onAction: (action: Action) => void;
  readonly statsShown: boolean;
}

/** The bar below the picture. */
export function Controls({ viewing, state, menu, onMenu, onAction, statsShown }: ControlsProps) {
  const { preferences, play, stats, chosen, tracks } = state;
  const chosenTrack = tracks.find(({ id }) => id === chosen);
  const playing = play === 'playing';
  const bar = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!menu) return;
    if (menu === 'language') for (const id of spare(chosen, tracks)) viewing.prepare(id);
    const outside = (event: PointerEvent) => {
      if (event.target instanceof Node && !bar.current?.contains(event.target)) onMenu(null);
    };
    document.addEventListener('pointerdown', outside);
    return () => document.removeEventListener('pointerdown', outside);
  }, [menu]);

  return (
    <div class="controls" role="group" aria-label="Player controls" ref={bar}>
      <Button
        icon={playing ? 'pause' : 'play'}
        label={playing ? 'Pause' : 'Play'}
        keys="k"
        onClick={() => onAction('play')}
      />
      <Button
        icon={preferences.muted ? 'muted' : 'volume'}
        label={preferences.muted ? 'Unmute' : 'Mute'}
        keys="m"
        onClick={() => onAction('mute')}
      />
      <input
        class="volume"
        type="range"
        min="0"
        max="1"
        step="0.05"
        aria-label="Volume"
        aria-valuetext={`${Math.round(preferences.volume * 100)} %`}
        value={preferences.muted ? 0 : preferences.volume}
        onInput={(event) => viewing.prefer({ volume: event.currentTarget.valueAsNumber, muted: false })}
      />
      {stats && playing && (
        <span class="live-delay">
          <span class="dot" aria-hidden="true" /> {delayWords(stats)}
        </span>
      )}
      <span class="space" />
      <div class="with-menu">
        <button
          type="button"
          class="control wide"
          aria-haspopup="true"
          aria-expanded={menu === 'language'}
          aria-label={`Language: ${chosenTrack ? trackName(chosenTrack) : 'none yet'}`}
          title="Language (l)"
          onClick={() => onMenu(menu === 'language' ? null : 'language')}
        >
          <Icon name="language" />
          <span class="now">
            {chosenTrack?.id === 'original' ? 'Original' : chosenTrack?.language ? ownName(chosenTrack.language) : '–'}
          </span>
        </button>
        {menu === 'language' && (
          <Panel title="Listen in" onClose={() => onMenu(null)}>
            <div role="radiogroup" aria-label="Listen in">
              {tracks.filter(isLanguage).map((track) => (
                <label class="option" key={track.id}>
                  <input
                    type="radio"
                    name="track"
                    checked={track.id === chosen}
                    onChange={() => viewing.choose(track.id)}
                  />
                  <span>
                    {track.id === 'original' ? 'Original' : track.language ? ownName(track.language) : track.id}
                  </span>
                  <small>{track.language && languageName(track.language)}</small>
                </label>
              ))}
            </div>
            <OriginalUnderDub viewing={viewing} state={state} />
          </Panel>
        )}
      </div>
      <div class="with-menu">
        <button
          type="button"
          class={`control ${preferences.captions === 'off' ? 'off' : ''}`}
          aria-haspopup="true"
          aria-expanded={menu === 'captions'}
          aria-label={`Captions: ${CAPTION_WORDS[preferences.captions]}`}
          title="Captions (c)"
          onClick={() => onMenu(menu === 'captions' ? null : 'captions')}
        >
          <Icon name="captions" />
        </button>
        {menu === 'captions' && (
          <Panel title="Captions" onClose={() => onMenu(null)}>
            <div role="radiogroup" aria-label="Captions">
              {CAPTION_MODES.map((mode) => (
                <label class="option" key={mode}>
                  <input
                    type="radio"
                    name="captions"
                    checked={mode === preferences.captions}
                    onChange={() => viewing.prefer({ captions: mode })}
                  />
                  <span>{CAPTION_WORDS[mode]}</span>
                </label>
              ))}
            </div>
          </Panel>
        )}
      </div>
      <Button
        icon="stats"
        label={statsShown ? 'Hide statistics' : 'Show statistics'}
        keys="s"
        onClick={() => onAction('stats')}
      />
      <Button icon="help" label="Keyboard shortcuts" keys="?" onClick={() => onAction('help')} class="help" />
      <Button icon="full" label="Full screen" keys="f" onClick={() => onAction('fullscreen')} />
    </div>
  );
}

/** What can be listened to: the voices by themselves are no language of their own. */
const isLanguage = ({ id, kind }: TrackView) => kind === 'audio' && !id.startsWith('voice:');

/** What may be chosen next: every language, and what the dub that is heard is mixed from. */
const spare = (chosen: TrackId | null, tracks: readonly TrackView[]): TrackId[] => {
  const voice = voiceOf(chosen, tracks);
  return [...tracks.filter(isLanguage).map(({ id }) => id), ...(voice ? [voice] : [])];
};

/** How the original sounds under the dub: a choice where the page can mix it, else more of it or less. */
function OriginalUnderDub({
  viewing,
  state: { preferences, chosen, tracks },
}: {
  viewing: Viewing;
  state: ViewingState;
}) {
  const { original, voiceOver, under } = preferences;
  if (!tracks.some(({ id }) => id.startsWith('voice:')) || (chosen !== 'original' && !voiceOf(chosen, tracks))) {
    return (
      <label class="slider">
        <span>Original under the dub</span>
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          disabled={chosen === 'original'}
          aria-valuetext={`${Math.round(under * 100)} %`}
          value={under}
          onInput={(event) => viewing.prefer({ under: event.currentTarget.valueAsNumber })}
        />
      </label>
    );
  }
  return (
    <div class="under" role="radiogroup" aria-labelledby="under-title">
      <h3 id="under-title">How the original sounds under the dub</h3>
      {ORIGINAL_MODES.map((mode) => (
        <label class="option" key={mode}>
          <input
            type="radio"
            name="original"
            disabled={chosen === 'original'}
            checked={mode === original}
            onChange={() => viewing.prefer({ original: mode })}
          />
          <span>{ORIGINAL_WORDS[mode].name}</span>
          <small>{mode === 'voice-over' ? decibels(voiceOver) : ORIGINAL_WORDS[mode].says}</small>
        </label>
      ))}
      {original === 'voice-over' && (
        <label class="slider">
          <span>Original behind the voice-over</span>
          <input
            type="range"
            min={VOICE_OVER.least}
            max={VOICE_OVER.most}
            step="1"
            disabled={chosen === 'original'}
            aria-valuetext={decibels(voiceOver)}
            value={voiceOver}
            onInput={(event) => viewing.prefer({ voiceOver: event.currentTarget.valueAsNumber })}
          />
        </label>
      )}
    </div>
  );
}

const decibels = (level: number) => `${level < 0 ? '−' : ''}${Math.abs(level)} dB`;

const ORIGINAL_WORDS: Record<OriginalMode, { readonly name: string; readonly says: string }> = {
  mixed: { name: 'As mixed', says: 'for everybody' },
  silent: { name: 'Silent', says: 'the dub alone' },
  quiet: { name: 'Quiet', says: '−20 dB' },
  'voice-over': { name: 'Voice-over', says: '' },
};

const CAPTION_WORDS: Record<CaptionMode, string> = {
  off: 'Off',
  translated: 'Translated',
  original: 'Original',
  both: 'Both',
};

function trackName({ id, language }: { id: string; language: string | null }): string {
  const name = language ? languageName(language) : id;
  return id === 'original' ? `Original, ${name}` : name;
}

function Button(props: { icon: IconName; label: string; keys: string; onClick: () => void; class?: string }) {
  return (
    <button
      type="button"
      class={`control ${props.class ?? ''}`}
      aria-label={props.label}
      title={`${props.label} (${props.keys})`}
      onClick={props.onClick}
    >
      <Icon name={props.icon} />
    </button>
  );
}

/** A menu over the picture. Takes the focus when it opens, gives it back when it closes. */
function Panel(props: { title: string; onClose: () => void; children: ComponentChildren }) {
  const panel = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const opener = document.activeElement;
    (panel.current?.querySelector<HTMLElement>('input:checked') ?? panel.current?.querySelector('input'))?.focus();
    return () => {
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <div
      ref={panel}
      class="menu"
      onKeyDown={(event) => {
        if (event.key !== 'Escape' && event.key !== 'Enter') return;
        event.stopPropagation();
        props.onClose();
      }}
    >
      <h2>{props.title}</h2>
      {props.children}
    </div>
  );
}
