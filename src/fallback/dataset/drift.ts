import { DocumentMasker } from '../../mask/mask-document.ts';
import { maskRules } from '../../mask/rules.ts';
import type { Document } from '../../model/document.ts';
import type { Entity, Model } from '../../model/entity.ts';
import type { DatasetSource } from './gather.ts';

/** How documents differ from the schema, or a collection from what it needs. */
export const DriftKind = {
  /** A field that must have a value has none. */
  MISSING: 'MISSING',
  /** A value is of another type. */
  TYPE: 'TYPE',
  /** The schema does not know the field; datasets leave it out. */
  UNKNOWN: 'UNKNOWN',
  /** The database lacks an index. */
  INDEX: 'INDEX',
} as const;
export type DriftKind = (typeof DriftKind)[keyof typeof DriftKind];

export interface Drift {
  readonly collection: string;
  readonly kind: DriftKind;
  /** Stored path, or paths of the index by comma. */
  readonly path: string;
  /** Documents of the sample that have it; null for an index. */
  readonly documents: number | null;
}

/** What a comparison found. */
export interface DriftReport {
  readonly drifts: readonly Drift[];
  /** Documents looked at, by collection. */
  readonly sampled: Readonly<Record<string, number>>;
}

export interface DriftOptions {
  readonly source: DatasetSource;
  readonly model: Model;
  /** Documents of each collection. */
  readonly sample: number;
  /** Paths, by comma, of the indexes that a collection has; undefined where that cannot be told. */
  readonly indexesOf?: ((collection: string) => Promise<ReadonlySet<string> | undefined>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Paths listed for one collection. */
const MAX_PATHS = 100;

/** Compares documents and indexes of a database with the schema: the oldest and the newest documents by id. */
export async function findDrift({ source, model, sample, indexesOf, signal }: DriftOptions): Promise<DriftReport> {
  const masker = new DocumentMasker(model, maskRules(model));
  const drifts: Drift[] = [];
  const sampled: Record<string, number> = {};
  for (const entity of model.entities) {
    const { name, collection } = entity;
    const found = new Map<string, number>();
    let count = 0;
    const note = (kind: DriftKind, paths: Iterable<string>): void => {
      for (const path of new Set(paths)) {
        const key = `${kind}\0${path}`;
        if (found.has(key) || found.size < MAX_PATHS) found.set(key, (found.get(key) ?? 0) + 1);
      }
    };
    for await (const document of bothEnds(source, collection, sample, signal)) {
      count += 1;
      const { unfit, missing } = masker.mask(name, document, (_kind, value) => value);
      note(DriftKind.TYPE, unfit);
      note(
        DriftKind.MISSING,
        missing.filter((path) => !unfit.includes(path)),
      );
      note(DriftKind.UNKNOWN, unknownFields(entity, document));
    }
    sampled[collection] = count;
    for (const [key, documents] of found) {
      const [kind, path = ''] = key.split('\0');
      drifts.push({ collection, kind: kind as DriftKind, path, documents });
    }
    const indexes = await indexesOf?.(collection);
    if (indexes === undefined) continue;
    for (const { paths } of entity.indexes) {
      const path = paths.join(',');
      if (!indexes.has(path)) drifts.push({ collection, kind: DriftKind.INDEX, path, documents: null });
    }
  }
  return { drifts, sampled };
}

async function* bothEnds(source: DatasetSource, collection: string, sample: number, signal: AbortSignal | undefined) {
  const half = Math.ceil(sample / 2);
  let last: unknown;
  let count = 0;
  for await (const document of source.collection(collection).find({}, { sort: { _id: 1 }, limit: half, signal })) {
    last = document._id;
    count += 1;
    yield document;
  }
  if (count < half) return;
  const newest = { sort: { _id: -1 as const }, limit: sample - half, signal };
  yield* source.collection(collection).find({ _id: { $gt: last } }, newest);
}

function unknownFields({ fields }: Entity, document: Document): string[] {
  const known = new Set(fields.filter(({ kind }) => kind !== 'RELATION').map(({ storedName }) => storedName));
  return Object.keys(document).filter((key) => !known.has(key));
}
