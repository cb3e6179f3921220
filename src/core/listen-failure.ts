import { AppError } from './errors.ts';

const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not listen there',
  ENOTFOUND: 'the name is not known',
};

/** Why a listener could not begin, as LISTEN_FAILED; `key` is the one of the configuration that says where it listens. */
export function listenFailure(
  key: 'listen' | 'admin' | 'cluster.peer.listen',
  where: { host: string; port: number },
  cause: unknown,
): AppError {
  const { host, port } = where;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const reason = reasons[code] ?? (cause instanceof Error ? cause.message : String(cause));
  const place = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return new AppError('LISTEN_FAILED', `cannot listen on ${place}: ${reason}; change "${key}"`, {
    cause,
    details: { key },
  });
}
