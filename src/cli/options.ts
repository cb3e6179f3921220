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
  readonly json?: boolean | undefined;
}

export interface DemoOptions {
  readonly nodes?: number | undefined;
  readonly serve?: boolean | undefined;
  readonly json?: boolean | undefined;
}

/** How every command that asks a running instance is told which one, and what to print. */
export interface AdminOptions {
  /** `host:port` of the admin API. Left out: see `adminPlace`. */
  readonly admin?: string | undefined;
  /** Path of the instance's YAML file. */
  readonly config?: string | undefined;
  /** File that holds the admin token. */
  readonly tokenFile?: string | undefined;
  readonly json?: boolean | undefined;
}

export interface PreheatOptions extends AdminOptions {
  /** As `linux/amd64`, one or several. */
  readonly platform?: readonly string[] | undefined;
  /** False: it is left to the instance. */
  readonly wait?: boolean | undefined;
}

export interface ImagesOptions extends AdminOptions {
  readonly search?: string | undefined;
  readonly sort?: string | undefined;
  readonly limit?: number | undefined;
}

export interface PurgeOptions extends AdminOptions {
  readonly yes?: boolean | undefined;
}

export interface ClientsOptions extends AdminOptions {
  /** Where clients reach the instance, as `host:port`. */
  readonly address?: string | undefined;
  /** Only these registries. */
  readonly registry?: readonly string[] | undefined;
  /** Where clients keep the authority that signed its certificate. */
  readonly ca?: string | undefined;
  /** A folder to write the files to instead of printing them. */
  readonly write?: string | undefined;
}

export const exitCodes = {
  ok: 0,
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
} as const;
