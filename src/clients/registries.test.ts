import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadYaml } from '../config/testing/written-config.ts';
import { registriesIn } from './registries.ts';

const configurations = {
  'several, one of them the default': {
    'docker.io': { url: 'https://registry-1.docker.io', default: true },
    'registry.example:5000': { url: 'http://registry.example:5000', redirects: { allow: ['10.0.0.9'] } },
    'corp.example': { endpoints: ['https://a.corp.example', 'https://b.corp.example'], tls: {} },
  },
  'a lone one, which is the default by itself': { 'ghcr.io': { url: 'https://ghcr.io' } },
};

for (const [what, upstreams] of Object.entries(configurations)) {
  test(`the settings in force say of registries what the configuration says: ${what}`, async (context) => {
    const written = Object.entries(upstreams).map(([name, value]) => `  ${name}: ${JSON.stringify(value)}\n`);
    const loaded = await loadYaml(context, `upstreams:\n${written.join('')}`);
    assert.equal(loaded.kind, 'config');
    assert.deepEqual(
      registriesIn(loaded.settings),
      loaded.config.upstreams.map(({ name, endpoints, isDefault }) => ({ name, endpoints, isDefault })),
    );
  });
}
