import { DEFAULTS, type Preferences, preferencesOf } from './preferences.ts';

const KEY = 'livedub.preferences';

export function readPreferences(): Preferences {
  try {
    return preferencesOf(JSON.parse(localStorage.getItem(KEY) ?? '{}'));
  } catch {
    return DEFAULTS; // storage is forbidden or holds something else
  }
}

export function writePreferences(preferences: Preferences): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(preferences));
  } catch {
    // A private window keeps nothing; the page works all the same.
  }
}

/** The gateway's access token, for as long as the tab is open. Typed in when a call is refused with `unauthorized`. */
export const token = {
  read(): string | null {
    try {
      return sessionStorage.getItem('livedub.token');
    } catch {
      return null;
    }
  },
  write(value: string): void {
    try {
      sessionStorage.setItem('livedub.token', value);
    } catch {
      // see writePreferences
    }
  },
};
