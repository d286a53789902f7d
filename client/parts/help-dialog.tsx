import { useEffect, useRef } from 'preact/hooks';
import { SHORTCUTS } from '../shortcuts.ts';

export function HelpDialog({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby="help-title"
      onClose={onClose}
      onClick={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <h2 id="help-title">Keyboard shortcuts</h2>
      <dl class="keys">
        {SHORTCUTS.map(({ keys, action, says }) => (
          <div key={action}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{says}</dd>
          </div>
        ))}
      </dl>
      <button type="button" class="button primary" onClick={() => dialog.current?.close()}>
        Close
      </button>
    </dialog>
  );
}
