import { CommanderError } from 'commander';
import { debugging } from '../config.ts';
import { ERRORS, type ErrorCode, isHoldfastError } from '../errors.ts';
import { ExitCode, Failure, UsageError } from './command.ts';
import type { Terminal } from './terminal.ts';

/** Codes that say the caller's input is at fault, not the work. */
const USAGE_CODES: ReadonlySet<ErrorCode> = new Set(['CONFIG_INVALID', 'SCHEMA_INVALID']);

/**
 * Writes an error as one block (code, what, remedy) to stderr, and with `--json` as a document to stdout. The stack comes
 * with it only when HOLDFAST_DEBUG is set. Returns the exit code the error means.
 */
export function report(error: unknown, terminal: Terminal): ExitCode {
  if (error instanceof CommanderError && error.exitCode === 0) return ExitCode.OK;
  if (error instanceof CommanderError || error instanceof UsageError || error instanceof Failure) {
    // Commander has written its own message.
    if (!(error instanceof CommanderError)) terminal.note(`error: ${error.message}`);
    const failed = error instanceof Failure;
    if (terminal.json) terminal.result({ error: { code: failed ? 'FAILED' : 'USAGE', message: error.message } }, '');
    return failed ? ExitCode.FAILED : ExitCode.USAGE;
  }
  const code = isHoldfastError(error) ? error.code : 'INTERNAL_SERVER_ERROR';
  const message = error instanceof Error ? error.message : String(error);
  const { remedy, retryable } = ERRORS[code];
  terminal.note(`error ${code}: ${message}\n  ${remedyOf(code)}`);
  if (debugging() && error instanceof Error) terminal.note(stackOf(error));
  if (terminal.json) {
    const details = isHoldfastError(error) ? error.details : {};
    terminal.result({ error: { code, message, remedy, retryable, ...details } }, '');
  }
  return USAGE_CODES.has(code) ? ExitCode.USAGE : ExitCode.FAILED;
}

function remedyOf(code: ErrorCode): string {
  if (code === 'INTERNAL_SERVER_ERROR') {
    return 'Holdfast did not expect this. Run it again with HOLDFAST_DEBUG=1 and report what it prints.';
  }
  return ERRORS[code].remedy;
}

function stackOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${stackOf(error.cause)}` : '';
  return `${error.stack ?? error.message}${cause}`;
}
