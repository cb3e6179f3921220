import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';

const run = promisify(execFile);

describe('what a thread loads', () => {
  it('has nothing of what node has of fetch, which nobody here uses', async () => {
    const app = new URL('../app.ts', import.meta.url).href;
    const script = `
      const { createServer } = await import(${JSON.stringify(new URL('./node-http.ts', import.meta.url).href)});
      createServer();
      await import(${JSON.stringify(app)});
      console.log(JSON.stringify(process.moduleLoadList));`;
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
    const loaded: string[] = JSON.parse(stdout);
    assert.ok(loaded.includes('NativeModule http'));
    assert.ok(!loaded.some((name) => name.includes('deps/undici')));
  });
});
