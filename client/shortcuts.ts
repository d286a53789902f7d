export type Action = 'play' | 'mute' | 'captions' | 'language' | 'fullscreen' | 'stats' | 'help';

/** What the keys do, in the order the help dialog lists them. */
export const SHORTCUTS: readonly {
  readonly keys: readonly string[];
  readonly action: Action;
  readonly says: string;
}[] = [
  { keys: ['space', 'k'], action: 'play', says: 'Play or pause' },
  { keys: ['m'], action: 'mute', says: 'Mute or unmute' },
  { keys: ['l'], action: 'language', says: 'Choose the language' },
  { keys: ['c'], action: 'captions', says: 'Next caption setting' },
  { keys: ['f'], action: 'fullscreen', says: 'Full screen' },
  { keys: ['s'], action: 'stats', says: 'Show or hide the statistics' },
  { keys: ['?'], action: 'help', says: 'Show this list' },
];

/** A key press, as far as it matters here. `target` is the focused element's tag name in lower case and its input type. */
export interface KeyPress {
  readonly key: string;
  readonly modified: boolean;
  readonly target: { readonly tag: string; readonly type: string | null };
}

/**
 * What a key press asks for. Keys with Ctrl, Alt or Meta are the browser's; letters in a text field are text; and the
 * space bar on a focused control works that control.
 */
export function actionFor({ key, modified, target }: KeyPress): Action | null {
  if (modified) return null;
  const slider =
    target.tag === 'input' && (target.type === 'range' || target.type === 'radio' || target.type === 'checkbox');
  if (['textarea', 'select'].includes(target.tag) || (target.tag === 'input' && !slider)) return null;
  const name = key === ' ' ? 'space' : key.toLowerCase();
  if (name === 'space' && ['button', 'a', 'summary', 'input'].includes(target.tag)) return null;
  return SHORTCUTS.find(({ keys }) => keys.includes(name))?.action ?? null;
}
