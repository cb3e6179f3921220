import { defineConfig } from 'vite';

/** Everything ends up in two files beside the page: nothing inline, nothing of another host, so that the strictest policy holds. */
export default defineConfig({
  base: './',
  build: {
    outDir: '../../dist/web',
    emptyOutDir: true,
    target: 'es2023',
    modulePreload: false,
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
});
