import type { Compression } from '../archive/chunk-writer.ts';
import type { Manifest, ManifestTable } from '../archive/manifest.ts';

/** Rows that are read in one go and become one file. */
export interface SourceChunk {
  /** Of what, for messages: `table "public"."film"`. */
  readonly of: string;
  /** For people, see `Chunk.range`. */
  readonly range: string | null;
  /** Estimate of the bytes of its rows. */
  readonly bytes: number;
  /** The statement that reads it; only the source that made it understands it. Called when the chunk is read: it may be long. */
  readonly select: () => string;
}

/** A table of a backup before its rows are read. */
export interface SourceTable extends Omit<ManifestTable, 'rows' | 'bytes' | 'chunks'> {
  readonly chunks: readonly SourceChunk[];
}

/** Reads chunks in the snapshot; one chunk at a time. */
export interface SourceReader {
  /**
   * Hands on the bytes of a chunk, in order; they are reused after the call, or after the promise it returned.
   * @param signal ends it at once; the reader is of no use afterwards
   * @returns the number of rows
   * @throws a coded error for what the server says, and what `onRows` threw
   */
  read(chunk: SourceChunk, onRows: (rows: Buffer) => Promise<void> | undefined, signal: AbortSignal): Promise<number>;
}

/** What a backup says about its database. */
export type SourceFacts = Pick<
  Manifest,
  'dialect' | 'server' | 'position' | 'consistency' | 'graph' | 'objects' | 'sequences' | 'unsupported'
>;

/** A database held still at one moment: the side of a backup that knows the dialect. */
export interface BackupSource extends AsyncDisposable {
  readonly facts: SourceFacts;
  readonly tables: readonly SourceTable[];
  /** One for each worker, all in the same snapshot. */
  readonly readers: readonly SourceReader[];
  /** Ends the names of files of rows: `copy`. */
  readonly extension: string;
}

/** What reads the schema of PostgreSQL: pg_dump, or our own queries of its catalog. */
export type SchemaExporter = 'pg_dump' | 'catalog';

/** Said in a manifest whose schema the catalog gave. */
export const CATALOG_NOTE = 'the schema was read from the catalog, because no fitting pg_dump was found';

/** What read the schema of a backup: each writes the same object in words of its own, so a comparison needs the same one. */
export function exporterOf({ consistency }: Pick<Manifest, 'consistency'>): SchemaExporter {
  return consistency.notes.includes(CATALOG_NOTE) ? 'catalog' : 'pg_dump';
}

/** What can be checked of {@link SourceOptions} in a moment. */
export type SourceCheck = Pick<SourceOptions, 'suffixes' | 'closure' | 'tables' | 'signal'>;

/** What is to be read, and how; the same for every dialect. */
export interface SourceOptions {
  readonly workers: number;
  /** Suffix by table name, `name` or `schema.name`. */
  readonly suffixes: Readonly<Record<string, string>>;
  readonly closure: boolean;
  /** Only these tables and what they refer to; null for all. */
  readonly tables: readonly string[] | null;
  readonly format: 'auto' | 'text' | 'binary';
  /** How the rows will be stored: `auto` depends on it. */
  readonly compression: Compression;
  readonly allowUnsupported: boolean;
  /** What reads the schema of PostgreSQL; `auto`, the default, is pg_dump, and the catalog where no pg_dump fits the server. */
  readonly schemaExporter?: SchemaExporter | 'auto' | undefined;
  readonly onPhase: (phase: string) => void;
  readonly signal: AbortSignal;
}
