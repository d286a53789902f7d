/** Shapes on a 24 × 24 grid, drawn with the text's colour. */
const PATHS = {
  play: 'M8 5.5v13l11-6.5z',
  pause: 'M7 5h4v14H7zM13 5h4v14h-4z',
  volume: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15 9a4 4 0 0 1 0 6M17.5 6.5a7.5 7.5 0 0 1 0 11',
  muted: 'M4 9.5v5h3.5L12 18.5v-13L7.5 9.5zM15.5 9.5l5 5M20.5 9.5l-5 5',
  language: 'M3.5 12a8.5 8.5 0 1 0 17 0a8.5 8.5 0 1 0 -17 0M3.5 12h17M12 3.5c5 5 5 12 0 17c-5-5-5-12 0-17',
  captions: 'M4 5.5h16v13H4zM7 11h4M13 11h4M7 15h6M15 15h2',
  stats: 'M5 19v-6M10 19V9M15 19v-8M20 19V5',
  full: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  help: 'M9 9.5a3 3 0 1 1 4.2 2.8c-.8.4-1.2 1-1.2 2M12 17.5v.2',
  close: 'M6 6l12 12M18 6L6 18',
  camera: 'M3.5 7h11v10h-11zM14.5 11l6-3v8l-6-3',
  screen: 'M3.5 5h17v11h-17zM9 20h6M12 16v4',
  file: 'M6 3.5h8l4 4v13H6zM14 3.5v4h4M10.5 11v6l4.5-3z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  plus: 'M12 5v14M5 12h14',
} as const;
export type IconName = keyof typeof PATHS;

const FILLED: readonly IconName[] = ['play', 'pause'];

export function Icon({ name }: { name: IconName }) {
  const filled = FILLED.includes(name);
  return (
    <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false">
      <path
        d={PATHS[name]}
        fill={filled ? 'currentColor' : 'none'}
        stroke="currentColor"
        stroke-width={filled ? 1 : 1.8}
        stroke-linejoin="round"
        stroke-linecap="round"
      />
    </svg>
  );
}
