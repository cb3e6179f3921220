import type { Command } from 'commander';

/**
 * Does a command's work and keeps the exit code that it resolves with. What a command needs is loaded by its work, so that
 * `--version` and `--help` start at once.
 */
export type Run = (work: () => Promise<number>) => Promise<void>;

/** Adds a command to the tree. */
export type Declare = (parent: Command, run: Run) => void;
