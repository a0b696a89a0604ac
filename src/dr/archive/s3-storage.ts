import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import type * as S3 from '@aws-sdk/client-s3';
import type * as S3Uploads from '@aws-sdk/lib-storage';
import { HoldfastError } from '../../errors.ts';
import { assertFileName } from './file-name.ts';
import { s3Error } from './s3-errors.ts';
import { parseS3Location, type S3Location, s3LocationText } from './s3-location.ts';
import type { ArchiveStorage, FileSink, StoredFile } from './storage.ts';

/** Parts of an upload, and how many of them are held and sent at once. S3 allows 10,000 parts: files of up to 80 GB. */
const PART_BYTES = 8 << 20;
const PARTS_IN_FLIGHT = 2;
/** Objects that one request removes. */
const REMOVED_AT_ONCE = 1_000;
const CONNECT_TIMEOUT_MS = 10_000;
/** A connection over which nothing comes for so long is given up. */
const IDLE_TIMEOUT_MS = 60_000;

type Sdk = typeof S3 & Pick<typeof S3Uploads, 'Upload'>;

/** Opens a prefix of a bucket; no request is made yet. @throws CONFIG_INVALID, also when the SDK is not installed */
export async function openS3Storage(text: string): Promise<S3Storage> {
  const location = parseS3Location(text);
  return new S3Storage(location, await loadSdk());
}

/** The prefixes directly below a prefix, sorted, each as a location. */
export async function prefixesIn(text: string): Promise<string[]> {
  const storage = await openS3Storage(text);
  try {
    return await storage.prefixes();
  } finally {
    await storage.close();
  }
}

/** The SDK is an optional peer: whoever keeps archives in directories need not install it. */
async function loadSdk(): Promise<Sdk> {
  try {
    const [client, { Upload }] = await Promise.all([import('@aws-sdk/client-s3'), import('@aws-sdk/lib-storage')]);
    return { ...client, Upload };
  } catch (cause) {
    const message = 'For s3:// locations install the packages @aws-sdk/client-s3 and @aws-sdk/lib-storage.';
    throw new HoldfastError('CONFIG_INVALID', message, { cause });
  }
}

/**
 * An archive under a prefix of a bucket. An object is there whole or not at all; each is asked for again after it was written, by size
 * and ETag. Credentials come from the SDK's default chain.
 */
export class S3Storage implements ArchiveStorage {
  readonly location: string;
  readonly #place: S3Location;
  readonly #sdk: Sdk;
  readonly #client: S3.S3Client;

  constructor(place: S3Location, sdk: Sdk) {
    this.location = s3LocationText(place);
    this.#place = place;
    this.#sdk = sdk;
    const { endpoint, region, forcePathStyle } = place;
    this.#client = new sdk.S3Client({
      ...(endpoint !== undefined && { endpoint }),
      // With an endpoint of its own the name of the region says nothing, but the SDK wants one.
      ...((region ?? endpoint) !== undefined && { region: region ?? 'us-east-1' }),
      forcePathStyle,
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: IDLE_TIMEOUT_MS },
    });
  }

  async create(name: string): Promise<FileSink> {
    const target = this.#object(name);
    const body = new PassThrough({ highWaterMark: PART_BYTES });
    const upload = new this.#sdk.Upload({
      client: this.#client,
      params: { ...target, Body: body },
      partSize: PART_BYTES,
      queueSize: PARTS_IN_FLIGHT,
    });
    let bytes = 0;
    // Begins to send as bytes come; a failure ends the stream, and is told by the next call.
    const sent = upload.done();
    sent.catch((error) => body.destroy(error));
    body.on('error', () => undefined);
    const what = `write ${name}`;
    return {
      write: (part) =>
        this.#do(what, async () => {
          bytes += part.length;
          if (body.destroyed) await sent;
          // The stream keeps what it is given: it gets a copy, for the caller uses its buffer again.
          if (!body.write(Buffer.from(part))) await Promise.race([once(body, 'drain'), sent]);
        }),
      commit: () =>
        this.#do(what, async () => {
          body.end();
          const { ETag } = await sent;
          await this.#confirm(name, bytes, ETag);
        }),
      abort: async () => {
        await upload.abort();
        body.destroy();
        await sent.catch(() => undefined);
      },
    };
  }

  async createNew(name: string, bytes: Uint8Array): Promise<void> {
    await this.#put(name, bytes, { IfNoneMatch: '*' });
  }

  async replace(name: string, bytes: Uint8Array): Promise<void> {
    await this.#put(name, bytes, {});
  }

  async *read(name: string, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const what = `read ${name}`;
    const options = signal === undefined ? {} : { abortSignal: signal };
    try {
      const { Body } = await this.#client.send(new this.#sdk.GetObjectCommand(this.#object(name)), options);
      for await (const part of Body as unknown as AsyncIterable<Uint8Array>) {
        signal?.throwIfAborted();
        yield part;
      }
    } catch (error) {
      throw signal?.aborted ? signal.reason : this.#coded(what, error);
    }
  }

  async list(): Promise<readonly StoredFile[]> {
    const prefix = this.#prefix();
    return this.#do('list', async () => {
      const found: StoredFile[] = [];
      const pages = this.#sdk.paginateListObjectsV2(
        { client: this.#client },
        { Bucket: this.#place.bucket, Prefix: prefix },
      );
      for await (const { Contents = [] } of pages) {
        for (const { Key = '', Size = 0 } of Contents) {
          // Consoles mark a prefix by an empty object of its name.
          if (Key !== prefix) found.push({ name: Key.slice(prefix.length), bytes: Size });
        }
      }
      return found.sort((a, b) => (a.name < b.name ? -1 : 1));
    });
  }

  /** See {@link prefixesIn}. */
  async prefixes(): Promise<string[]> {
    return this.#do('list', async () => {
      const found: string[] = [];
      const input = { Bucket: this.#place.bucket, Prefix: this.#prefix(), Delimiter: '/' };
      for await (const { CommonPrefixes = [] } of this.#sdk.paginateListObjectsV2({ client: this.#client }, input)) {
        for (const { Prefix = '' } of CommonPrefixes) {
          found.push(s3LocationText({ ...this.#place, prefix: Prefix.replace(/\/$/, '') }));
        }
      }
      return found.sort();
    });
  }

  async remove(name: string): Promise<void> {
    await this.#do(`remove ${name}`, () => this.#client.send(new this.#sdk.DeleteObjectCommand(this.#object(name))));
  }

  async removeAll(): Promise<void> {
    await this.#do('remove', async () => {
      await this.#abortUploads();
      const keys = (await this.list()).map(({ name }) => ({ Key: this.#prefix() + name }));
      for (let from = 0; from < keys.length; from += REMOVED_AT_ONCE) {
        const Delete = { Objects: keys.slice(from, from + REMOVED_AT_ONCE), Quiet: true };
        const command = new this.#sdk.DeleteObjectsCommand({ Bucket: this.#place.bucket, Delete });
        const { Errors: [refused] = [] } = await this.#client.send(command);
        if (refused !== undefined) {
          throw new HoldfastError('DATA_UNWRITABLE', `remove ${refused.Key} from ${this.location}: ${refused.Code}`);
        }
      }
    });
  }

  /** What S3 has taken is durable. */
  async flush(): Promise<void> {}

  async close(): Promise<void> {
    this.#client.destroy();
  }

  async #put(name: string, bytes: Uint8Array, condition: { readonly IfNoneMatch?: string }): Promise<void> {
    await this.#do(`write ${name}`, async () => {
      const command = new this.#sdk.PutObjectCommand({ ...this.#object(name), ...condition, Body: bytes });
      const { ETag } = await this.#client.send(command);
      await this.#confirm(name, bytes.length, ETag);
    });
  }

  /** Asks for an object that was just written: a server that lost or altered it is found now, not at the restore. */
  async #confirm(name: string, bytes: number, etag: string | undefined): Promise<void> {
    const { ContentLength, ETag } = await this.#client.send(new this.#sdk.HeadObjectCommand(this.#object(name)));
    if (ContentLength === bytes && (etag === undefined || ETag === etag)) return;
    const message = `${name} in ${this.location} is not what was written: ${ContentLength} bytes instead of ${bytes}`;
    throw new HoldfastError('DR_CHECKSUM_MISMATCH', message, { details: { file: name } });
  }

  /** Parts of uploads that never ended are stored, and paid for, until they are aborted. */
  async #abortUploads(): Promise<void> {
    const { bucket } = this.#place;
    const command = new this.#sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: this.#prefix() });
    const { Uploads = [] } = await this.#client.send(command);
    for (const { Key, UploadId } of Uploads) {
      await this.#client.send(new this.#sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key, UploadId }));
    }
  }

  #object(name: string): { readonly Bucket: string; readonly Key: string } {
    assertFileName(name);
    return { Bucket: this.#place.bucket, Key: this.#prefix() + name };
  }

  #prefix(): string {
    return this.#place.prefix === '' ? '' : `${this.#place.prefix}/`;
  }

  async #do<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#coded(what, error);
    }
  }

  #coded(what: string, error: unknown): unknown {
    return s3Error(`${what} in ${this.location}`, error);
  }
}
