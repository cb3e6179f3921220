import { signal } from '@preact/signals';

const key = 'onepull.token';

/** A call that the server refused or could not answer, in its own words. */
export class CallError extends Error {
  readonly status: number;
  /** When the server wants to be asked again. */
  readonly retryAfterMs: number | undefined;
  /** What of the request is not right, where the server says so: `body.images.3`. */
  readonly where: string | undefined;

  constructor(status: number, message: string, { retryAfterMs, where }: CallErrorFacts = {}) {
    super(message);
    this.name = 'CallError';
    this.status = status;
    this.retryAfterMs = retryAfterMs;
    this.where = where;
  }
}

interface CallErrorFacts {
  readonly retryAfterMs?: number | undefined;
  readonly where?: string | undefined;
}

/** Whether a call waits for the reader to give the token, and how that ends; undefined: nobody asks. */
export const tokenWanted = signal<{ readonly isWrong: boolean; answer(token: string | undefined): void } | undefined>(
  undefined,
);

/** The token is kept for this tab alone, and only where the browser lets us. */
let token = keptToken();

function keptToken(): string | undefined {
  try {
    return sessionStorage.getItem(key) ?? undefined;
  } catch {
    return undefined;
  }
}

function keep(value: string | undefined): void {
  token = value;
  try {
    if (value === undefined) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // It lasts as long as the page.
  }
}

export async function read<T>(path: string, signal: AbortSignal): Promise<T> {
  return (await answered(await fetch(path, { signal, cache: 'no-store' }))) as T;
}

/** A call that changes something. Asks for the admin token when the server does, as often as it is wrong; undefined: given up. */
export async function change<T>(
  method: 'PUT' | 'POST' | 'DELETE',
  path: string,
  body: unknown = {},
): Promise<T | undefined> {
  for (;;) {
    const headers = {
      'content-type': 'application/json',
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    };
    const response = await fetch(path, { method, headers, body: JSON.stringify(body), cache: 'no-store' });
    if (response.status !== 401) return (await answered(response)) as T;
    const given = await askForToken(token !== undefined);
    keep(given);
    if (given === undefined) return undefined;
  }
}

function askForToken(isWrong: boolean): Promise<string | undefined> {
  return new Promise((resolve) => {
    tokenWanted.value = {
      isWrong,
      answer: (given) => {
        tokenWanted.value = undefined;
        resolve(given);
      },
    };
  });
}

/** Why the server does not answer such a request with a stream; undefined: it would now. Rejects where it is away. */
export async function refusalOf(path: string, signal: AbortSignal): Promise<CallError | undefined> {
  const response = await fetch(path, { signal, cache: 'no-store' });
  if (!response.ok) return errorOf(response, await response.text());
  await response.body?.cancel();
  return undefined;
}

export function failureWords(error: unknown): string {
  if (error instanceof CallError) return error.message;
  return 'onepull did not answer';
}

async function answered(response: Response): Promise<unknown> {
  const text = await response.text();
  if (response.ok) return text === '' ? undefined : JSON.parse(text);
  throw errorOf(response, text);
}

function errorOf({ status, headers }: Response, text: string): CallError {
  const retryAfterS = Number(headers.get('retry-after') ?? Number.NaN);
  const retryAfterMs = Number.isFinite(retryAfterS) ? retryAfterS * 1000 : undefined;
  const { message = `the server answered ${status}`, where } = toldIn(text);
  return new CallError(status, message, { retryAfterMs, where });
}

/** Errors have the form of the OCI distribution API's. */
function toldIn(text: string): { readonly message?: string | undefined; readonly where?: string | undefined } {
  try {
    const body = JSON.parse(text) as {
      readonly errors?: readonly { readonly message?: string; readonly detail?: { readonly where?: string } }[];
    };
    const [error] = body.errors ?? [];
    return { message: error?.message, where: error?.detail?.where };
  } catch {
    return {};
  }
}
