import { createHmac, hkdfSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { HoldfastError } from '../../errors.ts';

const KEY_BYTES = 32;
/** More than any spelling of a key needs. */
const MAX_FILE_BYTES = 1024;

/** The key that encrypts archives. From it a key for each file and one for the manifest are derived; itself it encrypts nothing. */
export class EncryptionKey {
  /** Fingerprint that tells keys apart and nothing about them; 16 hexadecimal digits. */
  readonly id: string;
  readonly #bytes: Buffer;

  /** @param bytes 32 random bytes */
  constructor(bytes: Uint8Array) {
    if (bytes.length !== KEY_BYTES) throw new TypeError(`a key has ${KEY_BYTES} bytes, not ${bytes.length}`);
    this.#bytes = Buffer.from(bytes);
    this.id = this.#derive('holdfast key id', '', 8).toString('hex');
  }

  /** The AES-256 key of one file: bound to its salt and its name, so that no file passes for another. */
  forFile(name: string, salt: Uint8Array): Buffer {
    return this.#derive(`holdfast file ${name}`, salt, KEY_BYTES);
  }

  /** Proof, 64 hexadecimal digits, that `text` comes from somebody who has the key. */
  authenticate(text: string): string {
    return createHmac('sha256', this.#derive('holdfast manifest', '', KEY_BYTES))
      .update(text)
      .digest('hex');
  }

  #derive(purpose: string, salt: string | Uint8Array, bytes: number): Buffer {
    return Buffer.from(hkdfSync('sha256', this.#bytes, salt, purpose, bytes));
  }
}

/**
 * Reads a key file: 32 bytes as 64 hexadecimal digits or as base64, e.g. made by `openssl rand -hex 32`.
 * @throws CONFIG_INVALID when it cannot be read, others than its owner can read it, or it holds anything else
 */
export async function readKeyFile(path: string): Promise<EncryptionKey> {
  const invalid = (what: string, cause?: unknown): HoldfastError =>
    new HoldfastError('CONFIG_INVALID', `key file ${path}: ${what}`, { cause });
  const file = await open(path).catch((error: Error) => {
    throw invalid(error.message, error);
  });
  try {
    const { mode, size } = await file.stat();
    if ((mode & 0o077) !== 0) throw invalid('others than its owner may use it; run chmod 600 on it');
    if (size > MAX_FILE_BYTES) throw invalid('is too large for a key');
    const text = (await file.readFile('utf8')).trim();
    const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, 'hex') : Buffer.from(text, 'base64');
    const exact = bytes.length === KEY_BYTES && /^([0-9a-f]{64}|[A-Za-z0-9+/_-]{43}=?)$/i.test(text);
    if (!exact)
      throw invalid('holds no key: 64 hexadecimal digits or base64 of 32 bytes, as `openssl rand -hex 32` writes');
    return new EncryptionKey(bytes);
  } finally {
    await file.close();
  }
}
