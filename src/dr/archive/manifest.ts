import type { ForeignKey, TableGraph } from '../graph/table-graph.ts';

export type { ForeignKey, TableGraph };

/** File that makes a directory or prefix an archive: written last, atomically. Without it there is no backup. */
export const MANIFEST_FILE = 'metadata.json';
/** Grows when an older Holdfast could misread what a newer one wrote. */
export const MANIFEST_VERSION = 1;

/** Which server the archive is of, and for. */
export const Dialect = { POSTGRES: 'postgres', MARIADB: 'mariadb', MYSQL: 'mysql' } as const;
export type Dialect = (typeof Dialect)[keyof typeof Dialect];

/**
 * How consistent the contents are. A: one snapshot over every table, none altered meanwhile. B: one snapshot, but some named tables
 * do not take part in transactions. C: what the server's rights allowed, see the notes.
 */
export type ConsistencyGrade = 'A' | 'B' | 'C';

/** Part of a restore: before the rows (types, tables, functions), the rows, after them (indexes, keys, triggers, views, grants). */
export const Section = { PRE_DATA: 'PRE_DATA', DATA: 'DATA', POST_DATA: 'POST_DATA' } as const;
export type Section = (typeof Section)[keyof typeof Section];

/** One object of the schema with the statements that create it. */
export interface SchemaObject {
  /** Unique in the archive, e.g. `17` or `index:public.film_pkey`. */
  readonly id: string;
  /** What the server calls it, upper case: TABLE, INDEX, CONSTRAINT, FK CONSTRAINT, SEQUENCE, TRIGGER, VIEW, … */
  readonly kind: string;
  readonly schema: string | null;
  readonly name: string;
  readonly section: Section;
  /** Run as they are, in order, on one connection. */
  readonly statements: readonly string[];
  /** Ids of objects that must exist before. */
  readonly dependsOn: readonly string[];
  /** Id of the table it belongs to; null for objects of no table. */
  readonly table: number | null;
  readonly owner: string | null;
  /** The object as `ALTER … OWNER TO` names it, e.g. `FUNCTION public.f(integer)`; null when its owner cannot be set by itself. */
  readonly ownedAs: string | null;
}

export interface ManifestColumn {
  readonly name: string;
  /** As the server prints it, e.g. `character varying(20)`. */
  readonly type: string;
  /** Computed by the server: neither written to the archive nor loaded. */
  readonly generated: boolean;
  /** What the archive holds in place of the value itself; null for the value. */
  readonly transform: string | null;
  /** The rule that masked it; null when it holds real values. */
  readonly masked: string | null;
}

/** How the rows of a table are written: PostgreSQL's COPY formats, or MariaDB/MySQL row packets of the text protocol. */
export type RowFormat = 'text' | 'binary' | 'packets';

/** One file of rows. Each is complete by itself: a binary COPY chunk has its own header and trailer. */
export interface Chunk {
  /** Path within the archive, e.g. `data/12.0.copy.zst`; made of numbers alone, never of table names. */
  readonly file: string;
  readonly rows: number;
  /** Bytes of rows before compression and encryption, and of the file. */
  readonly bytes: number;
  readonly storedBytes: number;
  /** CRC-32 of the rows before compression, 8 hexadecimal digits; SHA-256 of the file, 64. */
  readonly crc32: string;
  readonly sha256: string;
  /** Order-independent: the sum modulo 2^64 of a 64-bit hash of each row, 16 hexadecimal digits; null when it was not taken at the backup. */
  readonly rowHash: string | null;
  /** Where in the table it was read, for people: `ctid [0,4096)`, `id [1,50000)`. */
  readonly range: string | null;
}

export interface ManifestTable {
  /** Small number, unique in the archive. */
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly columns: readonly ManifestColumn[];
  readonly format: RowFormat;
  /** Selected rows only, by this suffix or closure; null for all rows. */
  readonly suffix: string | null;
  /** MariaDB/MySQL storage engine; null elsewhere. */
  readonly engine: string | null;
  /**
   * A partitioned table whose rows are kept, and loaded, as its own instead of as its partitions': into which of these a row falls is
   * not the same in every database.
   */
  readonly scattered?: true | undefined;
  readonly rows: number;
  readonly bytes: number;
  readonly chunks: readonly Chunk[];
}

export interface SequenceValue {
  readonly schema: string;
  readonly name: string;
  /** Decimal text: it may not fit a number. */
  readonly lastValue: string;
  readonly isCalled: boolean;
  /** How often a sequence of MariaDB began again, as decimal text; absent for never. */
  readonly round?: string | undefined;
}

/** Everything about a backup but its rows: `metadata.json`. */
export interface Manifest {
  readonly version: number;
  /** Identity of this backup, 32 hexadecimal digits. */
  readonly id: string;
  /** Version of Holdfast that wrote it. */
  readonly tool: string;
  readonly startedAt: string;
  readonly endedAt: string;
  readonly dialect: Dialect;
  readonly server: {
    readonly version: string;
    /** PostgreSQL's system identifier, MySQL's `server_uuid`, MariaDB's `server_uid`. */
    readonly identity: string;
    readonly database: string;
    readonly encoding: string;
  };
  /** Where in the server's own history the snapshot lies, as far as rights allow: WAL position, GTID, snapshot name. */
  readonly position: Readonly<Record<string, string>>;
  readonly consistency: { readonly grade: ConsistencyGrade; readonly notes: readonly string[] };
  /** Suffix by table name, as given. */
  readonly suffixes: Readonly<Record<string, string>>;
  readonly closure: boolean;
  /** The tables that were asked for, as given; absent for all. */
  readonly chosen?: readonly string[] | undefined;
  readonly compression: 'none' | 'zstd';
  /** How the files are encrypted; null when they are not. The key itself is never here. */
  readonly encryption: { readonly algorithm: 'aes-256-gcm'; readonly keyId: string } | null;
  readonly graph: TableGraph;
  readonly tables: readonly ManifestTable[];
  readonly objects: readonly SchemaObject[];
  readonly sequences: readonly SequenceValue[];
  /** Objects left out because `--allow-unsupported` was given, by name. */
  readonly unsupported: readonly string[];
  /** SHA-256 of the canonical JSON of everything else but `mac`; 64 hexadecimal digits. */
  readonly digest: string;
  /** HMAC-SHA-256 of the digest, by a key derived from the encryption key; null when the archive is not encrypted. */
  readonly mac: string | null;
}
