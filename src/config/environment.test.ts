import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfig } from './load.ts';
import { settings } from './outline.ts';
import { configOf, loadYaml, problemsIn } from './testing/written-config.ts';

test('names are derived from the path', () => {
  const variables = settings().map(({ variable }) => variable);
  for (const variable of [
    'ONEPULL_LISTEN',
    'ONEPULL_STORAGE_MAX_SIZE',
    'ONEPULL_UPSTREAMS_<NAME>_CREDENTIALS_PASSWORD_FILE',
    'ONEPULL_PULL_HEADER_TIMEOUT',
  ]) {
    assert(variables.includes(variable), variable);
  }
  assert.equal(new Set(variables).size, variables.length);
});

test('text becomes a number, a truth value or a list where the key wants one', async () => {
  const environment = {
    ONEPULL_SERVER_MAX_CONNECTIONS: '77',
    ONEPULL_LOG_ACCESS: 'False',
    ONEPULL_UPSTREAMS_DOCKER_IO_AUTH_REALMS: 'one.example, two.example',
  };
  const config = configOf(await loadConfig({ environment }));
  assert.equal(config.server.maxConnections, 77);
  assert.equal(config.log.access, false);
  assert.deepEqual(config.upstreams[0]?.authRealms, ['one.example', 'two.example']);
});

test('a variable changes an upstream of the defaults', async () => {
  const environment = { ONEPULL_UPSTREAMS_REGISTRY_K8S_IO_TAG_TTL: '5m' };
  const { upstreams } = configOf(await loadConfig({ environment }));
  assert.equal(upstreams.find(({ name }) => name === 'registry.k8s.io')?.tagTtlMs, 300_000);
});

test('a form of a value that a variable sets replaces the forms below it', async (context) => {
  const environment = {
    ONEPULL_UPSTREAMS_DOCKER_IO_ENDPOINTS: 'https://a.example,https://b.example',
    ONEPULL_UPSTREAMS_DOCKER_IO_CREDENTIALS_HELPER: 'pass',
  };
  const yaml = 'upstreams: { docker.io: { url: https://x.example, credentials: { username: u, password: hunter2 } } }';
  const [upstream] = configOf(await loadYaml(context, yaml, { environment })).upstreams;
  assert.deepEqual(upstream?.endpoints, ['https://a.example', 'https://b.example']);
  assert.deepEqual(upstream?.credentials, { kind: 'helper', name: 'pass' });
});

test('two forms that variables set together are still refused', async () => {
  const environment = {
    ONEPULL_UPSTREAMS_DOCKER_IO_ENDPOINTS: 'https://a.example',
    ONEPULL_UPSTREAMS_DOCKER_IO_URL: 'https://b.example',
  };
  assert.match(problemsIn(await loadConfig({ environment }))[0]?.problem ?? '', /both url and endpoints/);
});

test('an unknown variable is a problem with a hint', async () => {
  const [problem] = problemsIn(await loadConfig({ environment: { ONEPULL_STORAGE_MAXSIZE: '1GiB' } }));
  assert.deepEqual(problem, {
    path: 'ONEPULL_STORAGE_MAXSIZE',
    problem: 'is not a known variable',
    hint: 'did you mean ONEPULL_STORAGE_MAX_SIZE?',
    source: 'ONEPULL_STORAGE_MAXSIZE',
  });
});

test('a variable for an upstream that is not configured is a problem', async (context) => {
  const environment = { ONEPULL_UPSTREAMS_CORP_EXAMPLE_URL: 'https://corp.example' };
  const loaded = await loadYaml(context, 'upstreams: { a.example: { url: https://a.example } }', { environment });
  assert.match(problemsIn(loaded)[0]?.problem ?? '', /no key of an upstream that is configured/);
});

test('a variable that could mean two upstreams is a problem', async (context) => {
  const yaml = 'upstreams: { a.b: { url: https://a.b, default: true }, a-b: { url: https://a-b } }';
  const loaded = await loadYaml(context, yaml, { environment: { ONEPULL_UPSTREAMS_A_B_TAG_TTL: '1s' } });
  assert.equal(problemsIn(loaded)[0]?.problem, 'could mean a.b and a-b');
});

test('a bad value is told with its variable and without its secret', async () => {
  const environment = {
    ONEPULL_PULL_MAX_RANGES: 'many',
    ONEPULL_UPSTREAMS_GHCR_IO_URL: 'https://u:hunter2@ghcr.io',
    ONEPULL_UPSTREAMS_GHCR_IO_CREDENTIALS_PASSWORD: 'hunter2',
  };
  const problems = problemsIn(await loadConfig({ environment }));
  assert.deepEqual(
    problems.map(({ source }) => source),
    ['ONEPULL_UPSTREAMS_GHCR_IO_URL', undefined, 'ONEPULL_PULL_MAX_RANGES'],
  );
  assert.doesNotMatch(JSON.stringify(problems), /hunter2/);
});

test("an empty variable counts as none, and Kubernetes' links to a service are not ours", async () => {
  const environment = {
    ONEPULL_LISTEN: '',
    ONEPULL_SERVICE_HOST: '10.0.0.1',
    ONEPULL_SERVICE_PORT: '5000',
    ONEPULL_SERVICE_PORT_HTTP: '5000',
    ONEPULL_PORT: 'tcp://10.0.0.1:5000',
    ONEPULL_PORT_5000_TCP_ADDR: '10.0.0.1',
    PATH: '/bin',
  };
  assert.equal(configOf(await loadConfig({ environment })).listen.port, 5000);
});
