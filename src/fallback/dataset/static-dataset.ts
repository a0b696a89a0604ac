import { HoldfastError } from '../../errors.ts';
import { DocumentMasker } from '../../mask/mask-document.ts';
import { maskRules } from '../../mask/rules.ts';
import type { Document } from '../../model/document.ts';
import type { Model } from '../../model/entity.ts';
import { readDocuments } from '../../model/import-reader.ts';
import type { Coverage, Tier } from '../tiers.ts';
import { MemoryStore } from './open-dataset.ts';

/** Documents of a hand-written file. */
export interface StaticSource {
  /** JSON Lines, a JSON array, or extended JSON. */
  readonly file: string;
  /** Whether these are all documents of the collection. Default false. */
  readonly complete?: boolean | undefined;
}

const BATCH = 500;

/**
 * Hand-written documents as a tier: nothing in them is masked, and how old they are is not known.
 * @throws CONFIG_INVALID for a collection that the schema does not have, and a file that cannot be read or does not fit it
 */
export async function openStaticTier(
  model: Model,
  files: Readonly<Record<string, StaticSource>>,
): Promise<Tier & AsyncDisposable> {
  const memory = await MemoryStore.open(model);
  const masker = new DocumentMasker(model, maskRules(model));
  for (const [collection, { file }] of Object.entries(files)) {
    const entity = model.entities.find((each) => each.collection === collection);
    if (entity === undefined) throw invalid(file, `the schema has no collection "${collection}"`);
    try {
      const batch: Document[] = [];
      for await (const { line, document, error } of readDocuments(file)) {
        if (document === undefined) throw invalid(`${file}:${line}`, error ?? 'it is no document');
        const { unfit, missing } = masker.mask(entity.name, document, (_kind, value) => value);
        const [path] = [...missing, ...unfit];
        if (path !== undefined) throw invalid(`${file}:${line}`, `${path} does not fit ${entity.name}`);
        batch.push(document);
        if (batch.length === BATCH) await memory.add(collection, batch.splice(0));
      }
      await memory.add(collection, batch);
    } catch (cause) {
      await memory[Symbol.asyncDispose]();
      throw cause instanceof HoldfastError ? cause : invalid(file, (cause as Error).message, cause);
    }
  }
  return {
    ...{ source: 'DATASET', store: memory.store },
    coverage: (collection): Coverage => {
      const given = files[collection];
      return given === undefined ? 'NONE' : given.complete === true ? 'WHOLE' : 'PART';
    },
    stalenessMs: () => Number.POSITIVE_INFINITY,
    position: () => null,
    [Symbol.asyncDispose]: () => memory[Symbol.asyncDispose](),
  };
}

function invalid(place: string, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('CONFIG_INVALID', `the dataset ${place} cannot be used: ${why}`, { cause });
}
