import { hash, randomFillSync } from 'node:crypto';
import { ObjectId } from 'bson';
import { HoldfastError } from '../errors.ts';
import { encodeValue } from '../model/document.ts';
import type { Entity } from '../model/entity.ts';
import type { IdempotencyKey } from '../store/store.ts';
import type { WriteContext } from './data-service.ts';

/** What begins a key that was made here; the rest is a UUIDv7. */
const MADE = 'hf-';

/** A key for a write whose client sent none, by which it can ask what became of it. */
export function newKey(): string {
  return MADE + uuidv7(Date.now(), drawn());
}

/**
 * The idempotency key of one document's write: derived from principal, client key, root field and `index`, so that a retry
 * meets its first attempt on any primary. Undefined when the client sent no key and none was made.
 */
export function idempotencyOf(context: WriteContext, index: number): IdempotencyKey | undefined {
  if (keyOf(context) === undefined) return undefined;
  const key = { key: derived(context, index), digest: context.argumentsDigest };
  return context.idempotencyKey === undefined ? { ...key, fresh: true } : key;
}

/**
 * An id for a document created without one: a UUIDv7, or derived from the idempotency key when there is one (from one made here a UUIDv7
 * of its time). ObjectId for entities whose id is an ObjectID. @throws VALIDATION_FAILED when the id is of a type that only the client can choose.
 */
export function newId(entity: Entity, context: WriteContext, index: number): unknown {
  const key = keyOf(context);
  const bytes = key === undefined ? undefined : Buffer.from(derived(context, index), 'hex');
  const madeMs = key === undefined ? undefined : madeAt(key);
  switch (entity.id.type) {
    case 'ObjectID':
      if (bytes !== undefined && madeMs !== undefined) bytes.writeUInt32BE(Math.floor(madeMs / 1000), 0);
      return bytes === undefined ? new ObjectId() : new ObjectId(bytes.subarray(0, 12));
    case 'ID':
    case 'String':
    case 'UUID':
      if (bytes === undefined) return uuidv7(Date.now(), drawn());
      return madeMs === undefined ? uuid(bytes, 8) : uuidv7(madeMs, bytes);
    default:
      throw new HoldfastError(
        'VALIDATION_FAILED',
        `${entity.name}.${entity.id.name} must be given: an id of type ${entity.id.type} is not drawn`,
      );
  }
}

/** A UUID of version 7 (RFC 9562): 48 bits of `nowMs`, written over the first of the 16 random bytes. */
function uuidv7(nowMs: number, random: Buffer): string {
  random.writeUIntBE(nowMs, 0, 6);
  return uuid(random, 7);
}

/** Random bytes for many ids: drawing them one by one costs more than all the rest of an id. */
const pool = Buffer.alloc(4_096);
let used = pool.length;

/** The next 16 random bytes, valid until the next call. */
function drawn(): Buffer {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += 16;
  return pool.subarray(used - 16, used);
}

const DIGITS = Buffer.from('0123456789abcdef', 'latin1');
/** Written over by each id: a text put together from parts costs twice as much. */
const uuidText = Buffer.from('00000000-0000-0000-0000-000000000000', 'latin1');

/** The text of 16 bytes after version and variant were stamped into them. */
function uuid(bytes: Buffer, version: number): string {
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | (version << 4);
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  let place = 0;
  for (let i = 0; i < 16; i++) {
    const byte = bytes[i] as number;
    // Past a hyphen.
    if (i === 4 || i === 6 || i === 8 || i === 10) place++;
    uuidText[place++] = DIGITS[byte >> 4] as number;
    uuidText[place++] = DIGITS[byte & 0x0f] as number;
  }
  return uuidText.toString('latin1');
}

function keyOf({ idempotencyKey, madeKey }: WriteContext): string | undefined {
  return idempotencyKey ?? madeKey;
}

/** When a key was made here, ms since 1970; undefined for any other. */
function madeAt(key: string): number | undefined {
  const time = /^hf-([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.exec(key);
  return time === null ? undefined : Number.parseInt(`${time[1]}${time[2]}`, 16);
}

function derived(context: WriteContext, index: number): string {
  return hash('sha256', encodeValue([context.principal, keyOf(context), context.field, index]), 'hex').slice(0, 32);
}
