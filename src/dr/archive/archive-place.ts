import { hostname } from 'node:os';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import type { ArchiveStorage } from './storage.ts';

/** Says who is writing an archive; there from before its first file until just before its manifest. */
export const OWNER_FILE = 'backup.lock';
/** It holds a number and a name. */
const MAX_BYTES = 1 << 10;

/** Who writes an archive. */
interface Owner {
  readonly pid: number;
  readonly host: string;
}

/** The place of an archive that is to be written: empty before, and of one backup alone from {@link take} on. */
export class ArchivePlace {
  readonly storage: ArchiveStorage;
  readonly #owner: Owner;
  #isTaken = false;

  constructor(storage: ArchiveStorage, owner: Owner = { pid: process.pid, host: hostname() }) {
    this.storage = storage;
    this.#owner = owner;
  }

  /** Nothing is written. @throws ALREADY_EXISTS when something is there, DR_LOCKED when another backup is being written there */
  async assertFree(): Promise<void> {
    const files = await this.storage.list();
    if (files.length === 0) return;
    const { location } = this.storage;
    const owner = files.some(({ name }) => name === OWNER_FILE) ? await this.#readOwner() : null;
    if (owner === null) {
      throw new HoldfastError('ALREADY_EXISTS', `${location} is not empty: give a place of its own for each backup.`);
    }
    const who = `process ${owner.pid} on ${owner.host}`;
    if (this.#isGone(owner)) {
      const message = `${location} is not empty: ${who} was ended while it wrote a backup there. Remove it, or give another place.`;
      throw new HoldfastError('ALREADY_EXISTS', message);
    }
    throw new HoldfastError(
      'DR_LOCKED',
      `${location} is not free: ${who} is writing a backup there. If it no longer does, remove what is there.`,
    );
  }

  /** Takes the place, once for whoever tries at the same time. @throws as {@link assertFree} */
  async take(): Promise<void> {
    await this.assertFree();
    try {
      await this.storage.createNew(OWNER_FILE, Buffer.from(JSON.stringify(this.#owner)));
    } catch (error) {
      if (isHoldfastError(error, 'ALREADY_EXISTS')) await this.assertFree();
      throw error;
    }
    this.#isTaken = true;
  }

  /** To be called when all files but the manifest are written: by now the place is not empty, or the manifest is all there is. */
  async leave(): Promise<void> {
    await this.storage.remove(OWNER_FILE);
  }

  /** Removes everything, when it is ours. Never throws: what failed before matters more, and without a manifest it is no backup. */
  async clear(): Promise<void> {
    if (this.#isTaken) await this.storage.removeAll().catch(() => undefined);
  }

  /** Null when the file is none of ours, or gone by now. */
  async #readOwner(): Promise<Owner | null> {
    let text = '';
    try {
      for await (const bytes of this.storage.read(OWNER_FILE)) {
        text += Buffer.from(bytes).toString();
        if (text.length > MAX_BYTES) return null;
      }
      const { pid, host } = JSON.parse(text) as Partial<Owner>;
      return Number.isSafeInteger(pid) && (pid ?? 0) > 0 && typeof host === 'string'
        ? { pid: pid as number, host }
        : null;
    } catch (error) {
      if (error instanceof SyntaxError || error instanceof TypeError || isHoldfastError(error)) return null;
      throw error;
    }
  }

  /** Only of processes of this machine it can be said that they have ended. */
  #isGone({ pid, host }: Owner): boolean {
    if (host !== this.#owner.host) return false;
    try {
      process.kill(pid, 0);
      return false;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ESRCH';
    }
  }
}
