import { buildArtifact, buildImage, buildIndex } from '../../src/cli/demo/image.ts';
import { DemoRegistry } from '../../src/cli/demo/registry.ts';
import { type Download, PullClient } from '../support/client.ts';
import { DockerRegistry } from '../support/docker-registry.ts';
import { TemporaryDirectory } from '../support/loopback.ts';
import { needs } from '../support/need.ts';
import { OnepullProcess } from '../support/onepull-process.ts';
import { harvest } from './harvest.ts';
import { ConformanceSuite, type Outcome, type Preloaded } from './suite.ts';

/**
 * `npm run conformance`: the OCI distribution-spec conformance suite, in the part that a registry without pushes can be
 * held to, against onepull in front of
 *   docker-registry   with the content that the suite itself pushes into it first, straight, in all its variety
 *   DemoRegistry      which has the referrers API, that docker-registry 2.8 lacks
 * Exits with 1 where the suite fails; with 0, saying so, where it cannot be had.
 */
const repository = 'conformance/repo';

async function main(): Promise<number> {
  await using folder = await TemporaryDirectory.make();
  const suite = await ConformanceSuite.build(folder.path);
  if ('missing' in suite) {
    console.log(`The conformance suite did not run: ${suite.missing}`);
    return 0;
  }
  const outcomes: Outcome[] = [await beforeDemoRegistry(suite)];
  const missing = needs('docker-registry');
  if (missing === false) outcomes.push(await beforeDockerRegistry(suite));
  else console.log(`In front of docker-registry the suite did not run: ${missing}`);
  return outcomes.every(({ passed }) => passed) ? 0 : 1;
}

async function beforeDockerRegistry(suite: ConformanceSuite): Promise<Outcome> {
  await using registry = await DockerRegistry.start();
  await suite.fill(registry.host, repository);
  const found = await harvest(registry.url, repository);
  // docker-registry 2.8 takes no notice of `last`; what upstream answers to tags/list is passed through.
  return await hold(suite, 'docker-registry', registry.url, { ...found, listsTags: false });
}

async function beforeDemoRegistry(suite: ConformanceSuite): Promise<Outcome> {
  await using registry = await DemoRegistry.start();
  const platforms = ['amd64', 'arm64'].map((architecture) => ({ os: 'linux', architecture }));
  const image = buildImage({ seed: 'conformance', layerSizes: [0, 10_000, 3_000_000], flavour: 'docker' });
  const index = buildIndex({ seed: 'conformance', layerSizes: [200_000], platforms });
  const subject = index.index;
  const artifactType = 'application/vnd.example.signature';
  const artifact = buildArtifact({ seed: 'conformance', subject, artifactType, sizeBytes: 5000 });
  registry.content.add(repository, image, 'image');
  registry.content.add(repository, index, 'index', 'latest');
  registry.content.add(repository, artifact, 'artifact');
  const found = await harvest(registry.url, repository);
  return await hold(suite, 'DemoRegistry', registry.url, { ...found, subjects: [...found.subjects, subject.digest] });
}

async function hold(suite: ConformanceSuite, name: string, url: string, data: Preloaded): Promise<Outcome> {
  await using onepull = await OnepullProcess.start({ upstreams: { 'upstream.example': { url, default: true } } });
  const { tags, manifests, blobs, subjects } = data;
  const counts = `${tags.length} tags, ${manifests.length} manifests, ${blobs.length} blobs, ${subjects.length} subjects`;
  console.log(`\nonepull in front of ${name} (${counts})`);
  const outcome = await suite.read(name, onepull.host, repository, data);
  console.log(outcome.summary.join('\n'));
  const differences = await differencesBetween(url, onepull.url, data);
  console.log(differences.length === 0 ? 'Every byte and media type is that of upstream.' : differences.join('\n'));
  return { ...outcome, passed: outcome.passed && differences.length === 0 };
}

/** Of content that it did not push itself, the suite does not look at the bytes: so we do. */
async function differencesBetween(upstream: string, mirror: string, data: Preloaded): Promise<string[]> {
  await using direct = new PullClient(upstream);
  await using through = new PullClient(mirror);
  const differences: string[] = [];
  const compare = async (what: string, ask: (client: PullClient) => Promise<Download>) => {
    const [wanted, got] = await Promise.all([ask(direct), ask(through)]);
    const facts = ({ status, digest, headers }: Download) =>
      `${status} ${digest} ${headers['content-type']} ${headers['docker-content-digest']}`;
    if (facts(wanted) !== facts(got)) differences.push(`${what}: ${facts(got)} instead of ${facts(wanted)}`);
  };
  for (const reference of [...data.tags, ...data.manifests]) {
    await compare(reference, (client) => client.manifest(repository, reference));
  }
  for (const digest of data.blobs) await compare(digest, (client) => client.blob(repository, digest));
  return differences;
}

process.exitCode = await main();
