import { Child, type ChildOptions, type Exit, run } from '../child.ts';
import type { Place } from '../loopback.ts';
import { output } from './commands.ts';
import type { LinkShape } from './link-shape.ts';

/** Bytes that went over a host's line, headers of TCP, IP and Ethernet included. */
export interface LineBytes {
  readonly sent: number;
  readonly received: number;
}

/** A machine of the lab: a network namespace with a line to all others, and a way to this process. */
export class LabHost implements Place {
  readonly name: string;
  readonly number: number;
  /** By which other hosts reach it, through its line. */
  readonly address: string;
  /** By which this process does, beside every line: nothing slows it, nothing cuts it. */
  readonly controlAddress: string;
  readonly wrapper: readonly string[];
  readonly #change: (host: LabHost, shape: LinkShape) => Promise<void>;

  constructor(
    deps: { readonly change: (host: LabHost, shape: LinkShape) => Promise<void> },
    { name, number, address, controlAddress, wrapper }: Place & { readonly name: string; readonly number: number },
  ) {
    this.name = name;
    this.number = number;
    this.address = address;
    this.controlAddress = controlAddress;
    this.wrapper = wrapper;
    this.#change = deps.change;
  }

  /** Starts a program there. It is ended with the lab at the latest. */
  spawn(command: string, args: readonly string[], options: ChildOptions = {}): Child {
    const [first = command, ...rest] = [...this.wrapper, command, ...args];
    return new Child(first, rest, options);
  }

  /** Runs a command there to its end. */
  run(
    command: string,
    args: readonly string[],
    options: ChildOptions = {},
  ): Promise<Exit & { stdout: string; stderr: string }> {
    const [first = command, ...rest] = [...this.wrapper, command, ...args];
    return run(first, rest, options);
  }

  /** From now on its line is like this, in all respects. One that was made without delay and loss cannot have them later. */
  shape(shape: LinkShape): Promise<void> {
    return this.#change(this, shape);
  }

  /** What went over its line since it was made. */
  async lineBytes(): Promise<LineBytes> {
    const [command = '', ...args] = [...this.wrapper, 'ip', '-s', '-j', 'link', 'show', 'eth0'];
    const [device] = JSON.parse(await output(command, args)) as { stats64: Record<'rx' | 'tx', { bytes: number }> }[];
    return { sent: device?.stats64.tx.bytes ?? 0, received: device?.stats64.rx.bytes ?? 0 };
  }
}
