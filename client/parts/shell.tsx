import type { ComponentChildren, RefObject } from 'preact';
import { Link } from '../router.tsx';

/** What every page has around it. */
export function Shell({ main, children }: { main: RefObject<HTMLElement | null>; children: ComponentChildren }) {
  return (
    <>
      <a class="skip" href="#main">
        Skip to the content
      </a>
      <header class="masthead">
        <Link to="/" class="brand" label="Livedub, all sessions">
          <img src="/icon.svg" alt="" width="28" height="28" />
          <span>Livedub</span>
        </Link>
        <nav aria-label="Main">
          <Link to="/">Sessions</Link>
        </nav>
      </header>
      <main id="main" ref={main} tabIndex={-1}>
        {children}
      </main>
    </>
  );
}
