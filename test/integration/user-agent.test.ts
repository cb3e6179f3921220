import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildImage } from '../../src/cli/demo/image.ts';
import { productVersion } from '../../src/config/version.ts';
import { pull } from '../support/pull.ts';
import { inScene } from './scene.ts';

const image = buildImage({ seed: 'user-agent', layerSizes: [2_000] });

test('every request to upstream says which version of onepull asks', () =>
  inScene({}, async ({ registry, onepull }) => {
    const seen = new Set<string | undefined>();
    registry.script = ({ message }) => {
      seen.add(message.headers['user-agent']);
      return undefined;
    };
    registry.content.add('org/app', image, 'v1');
    await pull(onepull.url, 'org/app', 'v1');
    assert.deepEqual([...seen], [`onepull/${productVersion()}`]);
  }));
