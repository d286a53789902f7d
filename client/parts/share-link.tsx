import { useState } from 'preact/hooks';
import { Icon } from './icon.tsx';

/** The address to send to viewers. */
export function ShareLink({ path }: { path: string }) {
  const [copied, setCopied] = useState(false);
  const url = new URL(path, location.origin).href;
  const copy = () => {
    navigator.clipboard.writeText(url).then(
      () => {
        setCopied(true);
        setTimeout(() => setCopied(false), 2_000);
      },
      () => document.querySelector<HTMLInputElement>('#share')?.select(), // not allowed: at least it is marked for Ctrl+C
    );
  };
  return (
    <div class="field share">
      <label for="share">Link for viewers</label>
      <div class="row">
        <input id="share" readOnly value={url} onFocus={(e) => e.currentTarget.select()} />
        <button type="button" class="button" onClick={copy} aria-label="Copy the link">
          <Icon name="copy" /> <span aria-live="polite">{copied ? 'Copied' : 'Copy'}</span>
        </button>
      </div>
      {/* In a tab of its own: leaving this page ends what is published. */}
      <a href={path} target="_blank" rel="noopener">
        Open the viewer page
      </a>
    </div>
  );
}
