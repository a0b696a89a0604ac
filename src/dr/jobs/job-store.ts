import { closeSync, constants, existsSync, fstatSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../errors.ts';
import { replaceFile } from '../../util/atomic-file.ts';
import { ensureDirectory } from '../../util/directory.ts';
import { isJobId, JOB_RECORD, type JobRecord } from './job-record.ts';

/** Larger than the record of a job over a hundred thousand tables. */
const MAX_BYTES = 64 << 20;
/** What a crash in the middle of a write leaves; see `replaceFile`. */
const DRAFT = /^\..*\.draft$/;

/**
 * The records of jobs: a file each, replaced as a whole. Many may read; who writes holds the directory (`src/gateway/dr.ts`). A file
 * that is no record is told of once and otherwise left alone: it is neither listed nor carried out.
 */
export class JobStore {
  readonly directory: string;
  readonly #onBroken: (error: HoldfastError) => void;
  readonly #told = new Set<string>();

  constructor(directory: string, onBroken: (error: HoldfastError) => void) {
    this.directory = directory;
    this.#onBroken = onBroken;
  }

  /** Whether anything was ever written. */
  get exists(): boolean {
    return existsSync(this.directory);
  }

  /** Ids of all jobs, newest first. */
  ids(): string[] {
    if (!this.exists) return [];
    const names = readdirSync(this.directory).filter((name) => name.endsWith('.json'));
    return names
      .map((name) => name.slice(0, -'.json'.length))
      .filter(isJobId)
      .sort()
      .reverse();
  }

  /** The record of a job; undefined when there is none that can be read. */
  read(id: string): JobRecord | undefined {
    if (!isJobId(id)) return undefined;
    const path = this.#path(id);
    try {
      const record = JOB_RECORD.parse(JSON.parse(readText(path)));
      if (record.id !== id) throw new Error(`it is the record of ${record.id.slice(0, 100)}`);
      return record;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      if (!this.#told.has(id)) {
        this.#told.add(id);
        const message = `${path} is no record of a job and is left alone: ${(cause as Error).message}`;
        this.#onBroken(new HoldfastError('DATA_UNWRITABLE', message, { cause }));
      }
      return undefined;
    }
  }

  /** The newest jobs, newest first. */
  list(first: number): JobRecord[] {
    const records: JobRecord[] = [];
    for (const id of this.ids()) {
      if (records.length === first) break;
      const record = this.read(id);
      if (record !== undefined) records.push(record);
    }
    return records;
  }

  /** Returns when the record is on disk. @throws DATA_UNWRITABLE, DR_STORAGE_FULL */
  write(record: JobRecord): void {
    const path = this.#path(record.id);
    try {
      ensureDirectory(this.directory);
      replaceFile(path, `${JSON.stringify(record)}\n`);
    } catch (cause) {
      const full = ['ENOSPC', 'EDQUOT'].includes((cause as NodeJS.ErrnoException).code ?? '');
      const message = `The record of a job cannot be written to ${path}: ${(cause as Error).message}`;
      throw new HoldfastError(full ? 'DR_STORAGE_FULL' : 'DATA_UNWRITABLE', message, { cause });
    }
  }

  /** Removes what crashed writes left, and the records of the oldest jobs that are over, until `keep` of all are left. */
  tidy(keep: number, isOver: (record: JobRecord) => boolean): void {
    if (!this.exists) return;
    for (const name of readdirSync(this.directory)) {
      if (DRAFT.test(name)) rmSync(join(this.directory, name), { force: true });
    }
    for (const id of this.ids().slice(keep)) {
      const record = this.read(id);
      if (record !== undefined && isOver(record)) rmSync(this.#path(id), { force: true });
    }
  }

  #path(id: string): string {
    return join(this.directory, `${id}.json`);
  }
}

/** The text of a plain file of bounded size; links are not followed. */
function readText(path: string): string {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const status = fstatSync(file);
    if (!status.isFile()) throw new Error('it is no file');
    if (status.size > MAX_BYTES) throw new Error(`it has ${status.size} bytes`);
    return readFileSync(file, 'utf8');
  } finally {
    closeSync(file);
  }
}
