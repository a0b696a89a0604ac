import { createHmac, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { HoldfastError } from '../../errors.ts';
import { jsonOf } from '../../util/json.ts';

/** Name of the manifest inside the directory of a dataset. */
export const MANIFEST = 'manifest.json';
/** Version of the format below. */
const FORMAT = 1;

const hex = (digits: number) => z.string().regex(new RegExp(`^[0-9a-f]{${digits}}$`));
const count = z.int().nonnegative();
/** No path leads out of the directory. */
const fileName = z.string().regex(/^(?!\.)[^/\\\0]{1,200}\.jsonl$/);

const collectionSchema = z.strictObject({
  /** Name of the entity. */
  entity: z.string(),
  file: fileName,
  bytes: count,
  /** SHA-256 of the file. */
  sha256: hex(64),
  documents: count,
  /** Whether these are all documents that the collection had. */
  complete: z.boolean(),
  /** Stored paths whose values are fakes or empty. */
  masked: z.array(z.string()),
  /** Stored paths that are kept by `@sanitize(with: NONE)`. */
  exempt: z.array(z.string()),
  /** Documents left out because they break the schema. */
  refused: count,
  /** Keys whose document the database does not have, or which was left out. */
  dangling: count,
});

const manifestSchema = z.strictObject({
  format: z.literal(FORMAT),
  /** When reading began: everything that was written before is in a complete collection. */
  capturedAt: z.iso.datetime(),
  /** Of the schema it was made with. */
  sdlHash: hex(32),
  /** Of the rules it was masked by. */
  ruleHash: hex(32),
  /** By the name of the collection. */
  collections: z.record(z.string(), collectionSchema),
  /** HMAC-SHA256 of everything else under the key that the fakes were drawn with. */
  seal: hex(64),
});

/** What a directory of a dataset holds, `manifest.json`. */
export type DatasetManifest = Readonly<z.output<typeof manifestSchema>>;
export type DatasetCollection = Readonly<z.output<typeof collectionSchema>>;

/** Why a dataset is not used. */
export type DatasetFault = 'UNREADABLE' | 'TAMPERED' | 'FOREIGN' | 'EXPIRED' | 'DRIFTED';

/** The manifest as text, sealed. */
export function writeManifest(manifest: Omit<DatasetManifest, 'format' | 'seal'>, key: KeyObject): string {
  const content = { format: FORMAT, ...manifest } as const;
  return `${JSON.stringify({ ...content, seal: sealOf(content, key) }, null, 2)}\n`;
}

/**
 * Reads a manifest; with `key` also its seal.
 * @throws DATASET_REFUSED (`fault`: UNREADABLE, or FOREIGN when it was sealed with another key or altered)
 */
export function readManifest(text: string, place: string, key?: KeyObject): DatasetManifest {
  const parsed = manifestSchema.safeParse(jsonOf(text));
  if (!parsed.success) throw refused(place, 'UNREADABLE', `its manifest is none: ${z.prettifyError(parsed.error)}`);
  const { seal, ...content } = parsed.data;
  if (key !== undefined && sealOf(content, key) !== seal) {
    throw refused(place, 'FOREIGN', 'its manifest was altered, or made with another key');
  }
  return parsed.data;
}

/** A dataset that must not be used. */
export function refused(place: string, fault: DatasetFault, why: string, cause?: unknown): HoldfastError {
  return new HoldfastError('DATASET_REFUSED', `the dataset ${place} is not used: ${why}`, {
    cause,
    details: { fault },
  });
}

function sealOf(content: Omit<DatasetManifest, 'seal'>, key: KeyObject): string {
  return createHmac('sha256', key).update('holdfast dataset\0').update(JSON.stringify(content)).digest('hex');
}
