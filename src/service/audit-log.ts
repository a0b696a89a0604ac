import { closeSync, fstatSync, fsyncSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError, isHoldfastError } from '../errors.ts';
import { ensureDirectory } from '../util/directory.ts';
import { maskSecrets } from '../util/secrets.ts';

/** Longest text of the arguments that is kept, in characters. */
const MAX_ARGUMENTS = 4_000;
const READ_BYTES = 64 * 1024;

const BEGUN = z.strictObject({
  /** Where the line stands in the file, in bytes: unique and rising. */
  id: z.int().nonnegative(),
  at: z.iso.datetime(),
  by: z.string(),
  address: z.string(),
  action: z.string(),
  arguments: z.string(),
});
const ENDED = z.strictObject({ of: z.int().nonnegative(), endedAt: z.iso.datetime(), code: z.string().nullable() });
const LINE = z.union([BEGUN, ENDED]);

/** A mutation that somebody called. */
export interface AuditEntry {
  readonly id: string;
  readonly at: string;
  readonly by: string;
  /** Of the client. */
  readonly address: string;
  readonly action: string;
  /** JSON, without secrets, cut off when it is long. */
  readonly arguments: string;
  /** UNKNOWN: it was not answered yet, or the process ended before. */
  readonly outcome: 'SUCCEEDED' | 'FAILED' | 'UNKNOWN';
  /** Of the error; null when there was none. */
  readonly code: string | null;
  readonly endedAt: string | null;
}

/** A call that is to be remembered. */
export interface AuditedCall {
  readonly by: string;
  readonly address: string;
  readonly action: string;
  readonly arguments: unknown;
}

export interface AuditLogOptions {
  /** Of the node's data; used by one process at a time. */
  readonly directory: string;
  /** Told when the outcome of a call could not be written. */
  readonly onError: (error: unknown) => void;
  /** Default: the time of day. */
  readonly now?: (() => Date) | undefined;
}

/**
 * What was asked of a node that changes something, in a file that only grows (`audit.jsonl`): a line before each call and one after
 * it, each on disk before the next step. A line that a crash cut off is passed over.
 */
export class AuditLog implements Disposable {
  readonly #path: string;
  readonly #file: number;
  readonly #onError: (error: unknown) => void;
  readonly #now: () => Date;

  /** @throws DATA_UNWRITABLE */
  constructor({ directory, onError, now = () => new Date() }: AuditLogOptions) {
    this.#path = join(directory, 'audit.jsonl');
    this.#onError = onError;
    this.#now = now;
    try {
      ensureDirectory(directory);
      this.#file = openSync(this.#path, 'a+', 0o600);
    } catch (cause) {
      throw this.#unwritable(cause);
    }
  }

  /** Runs a call between its two lines. @throws DATA_UNWRITABLE, and then nothing was run; else what it throws */
  async run<T>({ by, address, action, arguments: given }: AuditedCall, call: () => T | Promise<T>): Promise<T> {
    const text = maskSecrets('arguments', given);
    const shown = text.length > MAX_ARGUMENTS ? `${text.slice(0, MAX_ARGUMENTS)}…` : text;
    let id: number;
    try {
      id = this.#append((id) => ({ id, at: this.#now().toISOString(), by, address, action, arguments: shown }));
    } catch (cause) {
      throw this.#unwritable(cause);
    }
    try {
      const result = await call();
      this.#finish(id, null);
      return result;
    } catch (error) {
      this.#finish(id, codeOf(error));
      throw error;
    }
  }

  /** Entries newest first, at most `first`; only those older than `before`, when it is given. */
  list(first: number, before = Number.POSITIVE_INFINITY): AuditEntry[] {
    const entries: AuditEntry[] = [];
    const ends = new Map<number, z.output<typeof ENDED>>();
    for (const text of this.#linesFromEnd()) {
      if (entries.length === first) break;
      const line = lineOf(text);
      if (line === undefined) continue;
      if ('of' in line) ends.set(line.of, line);
      else if (line.id < before) entries.push(entryOf(line, ends.get(line.id)));
    }
    return entries;
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  /** The call is over: that its outcome cannot be kept must not look as if it had failed. */
  #finish(of: number, code: string | null): void {
    try {
      this.#append(() => ({ of, endedAt: this.#now().toISOString(), code }));
    } catch (error) {
      this.#onError(this.#unwritable(error));
    }
  }

  /** Returns where the line stands, after fsync. */
  #append(line: (at: number) => z.output<typeof LINE>): number {
    const { size } = fstatSync(this.#file);
    // What a crash cut off is ended here, so that it spoils nothing but itself.
    const begin = size === 0 || this.#byteAt(size - 1) === NEW_LINE ? '' : '\n';
    const at = size + begin.length;
    const bytes = Buffer.from(`${begin}${JSON.stringify(line(at))}\n`);
    if (writeSync(this.#file, bytes) < bytes.length) throw new Error('there is no space left');
    fsyncSync(this.#file);
    return at;
  }

  #byteAt(position: number): number | undefined {
    const byte = Buffer.alloc(1);
    readSync(this.#file, byte, 0, 1, position);
    return byte[0];
  }

  *#linesFromEnd(): Generator<string> {
    let end = fstatSync(this.#file).size;
    let rest: Buffer = Buffer.alloc(0);
    while (end > 0) {
      const from = Math.max(0, end - READ_BYTES);
      const block = Buffer.alloc(end - from);
      readSync(this.#file, block, 0, block.length, from);
      rest = Buffer.concat([block, rest]);
      end = from;
      for (let at = rest.lastIndexOf(NEW_LINE); at >= 0; at = rest.lastIndexOf(NEW_LINE)) {
        yield rest.toString('utf8', at + 1);
        rest = rest.subarray(0, at);
      }
    }
    yield rest.toString('utf8');
  }

  #unwritable(cause: unknown): HoldfastError {
    const message = `the audit log ${this.#path} cannot be written: ${(cause as Error).message}`;
    return new HoldfastError('DATA_UNWRITABLE', message, { cause });
  }
}

const NEW_LINE = 0x0a;

/** As the client sees it. */
function codeOf(error: unknown): string {
  if (isHoldfastError(error)) return error.code;
  const code = (error as { extensions?: { code?: unknown } } | null)?.extensions?.code;
  return typeof code === 'string' ? code : 'INTERNAL_SERVER_ERROR';
}

function lineOf(text: string): z.output<typeof LINE> | undefined {
  if (text === '') return undefined;
  try {
    return LINE.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function entryOf({ id, ...begun }: z.output<typeof BEGUN>, ended: z.output<typeof ENDED> | undefined): AuditEntry {
  const outcome = ended === undefined ? 'UNKNOWN' : ended.code === null ? 'SUCCEEDED' : 'FAILED';
  return { id: String(id), ...begun, outcome, code: ended?.code ?? null, endedAt: ended?.endedAt ?? null };
}
