import { defineConfig } from 'vite';

/** Where the gateway is while `npx vite --config client/vite.config.ts` serves the pages itself. */
const gateway = 'http://127.0.0.1:8080';

/**
 * Builds the pages into `dist/client`. JSX is compiled by Vite itself from `tsconfig.json`.
 *
 * FFmpeg's core (script and wasm) lands unhashed below `/ffmpeg/`: the page loads it only when a publisher picks a file
 * that the browser cannot play, and whoever serves the pages can see and cache its 32 MB by that path.
 */
export default defineConfig({
  root: import.meta.dirname,
  base: '/',
  build: {
    outDir: '../dist/client',
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: true,
    rollupOptions: {
      output: {
        assetFileNames: ({ names }) =>
          names.some((name) => name.startsWith('ffmpeg-core'))
            ? 'ffmpeg/[name][extname]'
            : 'assets/[name]-[hash][extname]',
      },
    },
  },
  server: { proxy: { '/v1': { target: gateway, ws: true } } },
});
