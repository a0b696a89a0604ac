import { readFileSync } from 'node:fs';
import { makeExecutableSchema } from '@graphql-tools/schema';
import type { IResolvers } from '@graphql-tools/utils';
import type { GraphQLSchema } from 'graphql';
import { HoldfastError } from '../src/errors.ts';
import { SCHEMA_DIRECTORY } from '../src/model/built-in.ts';
import { type DocumentText, decodeValue, encodeValue } from '../src/model/document.ts';
import type { EpochStart, Position } from '../src/model/position.ts';
import { POSITION_SCALAR, SCALARS } from '../src/model/scalars.ts';
import type { Ack, Shape, SyncSource } from '../src/protocol/sync-source.ts';
import type { Token } from '../src/service/token.ts';
import { abortable } from '../src/util/abortable.ts';

/** What the sync resolvers need of the context; an ApiContext has it. */
export interface SyncContext {
  readonly request: { readonly signal: AbortSignal };
}

/** Options of {@link buildSyncSchema}. */
export interface SyncOptions {
  /** The node that is followed: this one. */
  readonly source: SyncSource;
  /** The tokens that this node accepts, now and after each change; ends with the signal. */
  readonly tokens: (signal: AbortSignal) => AsyncIterable<readonly Token[]>;
}

const SDL = new URL('sync.graphql', SCHEMA_DIRECTORY);

/** Longest cursor and page token, in characters. */
const MAX_TOKEN_LENGTH = 16 * 1024;
/** Longest name of a collection, replica or state, and longest URL, in characters. */
const MAX_NAME_LENGTH = 255;
const MAX_URL_LENGTH = 2_048;
/** Most ids, sequences or collections in one call. */
const MAX_ITEMS = 1_000;
/** Most rows of a snapshot page. */
const MAX_PAGE = 10_000;
const BUCKETS = 4_096;
const MAX_BATCH = 500;
const MAX_FRAME_BYTES = 512 * 1024;

/** The fields of `schema/sync.graphql` over a source, for whom the server lets have them: a schema of its own, or part of the data schema. */
export function buildSyncSchema(options: SyncOptions): GraphQLSchema {
  return makeExecutableSchema<SyncContext>({ typeDefs: readFileSync(SDL, 'utf8'), resolvers: resolversOf(options) });
}

function resolversOf({ source, tokens }: SyncOptions): IResolvers<unknown, SyncContext> {
  const field =
    <Args, Result>(run: (args: Args, context: SyncContext) => Result) =>
    async (_source: unknown, args: Args, context: SyncContext) =>
      run(args, context);
  return {
    SafeInt: SCALARS.get('SafeInt')!.type,
    Position: POSITION_SCALAR,
    Query: {
      syncHello: field(({ cursor, shape, epochs }: HelloArguments) =>
        source.hello(token('cursor', cursor), shapeOf(shape), few('epochs', epochs ?? []).map(epochOf)),
      ),
      syncSnapshot: field((args: { collection: string; after?: string | null; limit?: number | null }) =>
        source.snapshot(
          name('collection', args.collection),
          token('after', args.after),
          within('limit', args.limit ?? MAX_ITEMS, 1, MAX_PAGE),
        ),
      ),
      syncDigests: field(({ at }: { at?: Position | null }) => source.digests(at ?? null)),
      syncBuckets: field(({ collection, at }: { collection: string; at?: Position | null }) =>
        source.buckets(name('collection', collection), at ?? null),
      ),
      syncBucketRows: field(({ collection, bucket }: { collection: string; bucket: number }) =>
        source.bucketRows(name('collection', collection), within('bucket', bucket, 0, BUCKETS - 1)),
      ),
      syncRows: field(({ collection, ids }: { collection: string; ids: readonly string[] }) =>
        source.rows(name('collection', collection), few('ids', ids).map(idText)),
      ),
      syncChain: field(({ sequences }: { sequences: readonly number[] }) =>
        source.chain(few('sequences', sequences).map((sequence) => within('sequences', sequence, 1))),
      ),
    },
    Mutation: {
      syncAck: field(async ({ ack }: { ack: AckInput }) => {
        await source.ack(ackOf(ack));
        return true;
      }),
    },
    Subscription: {
      syncChanges: {
        subscribe: field((args: ChangesArguments, { request }) => {
          const cursor = token('cursor', args.cursor) as string;
          const limits = {
            maxBatch: within('maxBatch', args.maxBatch ?? MAX_BATCH, 1, MAX_BATCH),
            maxBytes: within('maxBytes', args.maxBytes ?? MAX_FRAME_BYTES, 1, MAX_FRAME_BYTES),
          };
          return abortable(request.signal, (signal) => source.changes(cursor, shapeOf(args.shape), limits, signal));
        }),
        resolve: (frame: unknown) => frame,
      },
      syncTokens: {
        subscribe: field((_args, { request }) => abortable(request.signal, tokens)),
        resolve: (accepted: unknown) => accepted,
      },
    },
  };
}

interface ShapeInput {
  readonly collections?: readonly string[] | null;
}

interface HelloArguments {
  readonly cursor?: string | null;
  readonly shape?: ShapeInput | null;
  readonly epochs?: readonly EpochStart[] | null;
}

interface ChangesArguments {
  readonly cursor: string;
  readonly shape?: ShapeInput | null;
  readonly maxBatch?: number | null;
  readonly maxBytes?: number | null;
}

type AckInput = Omit<Ack, 'url'> & { readonly url?: string | null };

function shapeOf(shape: ShapeInput | null | undefined): Shape {
  const { collections = null } = shape ?? {};
  return {
    collections: collections && few('shape.collections', collections).map((item) => name('shape.collections', item)),
  };
}

function ackOf({ replica, applied, epoch, state, url = null }: AckInput): Ack {
  return {
    replica: name('ack.replica', replica),
    applied: within('ack.applied', applied, 0),
    epoch: within('ack.epoch', epoch, 0),
    state: name('ack.state', state),
    url: url && text('ack.url', url, MAX_URL_LENGTH),
  };
}

function epochOf({ epoch, firstSequence }: EpochStart): EpochStart {
  return { epoch: within('epochs.epoch', epoch, 1), firstSequence: within('epochs.firstSequence', firstSequence, 1) };
}

function token(argument: string, value: string | null | undefined): string | null {
  return value === null || value === undefined ? null : text(argument, value, MAX_TOKEN_LENGTH);
}

function name(argument: string, value: string): string {
  return text(argument, value, MAX_NAME_LENGTH);
}

function text(argument: string, value: string, most: number): string {
  if (value.length === 0 || value.length > most) refuse(argument, `must have 1 to ${most} characters`);
  return value;
}

/** Ids are stored keys: what cannot be read as one is a mistake of the caller, not of the store. */
function idText(id: string): DocumentText {
  try {
    encodeValue(decodeValue(id));
    return id;
  } catch {
    return refuse('ids', `must be ids as document text, not ${id.slice(0, 40)}`);
  }
}

function few<T>(argument: string, items: readonly T[]): readonly T[] {
  if (items.length > MAX_ITEMS) refuse(argument, `must be at most ${MAX_ITEMS}, not ${items.length}`);
  return items;
}

function within(argument: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): number {
  if (!(value >= least && value <= most)) refuse(argument, `must be ${least} to ${most}, not ${value}`);
  return value;
}

function refuse(argument: string, rule: string): never {
  throw new HoldfastError('VALIDATION_FAILED', `${argument} ${rule}`);
}
