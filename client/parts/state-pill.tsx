import type { SessionState } from '../../gateway/protocol.ts';
import { stateWords } from '../mode-words.ts';

export function StatePill({ state }: { state: SessionState }) {
  return (
    <span class={`pill state-${state}`}>
      <span class="dot" aria-hidden="true" />
      {stateWords(state, null).label}
    </span>
  );
}
