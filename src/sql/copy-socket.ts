import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** Takes the bytes a server sends. `false` stops reading until {@link Tap.resume}; the buffer is reused after the call or the resume. */
export type OnBytes = (bytes: Buffer) => boolean;

/** Bytes of a connection led past its driver. */
export interface Tap {
  /** Hands bytes to the driver, as if they came from the server. They are copied. */
  forward(bytes: Buffer): void;
  resume(): void;
  /** Gives the connection back to its driver. */
  remove(): void;
}

const READ_BYTES = 1 << 20;
/** A read that brought less than this came too early: the next one waits until more is there. */
const WORTHWHILE_BYTES = READ_BYTES / 4;
/** Long enough for a busy server to send some hundred kilobytes, and shorter than what they keep the disk busy for. */
const REST_MS = 1;
/** Short answers are read as they come. */
const UNRESTED_BYTES = 256 << 10;

/**
 * A socket that reads into one large buffer of its own instead of a new one for each read, and of bulk rows much at a time: a server
 * sends them in pieces of 8 KiB, and to be woken for each costs it and us more than the piece. To its driver it is a plain
 * socket; {@link tap} leads the bytes elsewhere for a while.
 */
export class CopySocket extends Socket {
  #onBytes: OnBytes | null = null;
  /** Bytes led since the tap was set. */
  #led = 0;
  #rest: NodeJS.Timeout | undefined;

  /** A socket for a driver. With TLS a plain one: there the bytes are decrypted into buffers of their own anyway. */
  static create(ssl: unknown): Socket {
    return ssl ? new Socket() : new CopySocket();
  }

  constructor() {
    let self: CopySocket | null = null;
    const callback = (length: number, buffer: Uint8Array): boolean => {
      const bytes = Buffer.from(buffer.buffer, buffer.byteOffset, length);
      return self === null ? true : self.#take(bytes);
    };
    super({ onread: { buffer: new Uint8Array(READ_BYTES), callback } } as unknown as ConstructorParameters<
      typeof Socket
    >[0]);
    self = this;
  }

  #take(bytes: Buffer): boolean {
    if (this.#onBytes === null) {
      // The driver keeps what it could not read yet, and our buffer is reused: it gets a copy.
      this.emit('data', Buffer.from(bytes));
      return true;
    }
    this.#led += bytes.length;
    if (!this.#onBytes(bytes)) return false;
    if (bytes.length >= WORTHWHILE_BYTES || this.#led < UNRESTED_BYTES || this.#onBytes === null) return true;
    this.#rest = setTimeout(() => this.resume(), REST_MS);
    return false;
  }

  lead(onBytes: OnBytes | null): void {
    this.#onBytes = onBytes;
    this.#led = 0;
    clearTimeout(this.#rest);
    this.resume();
  }
}

/** Leads what `stream`, the connection of a driver, receives to `onBytes`, until the tap is removed. */
export function tap(stream: Duplex, onBytes: OnBytes): Tap {
  if (stream instanceof CopySocket) {
    stream.lead(onBytes);
    return {
      forward: (bytes) => void stream.emit('data', Buffer.from(bytes)),
      resume: () => void stream.resume(),
      remove: () => stream.lead(null),
    };
  }
  const drivers = stream.listeners('data') as ((bytes: Buffer) => void)[];
  const listener = (bytes: Buffer): void => {
    if (!onBytes(bytes)) stream.pause();
  };
  stream.removeAllListeners('data');
  stream.on('data', listener);
  return {
    forward: (bytes) => {
      for (const driver of drivers) driver(Buffer.from(bytes));
    },
    resume: () => void stream.resume(),
    remove: () => {
      stream.removeListener('data', listener);
      for (const driver of drivers) stream.on('data', driver);
    },
  };
}
