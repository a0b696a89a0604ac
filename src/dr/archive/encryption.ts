import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { HoldfastError } from '../../errors.ts';
import type { EncryptionKey } from './encryption-key.ts';

/**
 * An encrypted file is a header (magic, salt) and segments of AES-256-GCM, each with its tag. The nonce of a segment is its number
 * and whether it is the last: a file that was cut, reordered or extended cannot be opened, nor can one under another's name.
 */
const MAGIC = Buffer.from('HFE1');
const SALT_BYTES = 32;
const HEADER_BYTES = MAGIC.length + SALT_BYTES;
const TAG_BYTES = 16;
/** Bytes of a segment before its tag; every segment but the last is full. */
export const SEGMENT_BYTES = 1 << 20;

/** Encrypts one file as it is written. */
export class Sealer {
  readonly #key: Buffer;
  readonly #header: Buffer;
  #segment = 0;
  #started = false;
  /** Bytes of the segment that is not full yet. */
  #waiting: Buffer = Buffer.alloc(0);

  constructor(key: EncryptionKey, name: string, salt: Buffer = randomBytes(SALT_BYTES)) {
    this.#key = key.forFile(name, salt);
    this.#header = Buffer.concat([MAGIC, salt]);
  }

  /** What can be stored once `bytes` are added; it may be nothing. */
  update(bytes: Uint8Array): Buffer {
    const sealed = this.#begin();
    let rest = Buffer.concat([this.#waiting, bytes]);
    // The last segment has its own nonce, so a full one waits until it is known not to be the last.
    for (; rest.length > SEGMENT_BYTES; rest = rest.subarray(SEGMENT_BYTES)) {
      sealed.push(...this.#seal(rest.subarray(0, SEGMENT_BYTES), false));
    }
    this.#waiting = rest;
    return Buffer.concat(sealed);
  }

  /** The end of the file. */
  final(): Buffer {
    return Buffer.concat([...this.#begin(), ...this.#seal(this.#waiting, true)]);
  }

  #begin(): Buffer[] {
    if (this.#started) return [];
    this.#started = true;
    return [this.#header];
  }

  #seal(plain: Buffer, last: boolean): Buffer[] {
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(this.#segment++, last)).setAAD(this.#header);
    return [cipher.update(plain), cipher.final(), cipher.getAuthTag()];
  }
}

/**
 * Decrypts the file `name`. Every byte it yields is authentic and in its place; that none is missing at the end is known when it ends.
 * @throws DR_CHECKSUM_MISMATCH
 */
export async function* unseal(
  source: AsyncIterable<Uint8Array>,
  key: EncryptionKey,
  name: string,
): AsyncGenerator<Buffer, void, void> {
  const altered = (cause?: unknown): HoldfastError =>
    new HoldfastError('DR_CHECKSUM_MISMATCH', `${name} cannot be decrypted: it was altered, cut or exchanged`, {
      cause,
      details: { file: name },
    });
  let header: Buffer | undefined;
  let fileKey: Buffer = Buffer.alloc(0);
  let segment = 0;
  let rest: Buffer = Buffer.alloc(0);
  const openSegment = (sealed: Buffer, last: boolean): Buffer => {
    if (header === undefined || sealed.length < TAG_BYTES) throw altered();
    try {
      const decipher = createDecipheriv('aes-256-gcm', fileKey, nonce(segment++, last), { authTagLength: TAG_BYTES });
      decipher.setAAD(header).setAuthTag(sealed.subarray(sealed.length - TAG_BYTES));
      return Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - TAG_BYTES)), decipher.final()]);
    } catch (cause) {
      throw altered(cause);
    }
  };
  for await (const bytes of source) {
    rest = Buffer.concat([rest, bytes]);
    if (header === undefined) {
      if (rest.length < HEADER_BYTES) continue;
      header = rest.subarray(0, HEADER_BYTES);
      if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw altered();
      fileKey = key.forFile(name, header.subarray(MAGIC.length));
      rest = rest.subarray(HEADER_BYTES);
    }
    const full = SEGMENT_BYTES + TAG_BYTES;
    for (; rest.length > full; rest = rest.subarray(full)) yield openSegment(rest.subarray(0, full), false);
  }
  yield openSegment(rest, true);
}

function nonce(segment: number, last: boolean): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUIntBE(segment, 4, 6);
  bytes.writeUInt8(last ? 1 : 0, 11);
  return bytes;
}
