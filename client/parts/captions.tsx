import { useState } from 'preact/hooks';
import { speakerName } from '../../gateway/protocol.ts';
import { Cast, type ShownCue } from '../cue-book.ts';
import { useOwned, useTick } from '../use.ts';
import { type CuesShown, cuesShown, type Viewing, type ViewingState } from '../viewing.ts';

/** How often the captions are looked up, ms: less than the shortest word. */
const PERIOD = 80;

class Colours extends Cast {
  close(): void {}
}

/** The captions of what is being heard, over the picture. Not announced: a screen reader's user hears the programme. */
export function Captions({ viewing, state }: { viewing: Viewing; state: ViewingState }) {
  const cast = useOwned(() => new Colours());
  const [shown, setShown] = useState<CuesShown>({ translated: [], original: [] });
  useTick(PERIOD, () => {
    const next = cuesShown(viewing.cues, viewing.store.value, viewing.now());
    setShown((old) => (old.translated === next.translated && old.original === next.original ? old : next));
  });
  if (state.play !== 'playing') return null;
  const cues = [
    ...shown.translated.map((cue) => ({ cue, second: false })),
    ...shown.original.map((cue) => ({ cue, second: shown.translated.length > 0 })),
  ];
  return (['top', 'bottom'] as const).map((place) => {
    const here = cues.filter(({ cue }) => (cue.place ?? 'bottom') === place);
    if (here.length === 0) return null;
    return (
      <div key={place} class={`captions ${place}`}>
        {here.map(({ cue, second }) => (
          <Caption key={`${cue.language} ${cue.id}`} cue={cue} second={second} colour={cast.colourOf(cue.speaker)} />
        ))}
      </div>
    );
  });
}

function Caption({ cue, second, colour }: { cue: ShownCue; second: boolean; colour: string }) {
  return (
    <div class="caption" style={{ '--speaker': colour }}>
      {cue.introduces && !second && <span class="speaker">{speakerName(cue.speaker)}</span>}
      <p lang={cue.language} class={`${second ? 'second' : ''} ${cue.draft ? 'draft' : ''}`}>
        {cue.lines.map((line, n) => (
          <span key={n} dir="auto">
            {line}
          </span>
        ))}
      </p>
    </div>
  );
}
