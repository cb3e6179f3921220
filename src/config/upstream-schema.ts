import { z } from 'zod';
import { isHost } from '../core/address.ts';
import { duration, file, flag, hosts, integer, secret, text, url, urls } from './setting.ts';

const credentials = z
  .strictObject({
    username: text()
      .optional()
      .meta({ description: 'User name, with `password` or `passwordFile`.', rivals: ['dockerConfig', 'helper'] }),
    password: secret()
      .optional()
      .meta({
        description: 'Password or access token. Better kept in a file: see `passwordFile`.',
        rivals: ['passwordFile', 'dockerConfig', 'helper'],
      }),
    passwordFile: file()
      .optional()
      .meta({
        description: 'File that holds the password. A line break at its end does not count.',
        rivals: ['password', 'dockerConfig', 'helper'],
      }),
    dockerConfig: file()
      .optional()
      .meta({
        description: 'A docker `config.json` whose entry for this registry (or whose credential helper) is used.',
        rivals: ['username', 'password', 'passwordFile', 'helper'],
      }),
    helper: text()
      .optional()
      .meta({
        description: 'Name of a docker credential helper: `ecr-login` runs `docker-credential-ecr-login`.',
        rivals: ['username', 'password', 'passwordFile', 'dockerConfig'],
      }),
  })
  .superRefine(checkCredentials, { when: () => true });

const upstream = z
  .strictObject({
    url: url()
      .optional()
      .meta({ description: 'The registry, where it has one address.', rivals: ['endpoints'] }),
    endpoints: urls()
      .optional()
      .meta({
        description: 'The registry, where several addresses serve the same content: the first that works well is used.',
        rivals: ['url'],
      }),
    default: flag()
      .prefault(false)
      .describe('Serve requests that name no registry from here. A lone upstream is the default by itself.'),
    tagTtl: duration({ max: '365d' })
      .prefault('60s')
      .describe('How long a tag is served without asking the registry whether it moved. `0s`: always ask.'),
    credentials: credentials.optional(),
    authRealms: hosts()
      .prefault([])
      .describe(
        'Hosts that may ask for the credentials on behalf of this registry, besides its own host and its domain.',
      ),
    redirects: z
      .strictObject({
        allow: hosts()
          .prefault([])
          .describe('Hosts with private or loopback addresses that this registry may redirect to.'),
      })
      .prefault({}),
    tls: z
      .strictObject({
        ca: file()
          .optional()
          .describe(
            'PEM file with the certificate authorities to trust besides the usual ones, for the registry and where it leads.',
          ),
        cert: file()
          .optional()
          .describe('PEM file with the client certificate, with `key`. Shown to the registry itself only.'),
        key: file().optional().describe("PEM file with the client certificate's key."),
      })
      .superRefine(checkTls, { when: () => true })
      .prefault({}),
    connections: integer(1, 1000).prefault(64).describe('Connections to each endpoint at most.'),
    connectTimeout: duration({ min: '10ms', max: '5m' })
      .prefault('5s')
      .describe('The longest wait for a connection, TLS included.'),
    headersTimeout: duration({ min: '10ms', max: '5m' })
      .prefault('20s')
      .describe('The longest wait for the headers of an answer.'),
    hedge: flag()
      .prefault(true)
      .describe(
        'Where there are several endpoints, a manifest that one is slow to give is asked of the next as well, now and then.',
      ),
  })
  .superRefine(checkUpstream, { when: () => true });

/** Registries by the name that clients use. */
export const upstreams = z.record(z.string(), upstream).superRefine(checkNames, { when: () => true });

export type UpstreamInput = z.output<typeof upstream>;

/** With no `upstreams`: the public registries, anonymous. */
export const defaultUpstreams: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  'docker.io': { url: 'https://registry-1.docker.io', default: true },
  'ghcr.io': { url: 'https://ghcr.io' },
  'quay.io': { url: 'https://quay.io' },
  'registry.k8s.io': { url: 'https://registry.k8s.io' },
  'gcr.io': { url: 'https://gcr.io' },
  'public.ecr.aws': { url: 'https://public.ecr.aws' },
  'mcr.microsoft.com': { url: 'https://mcr.microsoft.com' },
};

type Keys<T> = Readonly<Partial<Record<keyof T, unknown>>>;

function checkNames(section: unknown, context: z.RefinementCtx): void {
  if (!isSection<Record<string, unknown>>(section)) return;
  const params = { hint: 'a host in lower case, with a port if it has one: docker.io, registry.example:5000' };
  for (const name of Object.keys(section)) {
    if (isHost(name) && name === name.toLowerCase()) continue;
    context.addIssue({ code: 'custom', path: [name], message: 'is not the name of a registry', params });
  }
}

function checkUpstream(section: unknown, context: z.RefinementCtx): void {
  if (!isSection<UpstreamInput>(section)) return;
  const hint = 'give either url or endpoints';
  if (section.url === undefined && section.endpoints === undefined) {
    context.addIssue({ code: 'custom', message: 'says nowhere to pull from', params: { hint } });
  } else if (section.url !== undefined && section.endpoints !== undefined) {
    context.addIssue({ code: 'custom', message: 'has both url and endpoints', params: { hint } });
  }
  if (!Array.isArray(section.endpoints)) return;
  if (section.endpoints.length === 0) {
    context.addIssue({ code: 'custom', path: ['endpoints'], message: 'is empty', params: { hint } });
  }
  if (new Set(section.endpoints).size < section.endpoints.length) {
    const message = 'has the same URL twice';
    context.addIssue({ code: 'custom', path: ['endpoints'], message, params: { hint: 'keep one of them' } });
  }
}

function checkCredentials(section: unknown, context: z.RefinementCtx): void {
  if (!isSection<z.output<typeof credentials>>(section)) return;
  const { username, password, passwordFile, dockerConfig, helper } = section;
  const hint = 'use one of: username with password or passwordFile; dockerConfig; helper';
  const refuse = (message: string) => context.addIssue({ code: 'custom', message, params: { hint } });

  const byName = [username, password, passwordFile].some((value) => value !== undefined);
  const forms = [byName, dockerConfig !== undefined, helper !== undefined].filter(Boolean).length;
  if (forms === 0) refuse('is empty');
  else if (forms > 1) refuse('mixes forms that exclude each other');
  else if (password !== undefined && passwordFile !== undefined) refuse('has both password and passwordFile');
  else if (byName && username === undefined) refuse('has a password without a username');
  else if (byName && password === undefined && passwordFile === undefined) refuse('has a username without a password');

  if (typeof helper === 'string' && !/^[a-z0-9][a-z0-9._-]*$/i.test(helper)) {
    const params = { hint: 'its name alone: ecr-login for docker-credential-ecr-login' };
    context.addIssue({ code: 'custom', path: ['helper'], message: 'is not the name of a credential helper', params });
  }
}

/** A certificate and its key come together. */
export function checkTls(section: unknown, context: z.RefinementCtx): void {
  if (!isSection<{ cert: string; key: string }>(section)) return;
  if ((section.cert === undefined) === (section.key === undefined)) return;
  const [present, missing] = section.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
  const params = { hint: `give ${missing} too` };
  context.addIssue({ code: 'custom', message: `has ${present} without ${missing}`, params });
}

/** Rules also run over sections with refused values in them, so they see what came and may look only at presence. */
function isSection<T>(value: unknown): value is Keys<T> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
