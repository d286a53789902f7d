import { useState } from 'preact/hooks';
import type { CueView } from '../../gateway/protocol.ts';
import { Cast, speakerName } from '../cue-book.ts';
import { useOwned, useTick } from '../use.ts';
import { cuesShown, type Viewing, type ViewingState } from '../viewing.ts';

/** How often the captions are looked up, ms: less than the shortest word. */
const PERIOD = 80;

class Colours extends Cast {
  close(): void {}
}

/** The captions of what is being heard, over the picture. Not announced: a screen reader's user hears the programme. */
export function Captions({ viewing, state }: { viewing: Viewing; state: ViewingState }) {
  const cast = useOwned(() => new Colours());
  const [shown, setShown] = useState<{ translated: CueView | null; original: CueView | null }>({
    translated: null,
    original: null,
  });
  useTick(PERIOD, () => {
    const next = cuesShown(viewing.cues, viewing.store.value, viewing.now());
    setShown((old) => (old.translated === next.translated && old.original === next.original ? old : next));
  });
  const both = shown.translated && shown.original;
  const speaker = (shown.translated ?? shown.original)?.speaker;
  if (!speaker || state.play !== 'playing') return null;
  return (
    <div class="captions" style={{ '--speaker': `var(--speaker-${cast.colourOf(speaker)})` }}>
      <span class="speaker">{speakerName(speaker)}</span>
      {shown.translated && <Line cue={shown.translated} />}
      {shown.original && <Line cue={shown.original} second={Boolean(both)} />}
    </div>
  );
}

function Line({ cue, second = false }: { cue: CueView; second?: boolean }) {
  return (
    <p lang={cue.language} class={`${second ? 'second' : ''} ${cue.draft ? 'draft' : ''}`}>
      <span>{cue.text}</span>
    </p>
  );
}
