import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { containerdConfiguration } from '../../cli/clients/containerd.ts';
import { containersConfiguration } from '../../cli/clients/containers.ts';
import { dockerConfiguration } from '../../cli/clients/docker.ts';
import { k3sConfiguration } from '../../cli/clients/k3s.ts';
import { addressFor, clientConfigurations } from './client-configuration.ts';

const target = { address: 'cache.example:5000', isTls: false, registries: ['docker.io', 'ghcr.io'] };
const files = (configured: typeof target) =>
  new Map(clientConfigurations(configured).flatMap((client) => client.files.map(({ path, text }) => [path, text])));

test('each client gets a file for each registry, with the address that was given', () => {
  const all = files(target);
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

test('with TLS nothing is told to be insecure', () => {
  const all = files({ ...target, isTls: true });
  for (const [path, text] of all) assert.doesNotMatch(text, /insecure|http:/, path);
});

test('the address is what clients can reach, as far as it can be told', () => {
  assert.deepEqual(addressFor('10.0.0.7:5000', 'localhost'), { address: '10.0.0.7:5000', isGuess: false });
  assert.deepEqual(addressFor('0.0.0.0:5000', 'edge-1.lan'), { address: 'edge-1.lan:5000', isGuess: true });
  assert.deepEqual(addressFor('[::]:5000', 'edge-1.lan'), { address: 'edge-1.lan:5000', isGuess: true });
  assert.deepEqual(addressFor('0.0.0.0:5000', '127.0.0.1'), { address: 'cache.example:5000', isGuess: true });
  assert.deepEqual(addressFor('127.0.0.1:5000', 'localhost'), { address: '127.0.0.1:5000', isGuess: false });
});

test('the page and the command say the same', () => {
  for (const isTls of [false, true]) {
    const ours = files({ ...target, isTls });
    const registries = target.registries.map((name, n) => ({
      name,
      endpoints: [`https://${name}`],
      isDefault: n === 0,
    }));
    const facts = { ...target, isTls, ca: undefined, registries };
    const printed = [
      containerdConfiguration(facts),
      dockerConfiguration(facts),
      containersConfiguration(facts, ''),
      k3sConfiguration(facts),
    ];
    for (const { path, content } of printed.flatMap((configuration) => configuration.files)) {
      assert.equal(ours.get(path), content, path);
    }
  }
});
