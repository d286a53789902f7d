import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { type Route, routeOf } from './route.ts';

const MOVED = 'livedub:moved';

/** Shows another page without loading anything. */
export function go(path: string): void {
  history.pushState(null, '', path);
  dispatchEvent(new Event(MOVED));
  scrollTo(0, 0);
}

const here = () => routeOf(location.pathname, location.search, location.origin);

export function useRoute(): Route {
  const [route, setRoute] = useState(here);
  useEffect(() => {
    const moved = () => setRoute(here());
    addEventListener('popstate', moved);
    addEventListener(MOVED, moved);
    return () => {
      removeEventListener('popstate', moved);
      removeEventListener(MOVED, moved);
    };
  }, []);
  return route;
}

export function Link(props: { to: string; class?: string; label?: string; children: ComponentChildren }) {
  return (
    <a
      href={props.to}
      class={props.class}
      aria-label={props.label}
      onClick={(event) => {
        if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(props.to);
      }}
    >
      {props.children}
    </a>
  );
}
