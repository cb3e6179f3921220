import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import type { CachedRegistry } from './cache-facts.ts';
import { type AdvisedCache, clientAdvice } from './client-advice.ts';
import { type ClientName, clientNames } from './client-names.ts';

const ways = { address: '--address HOST:PORT', ca: '--ca FILE' };

const registry = (name: string, isDefault = false): CachedRegistry => ({
  name,
  endpoints: [`https://${name}`],
  isDefault,
});
const cache: AdvisedCache = {
  at: { address: 'cache.example:5000', notes: [] },
  isTls: false,
  ca: undefined,
  registries: [registry('docker.io', true), registry('ghcr.io')],
};

function adviceFor(client: ClientName, changes: Partial<AdvisedCache> = {}) {
  const advice = clientAdvice(client, { ...cache, ...changes }, ways);
  assert.equal(advice.kind, 'advice');
  return advice;
}

const filesFor = (changes: Partial<AdvisedCache> = {}) =>
  new Map(
    clientNames.flatMap((client) => adviceFor(client, changes).files.map(({ path, content }) => [path, content])),
  );

test('each client gets a file for each registry, with the address that was given', () => {
  const all = filesFor();
  assert.equal(
    all.get('/etc/containerd/certs.d/docker.io/hosts.toml'),
    '# /etc/containerd/certs.d/docker.io/hosts.toml\nserver = "https://registry-1.docker.io"\n\n[host."http://cache.example:5000"]\n  capabilities = ["pull", "resolve"]\n',
  );
  assert.match(all.get('/etc/containerd/certs.d/ghcr.io/hosts.toml') ?? '', /^server = "https:\/\/ghcr\.io"$/m);
  assert.deepEqual(JSON.parse(all.get('/etc/docker/daemon.json') ?? ''), {
    'registry-mirrors': ['http://cache.example:5000'],
    'insecure-registries': ['cache.example:5000'],
  });
  assert.match(
    all.get('/etc/containers/registries.conf.d/50-onepull.conf') ?? '',
    /location = "cache\.example:5000\/ghcr\.io"\ninsecure = true/,
  );
  assert.deepEqual(parse(all.get('/etc/rancher/k3s/registries.yaml') ?? ''), {
    mirrors: {
      'docker.io': { endpoint: ['http://cache.example:5000'] },
      'ghcr.io': { endpoint: ['http://cache.example:5000'] },
    },
  });
});

test('with TLS nothing is told to be insecure, and nobody is left to wonder about its authority', () => {
  const all = filesFor({ isTls: true });
  for (const [path, text] of all) assert.doesNotMatch(text, /insecure|http:/, path);
  for (const client of clientNames) {
    const notes = (ca: string | undefined) => adviceFor(client, { isTls: true, ca }).notes.join('\n');
    assert.match(notes(undefined), /The cache speaks TLS\..*, --ca FILE says where/, client);
    assert.doesNotMatch(notes('/etc/ca.pem'), /--ca/, client);
  }
});

test('Podman and CRI-O read the same file, and are told of it in their own ways', () => {
  const [podman, crio] = [adviceFor('podman'), adviceFor('crio')];
  assert.deepEqual(podman.files, crio.files);
  assert.match(podman.next.join(), /at each pull/);
  assert.match(crio.next.join(), /systemctl reload crio/);
});

test('notes say first what is to be said of the address, then what is left out', () => {
  const registries = [...cache.registries, registry('registry.example:5000')];
  const at = { address: 'cache.example:5000', notes: ['It is a guess.'] };
  assert.deepEqual(adviceFor('podman', { at, registries }).notes, [
    'It is a guess.',
    "registry.example:5000 is left out: a mirror's path cannot hold a port.",
  ]);
});

test('a client that cannot pull through such a cache gets no files, but a reason', () => {
  const none = (client: ClientName, ...registries: readonly CachedRegistry[]) => {
    const advice = clientAdvice(client, { ...cache, registries }, ways);
    return advice.kind === 'none' ? advice.why : undefined;
  };
  assert.match(none('docker', registry('ghcr.io', true)) ?? '', /does not have docker\.io$/);
  assert.match(
    none('docker', registry('ghcr.io', true), registry('docker.io')) ?? '',
    /another registry as its default$/,
  );
  assert.match(none('crio', registry('a.example:1')) ?? '', /^nothing is left for crio: a\.example:1 is left out/);
  for (const client of clientNames) assert.ok(none(client), `${client}, of a cache without registries`);
  assert.equal(none('docker', registry('docker.io', true)), undefined);
});
