import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { AxeResults } from 'axe-core';
import { type Browser, chromium, type Page } from 'playwright-core';
import { needs } from '../support/need.ts';

/** Where the built pages are. */
export const pagesFolder: string = join(import.meta.dirname, '../../dist/web');

/** For `test(name, { skip }, ...)`: what is missing to look at the pages. */
export const skip: string | false = needs('chromium') || (existsSync(pagesFolder) ? false : 'needs: npm run build:web');

/** A machine may have much else to do: whatever is waited for comes in the end, or never. */
const patienceMs = 60_000;

/** Beyond what the tests need: no sandbox, because CI is root; and nothing that asks the world outside for anything. */
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export const views = ['now', 'effect', 'upstreams', 'cache', 'cluster', 'clients'] as const;

export interface PageOptions {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: 'light' | 'dark';
  readonly reducedMotion?: 'reduce';
  /** Before it opens the address. */
  readonly prepare?: (page: Page) => Promise<void>;
  /** What it shows then, for `waitFor`; that it is connected, unless told. */
  readonly until?: string;
}

/** Debian's Chromium. Each page that it opens is watched: what it complains of, and whom it asks. */
export class Viewer implements AsyncDisposable {
  readonly #browser: Browser;
  readonly #complaints: string[] = [];

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async launch(): Promise<Viewer> {
    const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: flags, timeout: patienceMs });
    return new Viewer(browser);
  }

  /** The dashboard of the admin listener at `origin`, once it shows its first state, or what `until` says. */
  async open(origin: string, view: string, options: PageOptions = {}): Promise<Page> {
    const { width = 1280, height = 900, prepare, until = '.connection-live', ...preferences } = options;
    const context = await this.#browser.newContext({ viewport: { width, height }, ...preferences });
    const page = await context.newPage();
    page.setDefaultTimeout(patienceMs);
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') this.#complaints.push(message.text());
    });
    page.on('pageerror', (error) => this.#complaints.push(String(error)));
    page.on('request', (request) => {
      const { protocol, origin: asked } = new URL(request.url());
      if (protocol !== 'data:' && asked !== origin) this.#complaints.push(`it asked another host: ${request.url()}`);
    });
    await prepare?.(page);
    await page.goto(`${origin}/#/${view}`, { timeout: patienceMs });
    await page.locator(until).waitFor();
    return page;
  }

  /** Another view of the same page, once it is shown. */
  async show(page: Page, view: string): Promise<void> {
    await page.evaluate(`location.hash = '#/${view}'`);
    await page.locator(`nav a[aria-current=page][href="#/${view}"]`).waitFor();
  }

  /** What pages complained of so far; forgets it. */
  complaints(): string[] {
    return this.#complaints.splice(0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#browser.close();
  }
}

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

/** Throws for everything that axe calls serious or critical. */
export async function assertAccessible(page: Page, what: string): Promise<void> {
  await page.evaluate(await readFile(axePath, 'utf8'));
  const { violations } = await page.evaluate<AxeResults>('axe.run()');
  const serious = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, help, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id} (${help}): ${html}\n${failureSummary ?? ''}`),
    );
  assert.deepEqual(serious, [], what);
}

/** Nothing is wider than the window. */
export async function assertFits(page: Page, what: string): Promise<void> {
  const root = 'document.documentElement';
  const [wide, room] = await page.evaluate<[number, number]>(`[${root}.scrollWidth, ${root}.clientWidth]`);
  assert.ok(wide <= room, `${what}: ${wide} px in a window of ${room}`);
}
