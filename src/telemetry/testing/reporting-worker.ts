import { parentPort } from 'node:worker_threads';
import { systemClock } from '../../core/clock.ts';
import { AppError } from '../../core/errors.ts';
import { type ThreadQuestion, ThreadTelemetry } from '../thread-telemetry.ts';
import { requestEvent } from './events.ts';

/** What a test has the worker do. */
export type WorkerOrder =
  | { readonly kind: 'serve'; readonly from: number; readonly count: number }
  | { readonly kind: 'fail' }
  | { readonly kind: 'crash' }
  | { readonly kind: 'leave' };

// A thread that answers nobody, and tells of it as a gateway would.
const port = parentPort;
if (port === null) throw new Error('this is the entry of a worker thread');
const telemetry = new ThreadTelemetry(
  { clock: systemClock, post: (report) => port.postMessage(report) },
  { level: 'info', access: true },
);
telemetry.showLoad(() => ({ responses: 3, queuedBytes: 70 }));
port.on('message', (message: ThreadQuestion | WorkerOrder) => {
  if (message.kind === 'serve') return serve(message.from, message.count);
  if (message.kind === 'crash') process.exit(1);
  if (message.kind === 'fail') {
    const error = new AppError('STORAGE_FAILED', 'no luck', { cause: new Error('EIO') });
    return telemetry.channels.notice.publish({ level: 'error', message: 'a request failed', error });
  }
  if (message.kind !== 'leave') return telemetry.receive(message);
  telemetry[Symbol.dispose]();
  port.close();
});

function serve(from: number, count: number): void {
  const cell = telemetry.tally.cell({ route: 'manifest', method: 'GET', status: 200, served: 'hit' });
  for (let index = from; index < from + count; index++) {
    cell.add({ firstByteMs: 1, durationMs: 2, complete: true });
    telemetry.channels.servedBytes.publish({ from: 'cache', bytes: 5 });
    telemetry.channels.request.publish({ ...requestEvent, id: `r${index}` });
  }
}
