import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';

/** A structured logger: `log.info({ facts }, 'what happened')`. */
export type Logger = PinoLogger;

export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  /** Least important level that is written. Default `info`. */
  readonly level?: LogLevel | undefined;
  /** Lines for people instead of JSON; coloured on a terminal. Default: whether stderr is a terminal. */
  readonly pretty?: boolean | undefined;
  /** Where lines go. Default: stderr, so that stdout stays free for answers of commands. */
  readonly destination?: DestinationStream | undefined;
}

/**
 * Secrets and personal data that must never reach a log, whichever object carries them. Code that logs a request picks its
 * fields by name; this list is the net below.
 */
const REDACTED = ['authorization', 'cookie', 'token', 'password', 'variables', 'connectionParams'].flatMap((name) => [
  name,
  `headers.${name}`,
  `err.${name}`,
  `err.details.${name}`,
]);

/** A logger that writes one line per call: JSON, or readable lines on a terminal. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const settings = { level: options.level ?? 'info', base: null, redact: { paths: REDACTED, censor: '[redacted]' } };
  const destination = options.destination ?? pino.destination({ dest: 2, sync: true });
  const terminal = process.stderr.isTTY === true;
  if (!(options.pretty ?? terminal)) return pino(settings, destination);
  const format = prettyFactory({
    colorize: terminal,
    translateTime: 'SYS:HH:MM:ss.l',
    singleLine: true,
  });
  return pino(settings, { write: (line) => destination.write(format(line)) });
}
