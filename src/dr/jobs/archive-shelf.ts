import { basename, join, resolve } from 'node:path';
import { HoldfastError, isHoldfastError } from '../../errors.ts';
import { openStorage, placesIn } from '../archive/open-storage.ts';
import { parseS3Location, s3LocationText } from '../archive/s3-location.ts';
import {
  type ArchiveOptions,
  type ArchiveSummary,
  deleteArchive,
  JOBS_DIRECTORY,
  listArchives,
  showArchive,
} from '../archives.ts';

/** An archive with the name by which it is asked for. */
export interface ShelvedArchive extends ArchiveSummary {
  readonly name: string;
}

/** The archives directly below one directory or `s3://` prefix, by name. A name that is given is only ever compared, never made a path. */
export class ArchiveShelf {
  readonly #place: string;

  /** @param place `dr.dir` */
  constructor(place: string) {
    this.#place = place;
  }

  /** Where the archive of a new backup is written. @param id of its job */
  placeFor(id: string): string {
    if (!this.#place.startsWith('s3://')) return join(resolve(this.#place), id);
    const location = parseS3Location(this.#place);
    return s3LocationText({ ...location, prefix: location.prefix === '' ? id : `${location.prefix}/${id}` });
  }

  /** The location of an archive. @throws DR_NOT_FOUND */
  async find(name: string): Promise<string> {
    const found = (await placesIn(this.#place)).find((place) => nameOf(place) === name);
    if (found !== undefined && name !== JOBS_DIRECTORY) return found;
    throw new HoldfastError('DR_NOT_FOUND', `There is no backup ${name.slice(0, 100)}; drBackups lists them.`);
  }

  /** Every archive that can be read, newest first. */
  async list(options: ArchiveOptions): Promise<ShelvedArchive[]> {
    const { archives } = await listArchives(this.#place, options);
    return archives.map((archive) => ({ ...archive, name: nameOf(archive.location) }));
  }

  /** Removes an archive with all its files. @throws DR_NOT_FOUND, DR_CHECKSUM_MISMATCH (it holds something else besides) */
  async remove(name: string, options: ArchiveOptions): Promise<void> {
    await deleteArchive(await this.find(name), options);
  }

  /**
   * What became of a backup that was interrupted: true when it is whole, for its manifest is written last; else its files are
   * removed.
   */
  async settle(id: string): Promise<boolean> {
    const location = this.placeFor(id);
    const whole = await showArchive(location).then(
      () => true,
      (error) => {
        if (isHoldfastError(error, 'DR_NOT_FOUND')) return false;
        throw error;
      },
    );
    if (whole) return true;
    const storage = await openStorage(location);
    try {
      await storage.removeAll();
    } finally {
      await storage.close();
    }
    return false;
  }
}

function nameOf(location: string): string {
  return basename(location.startsWith('s3://') ? parseS3Location(location).prefix : location);
}
