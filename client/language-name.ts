import type { LanguageTag } from '../gateway/protocol.ts';

/** The language's English name, or the tag itself when it has none: `es` → "Spanish". */
export function languageName(tag: LanguageTag): string {
  return nameIn('en', tag);
}

/** The language's own name with a capital: `es` → "Español". For pickers: it is what its speakers look for. */
export function ownName(tag: LanguageTag): string {
  const name = nameIn(tag, tag);
  return name.charAt(0).toUpperCase() + name.slice(1);
}

function nameIn(locale: string, tag: string): string {
  try {
    return new Intl.DisplayNames([locale], { type: 'language' }).of(tag) ?? tag;
  } catch {
    return tag; // no BCP 47 tag
  }
}
