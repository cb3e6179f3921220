import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { ChangeCount } from '../../core/change-count.ts';
import { type Clock, systemClock } from '../../core/clock.ts';
import { RegistryNames } from '../../pull/registry-names.ts';
import { ThreadTelemetry } from '../../telemetry/thread-telemetry.ts';
import { SharedBlocks } from '../blocks/shared-blocks.ts';
import { HitDepot, hitDepotDefaults } from '../hits/hit-depot.ts';
import { GatewayServer } from '../server.ts';
import { SharedCounts } from '../shared-counts.ts';
import { DepotClient } from './depot-client.ts';
import { plainError } from './messages.ts';
import type { Breakage, FromThread, ThreadData, ToThread } from './thread-messages.ts';

/** So often what this gateway holds is noted for the others, whose bounds it counts in. */
const noteEveryMs = 100;

/**
 * A thread that answers clients: the wiring diagram of a gateway by itself.
 *
 * Invariants: it serves from when it is told to listen until it is told to drain; then it says what it has not said, that it
 * has drained, and ends by itself, as nothing is left that would keep it. An error that nobody caught ends it at once: the
 * main thread sees to all that it held, and starts another one.
 */
function runGateway(data: ThreadData, say: (message: FromThread) => void): (message: ToThread) => Promise<void> {
  const clock = systemClock;
  const telemetry = new ThreadTelemetry({ clock, post: (report) => say({ kind: 'report', report }) }, data.log);
  const { channels, tally } = telemetry;
  channels.tracedRequest.subscribe((request) => say({ kind: 'traced', request }));
  if (data.saysEvents) {
    channels.request.subscribe((event) => say({ kind: 'request', event }));
    channels.notice.subscribe(({ error, ...event }) =>
      say({ kind: 'notice', event, error: error === undefined ? undefined : plainError(error) }),
    );
  }
  const names = new RegistryNames(data.names.registries, data.names.fallback);
  const { gateway: index } = data;
  const { memory } = data.options;
  const client = new DepotClient({ clock }, data.depot);
  const hits = new HitDepot(
    { depot: client, log: client, changes: new ChangeCount(data.changes), clock },
    { ...hitDepotDefaults, ...(memory && { maxBytes: memory.preparedBytes }), gateway: index },
  );
  const counts = new SharedCounts(data.counts).of(index);
  const blocks = memory && new SharedBlocks(memory.blocks, index, Math.random);
  const deps = { depot: hits, hits, blocks, names, channels, tally, clock, random: Math.random, counts };
  let { certificate } = data.options;
  let gateway: GatewayServer | undefined;
  let begun: Promise<void> | undefined;
  telemetry.showLoad(() => gateway?.load() ?? { responses: 0, queuedBytes: 0 });

  async function listen(port: number): Promise<void> {
    gateway = new GatewayServer(deps, { ...data.options, certificate, port, reusePort: true });
    try {
      say({ kind: 'listening', ...(await gateway.listen()) });
      every(clock, noteEveryMs, () => gateway?.load());
      flushCompileCache();
    } catch (error) {
      say({ kind: 'listen-failed', error: plainError(error) });
    }
  }

  async function drain(timeoutMs: number): Promise<void> {
    // What has not begun to listen cannot stop, and would begin later.
    await begun;
    await gateway?.drain(timeoutMs);
    hits[Symbol.dispose]();
    telemetry.report();
    say({ kind: 'drained' });
    data.depot.close();
    parentPort?.close();
  }

  return async (message) => {
    switch (message.kind) {
      case 'listen':
        begun = listen(message.port);
        return begun;
      case 'drain':
        return drain(message.timeoutMs);
      case 'certificate':
        certificate = message.certificate;
        return gateway?.useCertificate(certificate);
      case 'telemetry':
        return telemetry.receive(message.question);
      case 'break':
        return breakDown(message.how);
    }
  };
}

/** Until the thread ends. */
function every(clock: Clock, delayMs: number, work: () => void): void {
  clock.after(delayMs, () => {
    work();
    every(clock, delayMs, work);
  });
}

function breakDown(how: Breakage): void {
  switch (how) {
    case 'throw':
      setImmediate(() => {
        throw new Error('told to break down');
      });
      return;
    case 'reject':
      return void Promise.reject(new Error('told to break down'));
    case 'exit':
      return process.exit(3);
    case 'hang':
      for (;;);
  }
}

const control = parentPort;
if (control === null) throw new Error('this is no program of its own');
const receive = runGateway(workerData, (message) => control.postMessage(message));
control.on('message', (message: ToThread) => void receive(message));
