import type { Config } from './config/schema.ts';
import type { Clock } from './core/clock.ts';
import type { Tracing } from './core/tracing.ts';
import type { Channels } from './telemetry/channels.ts';
import { FlightSpans } from './telemetry/flight-spans.ts';
import { Spans } from './telemetry/spans.ts';

export interface TracingDeps {
  readonly clock: Clock;
  readonly channels: Channels;
  /** onepull's own. */
  readonly version: string;
  /** Another one for each process; of a cluster's node, its name is told instead. */
  readonly instance: string;
  /** Of the machine. */
  readonly hostName: string;
}

/** What the parts tell of to traces, and who takes these away. */
export interface Traces extends AsyncDisposable {
  readonly tracing: Tracing;
  readonly flights: FlightSpans;
}

/** Undefined: nothing is traced, and OpenTelemetry's packages are not loaded. Disposing sends what waits. */
export async function openTracing(config: Config, deps: TracingDeps): Promise<Traces | undefined> {
  const { endpoint } = config.tracing;
  if (endpoint === undefined) return undefined;
  const { OtlpSpans } = await import('./telemetry/otlp-spans.ts');
  const { clock, channels, version, hostName } = deps;
  const instance = config.cluster?.nodeId ?? deps.instance;
  const otlp = new OtlpSpans({ clock, channels }, { endpoint, version, instance, hostName });
  const tracing = new Spans({ clock, channels, ended: (span) => otlp.add(span) });
  return {
    tracing,
    flights: new FlightSpans({ tracing, channels }),
    [Symbol.asyncDispose]: () => otlp[Symbol.asyncDispose](),
  };
}
