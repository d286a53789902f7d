import { useRef } from 'preact/hooks';
import { useTick } from '../use.ts';

/** Full scale at 0 dB, empty at this, dB. */
const FLOOR = -50;

/** A bar that follows `level` (RMS, 0 to 1) on a logarithmic scale. */
export function LevelMeter({ level }: { level: () => number }) {
  const bar = useRef<HTMLSpanElement>(null);
  const box = useRef<HTMLDivElement>(null);
  useTick(80, () => {
    const rms = level();
    const share = rms > 0 ? Math.max(0, Math.min(1, 1 - (20 * Math.log10(rms)) / FLOOR)) : 0;
    if (bar.current) bar.current.style.transform = `scaleX(${share.toFixed(3)})`;
    box.current?.setAttribute('aria-valuenow', String(Math.round(share * 100)));
  });
  return (
    <div
      class="level"
      ref={box}
      role="meter"
      aria-label="Sound level"
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={0}
    >
      <span ref={bar} />
    </div>
  );
}
