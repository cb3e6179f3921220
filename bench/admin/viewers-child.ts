import { get, type IncomingMessage } from 'node:http';
import { serveCalls } from '../support/remote-calls.ts';

export interface PullsRequest {
  readonly origin: string;
  /** Each has as many of them as another. */
  readonly registries: readonly string[];
  readonly pulls: number;
}

export interface ViewersRequest {
  readonly admin: string;
  readonly viewers: number;
  readonly scrapeMs: number;
}

export interface ViewersOutcome {
  readonly events: number;
  readonly bytes: number;
  readonly scrapes: number;
}

/** Pulls that begin together. */
const atOnce = 25;

let endViewers: (() => ViewersOutcome) | undefined;

function open(url: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false }, (response) => {
      if (response.statusCode === 200) resolve(response.on('error', () => {}));
      else reject(new Error(`${url}: status ${response.statusCode}`));
    }).on('error', reject);
  });
}

async function text(url: string): Promise<string> {
  let whole = '';
  for await (const piece of (await open(url)).setEncoding('utf8')) whole += piece;
  return whole;
}

const methods = {
  /** Begins to pull images that never end: the manifest, and the first layer. */
  async pull({ origin, registries, pulls }: PullsRequest): Promise<void> {
    const pull = async (n: number) => {
      const base = `${origin}/v2/${registries[n % registries.length]}`;
      const { layers } = JSON.parse(await text(`${base}/app-${n}/manifests/v1`)) as { layers: { digest: string }[] };
      (await open(`${base}/app-${n}/blobs/${layers[0]?.digest}`)).resume();
    };
    for (let n = 0; n < pulls; n += atOnce) {
      await Promise.all(Array.from({ length: Math.min(atOnce, pulls - n) }, (_, more) => pull(n + more)));
    }
  },

  /** Viewers that take what comes without looking into it, as their browser's machine would; and a scraper. */
  async view({ admin, viewers, scrapeMs }: ViewersRequest): Promise<void> {
    const streams = await Promise.all(Array.from({ length: viewers }, () => open(`${admin}/api/v1/events`)));
    const outcome = { events: 0, bytes: 0, scrapes: 0 };
    for (const stream of streams) {
      stream.on('data', (piece: Buffer) => {
        outcome.bytes += piece.length;
        if (piece.at(-1) === 10 && piece.at(-2) === 10) outcome.events++;
      });
    }
    const scrape = async () => {
      await text(`${admin}/metrics`);
      outcome.scrapes++;
    };
    const timer = setInterval(() => void scrape(), scrapeMs);
    await scrape();
    endViewers = () => {
      clearInterval(timer);
      for (const stream of streams) stream.destroy();
      return outcome;
    };
  },

  end(): ViewersOutcome | undefined {
    const outcome = endViewers?.();
    endViewers = undefined;
    return outcome;
  },

  /** How many pulls the admin API shows as in progress. */
  async inProgress(admin: string): Promise<number> {
    const { pulls } = JSON.parse(await text(`${admin}/api/v1/status`)) as { pulls: { pulling: number } };
    return pulls.pulling;
  },
};

export type ViewersMethods = typeof methods;

serveCalls(methods);
