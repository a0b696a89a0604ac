import type { Command } from './wire.ts';

/**
 * What happens to a command.
 * - REFUSE: connections are closed as soon as they are made, and those there are.
 * - HANG_BEFORE: it never reaches the server, and is never answered.
 * - HANG_AFTER: the server carries it out; the answer is lost.
 * - RESET: the server carries it out; the connection is reset in the middle of the answer.
 * - DRIP: the answer comes byte by byte, `delayMs` apart.
 * - DELAY: it is passed on after `delayMs`.
 * - DROP: the connection is reset instead of passing it on.
 * - ERROR: answered with the error `code` and `labels`; the server does not see it.
 */
export const FaultKind = {
  REFUSE: 'REFUSE',
  HANG_BEFORE: 'HANG_BEFORE',
  HANG_AFTER: 'HANG_AFTER',
  RESET: 'RESET',
  DRIP: 'DRIP',
  DELAY: 'DELAY',
  DROP: 'DROP',
  ERROR: 'ERROR',
} as const;
export type FaultKind = (typeof FaultKind)[keyof typeof FaultKind];

/** A fault and the commands it meets. */
export interface Fault {
  readonly kind: FaultKind;
  /** Names of commands, e.g. `find`. Default: all but those by which drivers watch servers. */
  readonly commands?: readonly string[] | undefined;
  /** Default: any collection, also none. */
  readonly collections?: readonly string[] | undefined;
  /** Also hits the commands by which drivers watch servers. Default false. */
  readonly monitoring?: boolean | undefined;
  /** Commands it hits before it is over. Default: no end. */
  readonly times?: number | undefined;
  /** Of DELAY and DRIP, in ms. Default 1,000 and 20. */
  readonly delayMs?: number | undefined;
  /** Of ERROR. Default 91, ShutdownInProgress. */
  readonly code?: number | undefined;
  readonly labels?: readonly string[] | undefined;
}

/** By these a driver watches a server; a server that hangs on others may still answer them. */
const MONITORING: ReadonlySet<string> = new Set([
  'hello',
  'ismaster',
  'isMaster',
  'ping',
  'endSessions',
  'saslStart',
  'saslContinue',
]);

/** Whether a fault meets a command. */
export function meets(fault: Fault, { name, collection }: Command): boolean {
  if (fault.kind === FaultKind.REFUSE) return true;
  if (fault.commands !== undefined) return fault.commands.includes(name) && inCollections(fault, collection);
  if (MONITORING.has(name)) return fault.monitoring === true;
  return inCollections(fault, collection);
}

function inCollections({ collections }: Fault, collection: string): boolean {
  return collections === undefined || collections.includes(collection);
}
