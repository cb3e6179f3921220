import { type IncomingMessage, type RequestOptions, request } from 'node:http';
import type { z } from 'zod';
import { productVersion } from '../config/version.ts';
import { addressText } from '../core/address.ts';
import { type AdminPlace, adminPlace } from './admin-place.ts';
import { CommandFailure } from './command-failure.ts';
import { eventsIn, type ServerEvent } from './event-stream.ts';
import { type AdminOptions, exitCodes } from './options.ts';

export interface AdminClientOptions {
  /** A server that is silent for so long is not waited for. */
  readonly silenceMs?: number;
  /** Nor a stream of events: whoever has nothing to tell says so every 10 s. */
  readonly eventSilenceMs?: number;
}

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE';

interface Answer {
  readonly status: number;
  readonly text: string;
}

const maxAnswerBytes = 64 * 2 ** 20;

/** Asks the admin API of a running instance. Whatever goes wrong becomes a `CommandFailure` that says what to do. */
export class AdminClient {
  /** `host:port`, as it is typed. */
  readonly address: string;
  readonly host: string;
  readonly #place: AdminPlace;
  readonly #silenceMs: number;
  readonly #eventSilenceMs: number;

  constructor(place: AdminPlace, { silenceMs = 10_000, eventSilenceMs = 35_000 }: AdminClientOptions = {}) {
    this.address = addressText(place.address);
    this.host = place.address.host;
    this.#place = place;
    this.#silenceMs = silenceMs;
    this.#eventSilenceMs = eventSilenceMs;
  }

  /** The client for what was typed. */
  static async for(options: AdminOptions, environment: NodeJS.ProcessEnv): Promise<AdminClient> {
    return new AdminClient(await adminPlace(options, environment));
  }

  /** Where the environment decided who is asked: for whoever is to know it, what nobody typed. */
  get saidByEnvironment(): boolean {
    return this.#place.saidBy === 'environment';
  }

  get<Schema extends z.ZodType>(path: string, schema: Schema, signal?: AbortSignal): Promise<z.output<Schema>> {
    return this.send('GET', path, schema, undefined, signal);
  }

  /** The answer to a request, as `schema` has it. Rejects with a `CommandFailure`, or with the signal's reason. */
  async send<Schema extends z.ZodType>(
    method: Method,
    path: string,
    schema: Schema,
    body?: unknown,
    signal?: AbortSignal,
  ): Promise<z.output<Schema>> {
    const answer = await this.#ask(method, path, body, signal);
    if (answer.status < 200 || answer.status > 299) throw await this.#refusal(answer, signal);
    const read = schema.safeParse(parsedJson(answer.text));
    if (!read.success) throw this.#otherVersion(await this.#version(signal));
    return read.data;
  }

  /** Server-sent events, until the server ends them or the signal aborts. */
  async *events(path: string, signal: AbortSignal): AsyncGenerator<ServerEvent, void, undefined> {
    const response = await this.#open('GET', path, undefined, signal, { accept: 'text/event-stream' });
    if (response.statusCode !== 200) {
      const answer = { status: response.statusCode ?? 0, text: await textOf(response) };
      throw await this.#refusal(answer, signal);
    }
    // A host that went away is noticed, and so is an instance that hangs while its system keeps the connection.
    response.socket.removeAllListeners('timeout').setTimeout(this.#eventSilenceMs, () => {
      response.destroy(new Error(`it has said nothing for ${this.#eventSilenceMs / 1000} s`));
    });
    response.setEncoding('utf8');
    try {
      yield* eventsIn(response);
    } catch (error) {
      signal.throwIfAborted();
      throw this.#unreachable(error);
    } finally {
      response.destroy();
    }
  }

  async #ask(method: Method, path: string, body: unknown, signal?: AbortSignal): Promise<Answer> {
    const response = await this.#open(method, path, body, signal, { accept: 'application/json' });
    try {
      return { status: response.statusCode ?? 0, text: await textOf(response) };
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#unreachable(error);
    }
  }

  async #open(
    method: Method,
    path: string,
    body: unknown,
    signal: AbortSignal | undefined,
    headers: Readonly<Record<string, string>>,
  ): Promise<IncomingMessage> {
    const { address, token } = this.#place;
    const text = method === 'GET' ? undefined : JSON.stringify(body ?? {});
    const options: RequestOptions = {
      ...address,
      method,
      path,
      agent: false,
      timeout: this.#silenceMs,
      headers: {
        ...headers,
        'user-agent': `onepull/${productVersion()} (command)`,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(text)) }),
      },
      ...(signal === undefined ? {} : { signal }),
    };
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const asked = request(options, resolve);
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${this.#silenceMs / 1000} s`)));
    asked.on('error', reject);
    asked.end(text);
    try {
      return await promise;
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#unreachable(error);
    }
  }

  #unreachable(error: unknown): CommandFailure {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const known = reasons[String(code)] ?? (/^HPE_/.test(String(code)) ? 'it does not speak HTTP' : undefined);
    const why = known ?? (error instanceof Error ? error.message : String(error));
    return new CommandFailure(`no answer from the admin API at ${this.address}: ${why}`, {
      hint: `is onepull running there? ${this.#whereHint()}`,
      kind: 'passing',
      cause: error,
    });
  }

  async #refusal({ status, text }: Answer, signal?: AbortSignal): Promise<CommandFailure> {
    const { code, message } = errorIn(text);
    if (status === 401 || code === 'UNAUTHORIZED') return this.#unauthorized();
    const isPathUnknown = (status === 404 || status === 405) && (code === undefined || code === 'UNSUPPORTED');
    if (isPathUnknown) {
      const version = await this.#version(signal);
      if (message === undefined || version !== productVersion()) return this.#otherVersion(version);
    }
    // What it cannot make sense of was typed.
    const exitCode = status === 400 ? exitCodes.usage : exitCodes.failed;
    return new CommandFailure(message ?? `the admin API at ${this.address} answered ${status}`, {
      kind: 'refused',
      exitCode,
    });
  }

  #unauthorized(): CommandFailure {
    const { token, overruled } = this.#place;
    if (token !== undefined) {
      return new CommandFailure(`the admin API at ${this.address} refuses the token`, {
        hint: 'it is not the one that the instance was started with',
      });
    }
    return new CommandFailure(`the admin API at ${this.address} wants its token for this`, {
      hint:
        overruled?.token === undefined
          ? '--token-file FILE gives it, or --config FILE if that has it, or ONEPULL_ADMIN_TOKEN'
          : `--token-file FILE gives it; ${overruled.token} is kept for the instance of ONEPULL_ADMIN, ${overruled.address}`,
    });
  }

  /** It answers, but not as this version expects: another version, or (undefined) no onepull at all. */
  #otherVersion(version: string | undefined): CommandFailure {
    const own = productVersion();
    if (version === undefined) {
      return new CommandFailure(`what answers at ${this.address} is not onepull's admin API`, {
        hint: this.#whereHint(),
      });
    }
    if (version === own) {
      return new CommandFailure(`onepull ${own} at ${this.address} answers in a way that this command cannot read`);
    }
    const message = `the instance at ${this.address} is onepull ${version}, and does not know this command of ${own}`;
    return new CommandFailure(message, {
      hint: `use the command of onepull ${version}, or bring the instance to ${own}`,
    });
  }

  #whereHint(): string {
    const { saidBy, overruled } = this.#place;
    if (saidBy === 'environment') return 'ONEPULL_ADMIN says so; --admin and --config go before it';
    if (overruled?.address === undefined) return '--admin, --config or ONEPULL_ADMIN say where its admin API listens';
    return `ONEPULL_ADMIN says ${overruled.address}, but --admin and --config go before it`;
  }

  async #version(signal?: AbortSignal): Promise<string | undefined> {
    const { status, text } = await this.#ask('GET', '/api/v1/version', undefined, signal);
    const answer = parsedJson(text);
    const version = typeof answer === 'object' && answer !== null && 'version' in answer ? answer.version : undefined;
    return status === 200 && typeof version === 'string' ? version : undefined;
  }
}

const reasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was cut',
  ENOTFOUND: 'no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up now',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
};

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > maxAnswerBytes) throw new Error('its answer has no end');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The first of an answer's errors, in the form of the OCI distribution API. */
function errorIn(text: string): { code: string | undefined; message: string | undefined } {
  const answer = parsedJson(text) as { errors?: readonly { code?: unknown; message?: unknown }[] } | undefined;
  const first = Array.isArray(answer?.errors) ? answer.errors[0] : undefined;
  return {
    code: typeof first?.code === 'string' ? first.code : undefined,
    message: typeof first?.message === 'string' ? first.message : undefined,
  };
}
