import { setTimeout as delay } from 'node:timers/promises';
import type { CDPSession, Page } from 'playwright-core';
import { skip, Viewer } from '../../test/web/viewer.ts';

/** What the page itself costs the machine of whoever looks at it, in one run of the view "now". */
export interface PageSample {
  readonly round: number;
  readonly seconds: number;
  /** That the page was told. */
  readonly events: number;
  /** CPU time of the page's main thread, all of it, and what of it went into scripts, into layout, and into styles. */
  readonly taskMs: number;
  readonly scriptMs: number;
  readonly layoutMs: number;
  readonly styleMs: number;
  /** CPU time of all of the browser's processes, which draw without a GPU here. */
  readonly browserMs: number;
  /** Live objects on the script's heap, at the start and at the end. */
  readonly heapBytes: readonly [number, number];
  /** Nodes of the document, at the start and at the end. */
  readonly nodes: readonly [number, number];
}

export interface PageRequest {
  readonly admin: string;
  readonly rounds: number;
  readonly seconds: number;
}

/** `skipped` says what is missing. */
export type PageOutcome = { readonly samples: readonly PageSample[] } | { readonly skipped: string };

/** By then the page is compiled, its cards stand, and what loading it took is over. */
const warmUpMs = 8000;

/** Counts what the page is told, where it is told it. */
const countEvents = `
  window.eventsTold = 0;
  window.EventSource = class extends EventSource {
    constructor(path) {
      super(path);
      for (const name of ['state', 'change']) this.addEventListener(name, () => window.eventsTold++);
    }
  };`;

const prepare = async (page: Page): Promise<void> => {
  await page.addInitScript(countEvents);
};

export async function measurePage(
  { admin, rounds, seconds }: PageRequest,
  progress: (line: string) => void,
): Promise<PageOutcome> {
  if (skip !== false) {
    progress(`page     skipped: ${skip}`);
    return { skipped: skip };
  }
  const samples: PageSample[] = [];
  for (let round = 1; round <= rounds; round++) {
    await using viewer = await Viewer.launch();
    const page = await viewer.open(admin, 'now', { prepare });
    await page.locator('.pull').first().waitFor();
    await delay(warmUpMs);
    const sample = await measure(page, round, seconds);
    samples.push(sample);
    progress(`page     round ${round}/${rounds}  ${sampleText(sample)}`);
  }
  return { samples };
}

async function measure(page: Page, round: number, seconds: number): Promise<PageSample> {
  const session = await page.context().newCDPSession(page);
  const browser = await page.context().browser()?.newBrowserCDPSession();
  if (browser === undefined) throw new Error('the page has no browser');
  // By the CPU time of its thread: what else the machine does is not the page's.
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const look = async () => ({
    atMs: performance.now(),
    events: await page.evaluate<number>('window.eventsTold'),
    metrics: await metricsOf(session),
    browserMs: await cpuMsOf(browser),
  });
  await session.send('HeapProfiler.collectGarbage');
  const before = await look();
  await delay(seconds * 1000);
  const after = await look();
  await session.send('HeapProfiler.collectGarbage');
  const swept = await metricsOf(session);
  const between = (name: string) => 1000 * (figure(after.metrics, name) - figure(before.metrics, name));
  return {
    round,
    seconds: (after.atMs - before.atMs) / 1000,
    events: after.events - before.events,
    taskMs: between('TaskDuration'),
    scriptMs: between('ScriptDuration'),
    layoutMs: between('LayoutDuration'),
    styleMs: between('RecalcStyleDuration'),
    browserMs: after.browserMs - before.browserMs,
    heapBytes: [figure(before.metrics, 'JSHeapUsedSize'), figure(swept, 'JSHeapUsedSize')],
    nodes: [figure(before.metrics, 'Nodes'), figure(swept, 'Nodes')],
  };
}

async function metricsOf(session: CDPSession): Promise<ReadonlyMap<string, number>> {
  const { metrics } = await session.send('Performance.getMetrics');
  return new Map(metrics.map(({ name, value }) => [name, value]));
}

function figure(metrics: ReadonlyMap<string, number>, name: string): number {
  return metrics.get(name) ?? Number.NaN;
}

async function cpuMsOf(browser: CDPSession): Promise<number> {
  const { processInfo } = await browser.send('SystemInfo.getProcessInfo');
  return processInfo.reduce((sum, { cpuTime }) => sum + 1000 * cpuTime, 0);
}

function sampleText({ seconds, events, taskMs, scriptMs, browserMs, heapBytes }: PageSample): string {
  const each = (ms: number) => `${(ms / Math.max(1, events)).toFixed(1)} ms`;
  const heap = heapBytes.map((bytes) => (bytes / 2 ** 20).toFixed(1)).join(' to ');
  return `${events} events in ${seconds.toFixed(0)} s: ${each(taskMs)} each (scripts ${each(scriptMs)}), browser ${(browserMs / seconds / 10).toFixed(1)}% of a core, heap ${heap} MiB`;
}
