import type { LoadedConfig, Role } from '../config.ts';
import type { Terminal } from './terminal.ts';

/** How a command ends; the process's exit code. */
export const ExitCode = {
  OK: 0,
  FAILED: 1,
  /** The command line or the configuration is at fault. */
  USAGE: 2,
  /** It works, but something is wrong: a replica differs, lines were refused. */
  DEGRADED: 3,
} as const;
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

/** What a command gets. */
export interface CommandContext {
  /** The arguments in order; a variadic one is the last and an array. */
  readonly arguments: readonly (string | readonly string[] | undefined)[];
  /** Options by camel-case name. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly terminal: Terminal;
  /**
   * Reads the configuration: the file (`--config`), the environment, this command's flags. With `role`, what it runs as.
   * @throws CONFIG_INVALID
   */
  config(role?: Role): Promise<LoadedConfig>;
}

export type Run = (context: CommandContext) => Promise<ExitCode>;

/** One option of a command. */
export interface CommandOption {
  /** In commander's notation, e.g. `--port <number>`. */
  readonly flags: string;
  readonly description: string;
  /** Configuration keys it sets, each with how its text becomes the value. */
  readonly sets?: Readonly<Record<string, (text: string) => string>>;
  readonly default?: string;
  /** Name of an option it cannot be given together with. */
  readonly conflicts?: string;
}

/** One command as the table in commands.ts lists it; its code is loaded when it runs. */
export interface CommandDefinition {
  /** Words of the command, e.g. `schema infer`. */
  readonly name: string;
  readonly summary: string;
  /** In commander's notation, e.g. `<entity> <file>`. */
  readonly arguments?: string;
  readonly options: readonly CommandOption[];
  readonly example: string;
  readonly load: () => Promise<Run>;
}

/** Something that failed and that no code of the catalogue names; ends with {@link ExitCode.FAILED}. */
export class Failure extends Error {}

/** A mistake on the command line that commander cannot see; ends with {@link ExitCode.USAGE}. */
export class UsageError extends Error {}
