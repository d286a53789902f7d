import { useEffect, useRef, useState } from 'preact/hooks';
import type { Store } from './store.ts';

/** The store's value, drawn again whenever it changes. */
export function useStore<T>(store: Store<T>): T {
  const [value, setValue] = useState(store.value);
  useEffect(() => {
    setValue(() => store.value);
    return store.listen(() => setValue(() => store.value));
  }, [store]);
  return value;
}

/** Calls `tick` every `period` ms while the component is shown, always the newest one. */
export function useTick(period: number, tick: () => void): void {
  const newest = useRef(tick);
  newest.current = tick;
  useEffect(() => {
    const timer = setInterval(() => newest.current(), period);
    return () => clearInterval(timer);
  }, [period]);
}

/** Makes something that lives as long as the component does and is closed with it. */
export function useOwned<T extends { close(): void }>(make: () => T): T {
  const [thing] = useState(make);
  useEffect(() => () => thing.close(), [thing]);
  return thing;
}
