import { processUse } from '../cpu-time.ts';
import { RemoteProgram } from '../remote-calls.ts';
import type { ImageRequest, UpstreamImage, UpstreamMethods, UpstreamSpeed } from './upstream-child.ts';
import type { UpstreamReport } from './upstream-report.ts';

const program = new URL('./upstream-child.ts', import.meta.url);

/** A registry in a process of its own. */
export class Upstream implements AsyncDisposable {
  readonly calls: RemoteProgram<UpstreamMethods>;
  readonly url: string;

  private constructor(calls: RemoteProgram<UpstreamMethods>, url: string) {
    this.calls = calls;
    this.url = url;
  }

  /** Without a speed its line is as fast as the machine. `inside`: a command that becomes it, in a network of its own. */
  static async start(speed: UpstreamSpeed = {}, inside: readonly string[] = []): Promise<Upstream> {
    const calls = new RemoteProgram<UpstreamMethods>(program, [JSON.stringify(speed)], inside);
    return new Upstream(calls, await calls.call('url'));
  }

  add(request: ImageRequest): Promise<UpstreamImage> {
    return this.calls.call('add', request);
  }

  reset(): Promise<void> {
    return this.calls.call('reset');
  }

  report(): Promise<UpstreamReport> {
    return this.calls.call('report');
  }

  /** Once it has sent so many bytes it cuts all connections and refuses new ones, until `comeBack`. */
  dieAfter(bytes: number): Promise<void> {
    return this.calls.call('dieAfter', bytes);
  }

  comeBack(): Promise<void> {
    return this.calls.call('comeBack');
  }

  async cpuMs(): Promise<number> {
    return (await processUse(this.calls.pid))?.cpuMs ?? 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.calls[Symbol.asyncDispose]();
  }
}
