import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { TemporaryDirectory } from '../support/loopback.ts';

const run = promisify(execFile);
const rules = fileURLToPath(new URL('../../deploy/prometheus/alerts.yaml', import.meta.url));
const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;

/** What a metric is worth in each minute; undefined: it was not there. */
type Values = (number | undefined)[];

/**
 * What Prometheus would have scraped of real instances, once a minute. The test says what happens between two scrapes; nobody
 * waits for a minute.
 *
 * Invariant: each instance has so many minutes as scrapes and lasting ones were told of it.
 */
export class MetricHistory {
  readonly #startedS = Date.now() / 1000;
  /** By instance, then by series as the exposition format writes it. */
  readonly #instances = new Map<string, { minutes: number; readonly series: Map<string, Values> }>();

  /** `/metrics`, as it was a minute after the last time. */
  scrape(instance: string, text: string): void {
    const { series, minutes } = this.#instance(instance);
    for (const line of text.split('\n')) {
      const [, name, labels, value] = sample.exec(line) ?? [];
      if (name === undefined) continue;
      const key = seriesOf(name, labels, instance);
      const values = series.get(key) ?? [];
      series.set(key, values);
      // promtool's clock begins at 0.
      values[minutes] = Number(value) - (name.endsWith('_timestamp_seconds') ? this.#startedS : 0);
    }
    this.#instances.set(instance, { series, minutes: minutes + 1 });
  }

  /** It goes on as from the scrape before the last to the last: counters grow by as much each minute, gauges stay. */
  goesOn(instance: string, forMinutes: number): void {
    const { series, minutes } = this.#instance(instance);
    for (const [key, values] of series) {
      const [before, last] = [values[minutes - 2], values[minutes - 1]];
      if (last === undefined) continue;
      const step = /^\w+_(total|bucket|sum|count)\{/.test(key) ? last - (before ?? last) : 0;
      for (let more = 1; more <= forMinutes; more++) values[minutes + more - 1] = last + more * step;
    }
    this.#instances.set(instance, { series, minutes: minutes + forMinutes });
  }

  /** Rejects, with what promtool says, unless exactly these alerts fire at the end: `[alert, instance]`. */
  async assertFiring(...expected: readonly (readonly [string, string])[]): Promise<void> {
    await using folder = await TemporaryDirectory.make();
    const file = join(folder.path, 'history.json'); // JSON is YAML
    const minutes = Math.max(...[...this.#instances.values()].map((instance) => instance.minutes));
    const input_series = [...this.#instances.values()].flatMap(({ series }) =>
      [...series].map(([key, values]) => ({
        series: key,
        values: Array.from({ length: minutes }, (_, minute) => values[minute] ?? '_').join(' '),
      })),
    );
    const promql_expr_test = [
      {
        expr: 'count by (alertname, instance) (ALERTS{alertstate="firing"})',
        eval_time: `${minutes - 1}m`,
        exp_samples: expected.map(([alert, instance]) => ({
          labels: `{alertname="${alert}", instance="${instance}"}`,
          value: 1,
        })),
      },
    ];
    const tests = [{ interval: '1m', input_series, promql_expr_test }];
    await writeFile(file, JSON.stringify({ rule_files: [rules], evaluation_interval: '1m', tests }));
    await run('promtool', ['test', 'rules', file]);
  }

  #instance(instance: string) {
    const known = this.#instances.get(instance) ?? { minutes: 0, series: new Map<string, Values>() };
    return known;
  }
}

function seriesOf(name: string, labels: string | undefined, instance: string): string {
  const added = `job="onepull",instance="${instance}"`;
  return `${name}{${labels === undefined ? added : `${labels},${added}`}}`;
}
