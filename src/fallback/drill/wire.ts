import { BSON, type Document } from 'bson';

/** Opcodes of MongoDB's wire protocol (mongodb.com/docs/manual/reference/mongodb-wire-protocol). */
const OP_QUERY = 2004;
const OP_MSG = 2013;
const HEADER_BYTES = 16;
/** Largest message of a server, in bytes. */
const MAX_MESSAGE_BYTES = 48_000_000;
/** Flag of an OP_MSG that is followed by a checksum. */
const CHECKSUM_PRESENT = 1;

/** A command that a client sent. */
export interface Command {
  readonly requestId: number;
  /** Its first key, e.g. `find`. */
  readonly name: string;
  /** Empty for commands that are about no collection. */
  readonly collection: string;
  readonly database: string;
}

/** Cuts a stream of bytes into messages. */
export class MessageSplitter {
  #rest: Buffer = Buffer.alloc(0);

  /** The messages that ended in `chunk`, whole. @throws Error for bytes that are no message */
  push(chunk: Buffer): Buffer[] {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: Buffer[] = [];
    while (bytes.length >= 4) {
      const length = bytes.readInt32LE(0);
      if (length < HEADER_BYTES || length > MAX_MESSAGE_BYTES) throw new Error(`a message cannot have ${length} bytes`);
      if (bytes.length < length) break;
      messages.push(bytes.subarray(0, length));
      bytes = bytes.subarray(length);
    }
    this.#rest = bytes;
    return messages;
  }
}

/** The command in a message of a client; undefined for a message of another kind, e.g. a compressed one. */
export function readCommand(message: Buffer): Command | undefined {
  const requestId = message.readInt32LE(4);
  const opcode = message.readInt32LE(12);
  if (opcode === OP_QUERY) return { requestId, name: 'hello', collection: '', database: 'admin' };
  if (opcode !== OP_MSG) return undefined;
  const end = (message.readUInt32LE(HEADER_BYTES) & CHECKSUM_PRESENT) === 0 ? message.length : message.length - 4;
  for (let at = HEADER_BYTES + 4; at < end; ) {
    const length = message.readInt32LE(at + 1);
    if (length < 5 || at + 1 + length > end) return undefined;
    if (message[at] === 0) {
      const body = BSON.deserialize(message.subarray(at + 1, at + 1 + length));
      const [name = ''] = Object.keys(body);
      const subject: unknown = name === 'getMore' ? body.collection : body[name];
      return {
        requestId,
        name,
        collection: typeof subject === 'string' ? subject : '',
        database: String(body.$db ?? ''),
      };
    }
    at += 1 + length;
  }
  return undefined;
}

/** The id of the request that a message of a server answers. */
export function repliesTo(message: Buffer): number {
  return message.readInt32LE(8);
}

/** A message of a server that answers `requestId` with `document`. */
export function replyMessage(requestId: number, document: Document): Buffer {
  const body = BSON.serialize(document);
  const message = Buffer.alloc(HEADER_BYTES + 5 + body.length);
  message.writeInt32LE(message.length, 0);
  message.writeInt32LE(requestId, 8);
  message.writeInt32LE(OP_MSG, 12);
  message.set(body, HEADER_BYTES + 5);
  return message;
}

/** What a server answers when it fails with `code`. */
export function errorReply(code: number, labels: readonly string[] = []): Document {
  return {
    ...{ ok: 0, code, codeName: `Drill${code}`, errmsg: `injected by a drill: error ${code}` },
    ...(labels.length > 0 ? { errorLabels: [...labels] } : {}),
  };
}
