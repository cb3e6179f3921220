/** What each subcommand is given by the command line. A subcommand resolves with the process's exit code. */
export interface ServeOptions {
  /** Path of a YAML file. */
  readonly config?: string | undefined;
  readonly listen?: string | undefined;
  readonly admin?: string | undefined;
  readonly storage?: string | undefined;
}

export interface CheckOptions {
  /** Path of a YAML file; without one, the defaults and the environment are checked. */
  readonly config?: string | undefined;
}

export interface DemoOptions {
  readonly nodes?: number | undefined;
  readonly serve?: boolean | undefined;
  readonly json?: boolean | undefined;
}

export interface ClusterStatusOptions {
  /** `host:port` of the admin API. Left out: that of the configuration. */
  readonly admin?: string | undefined;
  readonly config?: string | undefined;
  readonly json?: boolean | undefined;
}

export const exitCodes = {
  ok: 0,
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
} as const;
