/** Something that clients pull through, cold: each start has an empty store of its own. */
export interface Subject {
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** As it tells it itself. */
  readonly version: string;
  start(upstreamUrl: string): Promise<RunningSubject>;
}

/** Why something cannot take part. */
export interface Absent {
  readonly absent: string;
}

export interface RunningSubject extends AsyncDisposable {
  /** `http://host:port`, or `https://`, that clients pull from. */
  readonly origin: string;
  /** Undefined where it is not a process of its own, or does not say. */
  readonly pid: number | undefined;
}
