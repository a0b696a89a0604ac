import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { Fakes } from '../../mask/fakes.ts';
import { DocumentMasker } from '../../mask/mask-document.ts';
import type { MaskRules } from '../../mask/rules.ts';
import type { Model } from '../../model/entity.ts';
import type { Gathered, GatheredEntity } from './gather.ts';
import { LineWriter } from './lines.ts';
import type { DatasetCollection } from './manifest.ts';

export interface EmitOptions {
  readonly gathered: Gathered;
  readonly model: Model;
  readonly rules: MaskRules;
  readonly key: KeyObject;
  /** Where the files go. */
  readonly directory: string;
  readonly signal?: AbortSignal | undefined;
  /** Called now and then with the documents written. */
  readonly onProgress?: ((documents: number) => void) | undefined;
}

/** A file as it was written; dangling keys are counted when it is proven. */
export type EmittedCollection = Omit<DatasetCollection, 'dangling'>;

const TURN = 50;

/**
 * Writes what was gathered with every value that is to be masked replaced by its fake. By the name of the collection.
 * @throws VALIDATION_FAILED when a kind has too few fakes; the signal's reason
 */
export async function emit(options: EmitOptions): Promise<Record<string, EmittedCollection>> {
  const { gathered, model, rules, key } = options;
  const masker = new DocumentMasker(model, rules);
  const fakes = new Fakes({ key, originals: gathered.originals });
  const emitted: Record<string, EmittedCollection> = {};
  let documents = 0;
  for (const part of gathered.entities) {
    const { masked, exempt } = rules.entities.get(part.entity.name)!;
    const file = fileOf(part);
    using writer = new LineWriter(join(options.directory, file));
    for (const stored of part.spool.read()) {
      const { document } = masker.mask(part.entity.name, stored, (kind, value, bounds) =>
        fakes.fakeFor(kind, value, bounds),
      );
      writer.add(document);
      documents += 1;
      if (documents % TURN !== 0) continue;
      await setImmediate();
      options.signal?.throwIfAborted();
      options.onProgress?.(documents);
    }
    emitted[part.entity.collection] = {
      ...{ entity: part.entity.name, file, ...writer.end() },
      complete: part.whole && part.refused === 0,
      ...{ masked: [...masked], exempt: [...exempt], refused: part.refused },
    };
  }
  return emitted;
}

function fileOf({ entity: { collection } }: GatheredEntity): string {
  return `${encodeURIComponent(collection).replace(/^\./, '%2E')}.jsonl`;
}
