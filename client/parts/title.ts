import { useEffect } from 'preact/hooks';

/** The browser tab's title while the page is shown. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title === 'Livedub' ? title : `${title} · Livedub`;
  }, [title]);
}
