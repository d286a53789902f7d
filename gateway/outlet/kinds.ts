import type { Openers } from './outlets.ts';

const absent = () => Promise.reject(new TypeError('not wired'));
/** The outlets there are. */
export const OPENERS: Openers = { hls: absent, record: absent, push: absent };
