import { expect, test } from 'vitest';
import { Guarded } from '../../gateway/outlet/guarded.ts';
import type { Outlet } from '../../gateway/outlet/outlet.ts';
import { Tap } from '../../gateway/outlet/tap.ts';
import { ManualClock } from '../../media/clock.ts';
import { OPUS_RATE } from '../../media/opus.ts';
import { RtpTrack } from '../../media/send.ts';
import { at } from '../../media/time.ts';

const TRACK = { id: 'original', kind: 'audio', language: 'en', title: 'x', codec: 'Opus', ssrc: 5, rtp: { base: 0, rate: OPUS_RATE } } as const; // prettier-ignore

test.for(['tracks', 'sound', 'tick', 'cue'] as const)(
  'an outlet that throws in %s takes no other with it, is complained about once, and is told nothing more',
  (where) => {
    const told: Record<string, string[]> = { good: [], bad: [] };
    const outlet = (name: string): Outlet => {
      const hear = (what: string) => () => {
        told[name]!.push(what);
        if (name === 'bad' && what === where) throw new TypeError('a mistake of ours');
      };
      return {
        ...{ wants: { pictures: 'none', sound: 'Opus' }, counts: { heard: 1 }, close: () => Promise.resolve() },
        ...{
          tracks: hear('tracks'),
          picture: hear('picture'),
          sound: hear('sound'),
          tick: hear('tick'),
          cue: hear('cue'),
        },
      };
    };
    const failures: unknown[] = [];
    const all = ['bad', 'good'].map((name) => new Guarded(outlet(name), (failure) => failures.push(failure)));
    const clock = new ManualClock();
    const tap = new Tap(clock, () => all, () => {}); // prettier-ignore
    tap.tracks([TRACK]);
    const rtp = new RtpTrack({ ssrc: 5, payloadType: 100, rate: OPUS_RATE, rtpBase: 0, cname: 'x', numbering: { by: 'packet', next: 1 } }); // prettier-ignore
    for (let n = 0; n < 5; n += 1) {
      tap.datagram(rtp.packet(Uint8Array.of(0xf8, 0xff, 0xfe), at(n * 20_000), false));
      tap.tick();
      for (const one of all) one.cue({} as never);
    }
    tap.close();
    const count = (name: string, what: string) => told[name]!.filter((one) => one === what).length;
    expect(failures).toEqual([new TypeError('a mistake of ours')]);
    expect(['sound', 'tick', 'cue'].map((what) => count('good', what))).toEqual([5, 5, 5]);
    expect([count('bad', where), told['bad']!.at(-1)]).toEqual([1, where]);
    expect(all.map(({ counts }) => counts)).toEqual([{ heard: 1, broken: 1 }, { heard: 1, broken: 0 }]); // prettier-ignore
    expect(all[0]!.wants).toEqual({ pictures: 'none', sound: 'none' });
  },
);
