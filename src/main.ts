import { CommanderError } from 'commander';
import { CommandFailure } from './cli/command-failure.ts';
import { exitCodes } from './cli/options.ts';
import { program } from './cli/program.ts';
import { asAppError } from './core/errors.ts';

try {
  await program(async (work) => {
    process.exitCode = await work();
  }).parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
  } else if (error instanceof CommandFailure) {
    process.stderr.write(error.text);
    process.exitCode = error.exitCode;
  } else {
    process.stderr.write(`onepull: ${asAppError(error).message}\n`);
    process.exitCode = exitCodes.failed;
  }
}
