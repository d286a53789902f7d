import { credentialLines, type Transport } from './answer.ts';
import { iceOf } from './offer.ts';
import { attributeOf, malformed } from './sdp.ts';

/** What a client sends about its side of ICE (RFC 8840 §9). */
export interface Fragment {
  readonly ice: { readonly ufrag: string; readonly pwd: string } | undefined;
  readonly candidates: number;
}

const CANDIDATE = /^[A-Za-z0-9+/]{1,32} \d{1,5} \w{1,16} \d{1,10} \S{1,255} \d{1,5} typ \w{1,16}(?: \S+ \S+)*$/;
/** A host with many networks has some dozens. */
const MOST_CANDIDATES = 200;
const FIX = 'Send application/trickle-ice-sdpfrag as RFC 8840 §9 has it.';

/**
 * Takes a fragment apart. An ICE-lite agent learns where its peer is from the checks it receives, so candidates are
 * checked and not kept.
 *
 * @throws Refusal `invalid`
 */
export function readFragment(text: string): Fragment {
  let [ufrag, pwd]: (string | undefined)[] = [];
  let candidates = 0;
  let ended = false;
  for (const [i, raw] of text.split('\n').entries()) {
    const line = raw.trimEnd();
    if (line === '') continue;
    if (!/^[am]=./.test(line)) throw malformed(`line ${i + 1} of the fragment is neither a= nor m=`, FIX);
    if (line.startsWith('m=')) continue;
    const { name, value } = attributeOf(line.slice(2));
    if (name === 'ice-ufrag') ufrag = value;
    if (name === 'ice-pwd') pwd = value;
    ended ||= name === 'end-of-candidates';
    if (name !== 'candidate') continue;
    candidates += 1;
    if (!CANDIDATE.test(value)) throw malformed(`the a=candidate in line ${i + 1} is not one`, FIX);
    if (candidates > MOST_CANDIDATES) throw malformed(`it has more than ${MOST_CANDIDATES} candidates`, FIX);
  }
  if (ufrag === undefined && pwd === undefined && candidates === 0 && !ended)
    throw malformed('there is nothing in the fragment', FIX);
  return { ice: ufrag === undefined && pwd === undefined ? undefined : iceOf(ufrag, pwd), candidates };
}

/** The m-line that everything is on, as a fragment names it (RFC 8840 §9). */
export interface FragmentSection {
  readonly media: string;
  readonly protocol: string;
  readonly formats: readonly string[];
  readonly mid: string | undefined;
}

/** The gateway's new side of ICE after a restart. */
export function writeFragment(
  transport: Pick<Transport, 'iceParameters' | 'iceCandidates'>,
  section?: FragmentSection,
): string {
  const lines = ['a=ice-lite'];
  if (section) lines.push(`m=${section.media} 9 ${section.protocol} ${section.formats.join(' ')}`);
  if (section?.mid !== undefined) lines.push(`a=mid:${section.mid}`);
  return `${[...lines, ...credentialLines(transport)].join('\r\n')}\r\n`;
}
