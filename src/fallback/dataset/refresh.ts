import type { KeyObject } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../errors.ts';
import { maskRules } from '../../mask/rules.ts';
import type { Model } from '../../model/entity.ts';
import { replaceFile } from '../../util/atomic-file.ts';
import { ensureDirectory, syncDirectory } from '../../util/directory.ts';
import { abandonedDrafts, draftNameOf, versionNameOf, versionsOf } from './directory.ts';
import { emit } from './emit.ts';
import { type Budget, type DatasetSource, gather } from './gather.ts';
import { type DatasetManifest, MANIFEST, writeManifest } from './manifest.ts';
import { prove } from './prove.ts';

/** How far a refresh is. */
export interface RefreshProgress {
  readonly phase: 'read' | 'mask' | 'check';
  /** Documents of this phase so far. */
  readonly documents: number;
}

export interface RefreshOptions {
  readonly source: DatasetSource;
  readonly model: Model;
  /** 32 bytes; the same key gives the same fakes. */
  readonly key: KeyObject;
  /** Directory of the datasets; the new one becomes a directory inside. Created when missing. */
  readonly out: string;
  /** Default {@link DEFAULT_BUDGET}. */
  readonly budget?: Partial<Budget> | undefined;
  /** Ids that must be in it, by entity. */
  readonly wanted?: ReadonlyMap<string, readonly unknown[]> | undefined;
  /** Datasets that stay, the new one counted. Default 3. */
  readonly keep?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RefreshProgress) => void) | undefined;
  /** Ms since 1970. Default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** A new dataset. */
export interface Refreshed {
  /** Its directory. */
  readonly directory: string;
  readonly manifest: DatasetManifest;
  /** Distinct values that were masked. */
  readonly maskedValues: number;
}

const DEFAULT_BUDGET: Budget = { documents: 10_000, bytes: 256 * 1024 * 1024 };

/**
 * Makes a new dataset: reads a closed sample, masks it, reads it again to prove that it fits the schema and that no original value
 * survives, and puts it in its place as a whole; older ones stay, three in all. Whoever reads sees the old one or the new one. After
 * an error or a crash the old ones are as they were.
 * @throws DATASET_LEAK; VALIDATION_FAILED; DATABASE_UNAVAILABLE; DATA_UNWRITABLE; the signal's reason
 */
export async function refreshDataset(options: RefreshOptions): Promise<Refreshed> {
  const { source, model, key, out, signal, onProgress, keep = 3, now = Date.now } = options;
  const rules = maskRules(model);
  const capturedAt = new Date(now()).toISOString();
  const draft = join(out, draftNameOf(capturedAt));
  const shown = (phase: RefreshProgress['phase']) => (documents: number) => onProgress?.({ phase, documents });
  try {
    ensureDirectory(out);
    for (const name of abandonedDrafts(out)) rmSync(join(out, name), { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
  } catch (cause) {
    throw new HoldfastError('DATA_UNWRITABLE', `the dataset cannot be written to ${out}: ${(cause as Error).message}`, {
      cause,
    });
  }
  try {
    const budget = { ...DEFAULT_BUDGET, ...options.budget };
    const reading = { source, model, rules, budget, wanted: options.wanted, scratch: draft, signal };
    using gathered = await gather({ ...reading, onProgress: shown('read') });
    const directory = draft;
    const emitted = await emit({ gathered, model, rules, key, directory, signal, onProgress: shown('mask') });
    const proving = { model, rules, gathered, collections: emitted, directory, signal };
    const dangling = await prove({ ...proving, onProgress: shown('check') });
    const collections = Object.fromEntries(
      Object.entries(emitted).map(([name, file]) => [name, { ...file, dangling: dangling[name] ?? 0 }]),
    );
    const text = writeManifest({ capturedAt, sdlHash: model.sdlHash, ruleHash: rules.hash, collections }, key);
    gathered[Symbol.dispose]();
    replaceFile(join(draft, MANIFEST), text);
    const place = settle(out, draft, capturedAt);
    for (const old of versionsOf(out).slice(keep)) rmSync(join(out, old), { recursive: true, force: true });
    return { directory: place, manifest: JSON.parse(text) as DatasetManifest, maskedValues: gathered.originals.size };
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

/** Gives the draft its name; from now on it is the newest dataset. */
function settle(out: string, draft: string, capturedAt: string): string {
  const place = join(out, versionNameOf(capturedAt));
  renameSync(draft, place);
  syncDirectory(out);
  return place;
}
