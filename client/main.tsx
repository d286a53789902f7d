import { render } from 'preact';
import { useEffect, useRef } from 'preact/hooks';
import { Shell } from './parts/shell.tsx';
import { MissingPage } from './pages/missing.tsx';
import { PublishPage } from './pages/publish.tsx';
import { SessionsPage } from './pages/sessions.tsx';
import { WatchPage } from './pages/watch.tsx';
import type { Route } from './route.ts';
import { useRoute } from './router.tsx';
import './style/tokens.css';
import './style/page.css';
import './style/player.css';
import './style/publish.css';

function Page({ route }: { route: Route }) {
  switch (route.page) {
    case 'sessions':
      return <SessionsPage />;
    case 'watch':
      return <WatchPage key={route.id} id={route.id} />;
    case 'publish':
      return <PublishPage key={route.id} id={route.id} autostart={route.autostart} />;
    case 'missing':
      return <MissingPage title="Page not found" text={`There is nothing at ${route.path}.`} />;
  }
}

function App() {
  const route = useRoute();
  const main = useRef<HTMLElement>(null);
  const first = useRef(true);
  // A page change moves the focus, so that a screen reader reads the new page and Tab starts at its top.
  useEffect(() => {
    if (!first.current) main.current?.focus();
    first.current = false;
  }, [route.page, 'id' in route && route.id]);
  return (
    <Shell main={main}>
      <Page route={route} />
    </Shell>
  );
}

const root = document.getElementById('app');
if (root) render(<App />, root);
