import { isUtf8 } from 'node:buffer';

/** An entry of the table of contents of an archive that `pg_dump -Fc` wrote. */
export interface DumpEntry {
  readonly id: number;
  /** Oids of the catalog that lists the object and of the object; zero for what has none (ACL, COMMENT). */
  readonly catalog: number;
  readonly oid: number;
  /** What people read: `film`, `film film_pkey`, `f(integer)`. */
  readonly tag: string;
  /** TABLE, INDEX, FK CONSTRAINT, … */
  readonly kind: string;
  readonly section: 'NONE' | 'PRE_DATA' | 'DATA' | 'POST_DATA';
  /** One or more statements that create it. */
  readonly definition: string;
  readonly drop: string;
  readonly schema: string | null;
  readonly tablespace: string | null;
  /** Table access method; null for the default of the server. */
  readonly accessMethod: string | null;
  readonly owner: string | null;
  readonly dependsOn: readonly number[];
}

/** Versions of the archive format that are read here: PostgreSQL 13 to 18 write 1.14 to 1.16. */
const OLDEST = 0x010e;
const NEWEST = 0x0110;
const WITH_COMPRESSION_NAME = 0x010f;
const WITH_RELATION_KIND = 0x0110;
const CUSTOM = 1;
const SECTIONS = ['NONE', 'NONE', 'PRE_DATA', 'DATA', 'POST_DATA'] as const;

/**
 * Reads the table of contents of a `pg_dump -Fc` archive, as `WriteHead` and `WriteToc` of pg_backup_archiver.c lay it out. Each
 * definition is whole, as pg_dump made it: no statement has to be found in a script.
 * @throws Error for anything but such an archive
 */
export function readDumpFile(bytes: Buffer): DumpEntry[] {
  const reader = new DumpReader(bytes);
  const format = reader.readHead();
  const count = reader.int();
  const entries: DumpEntry[] = [];
  for (let i = 0; i < count; i++) entries.push(reader.entry(format));
  return entries;
}

class DumpReader {
  readonly #bytes: Buffer;
  #at = 0;
  #intBytes = 4;
  #offsetBytes = 8;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Reads what stands before the entries. Returns the version of the format. */
  readHead(): number {
    if (this.#bytes.toString('latin1', 0, 5) !== 'PGDMP') throw new Error('pg_dump wrote no archive');
    this.#at = 5;
    const format = (this.#byte() << 8) | this.#byte();
    this.#byte(); // revision
    if (format < OLDEST || format > NEWEST) throw new Error(`pg_dump wrote an archive of unknown format ${format}`);
    this.#intBytes = this.#byte();
    this.#offsetBytes = this.#byte();
    if (this.#byte() !== CUSTOM) throw new Error('pg_dump wrote no archive of the custom format');
    if (format >= WITH_COMPRESSION_NAME) this.#byte();
    else this.int();
    for (let i = 0; i < 7; i++) this.int(); // when it was made
    for (let i = 0; i < 3; i++) this.#text(); // database, versions of server and pg_dump
    return format;
  }

  entry(format: number): DumpEntry {
    const id = this.int();
    this.int(); // whether rows belong to it
    const catalog = Number(this.#text());
    const oid = Number(this.#text());
    const tag = this.#text() ?? '';
    const kind = this.#text() ?? '';
    const section = SECTIONS[this.int()] ?? 'NONE';
    const definition = this.#text() ?? '';
    const drop = this.#text() ?? '';
    this.#text(); // COPY statement
    const schema = this.#text() || null;
    const tablespace = this.#text() || null;
    const accessMethod = this.#text() || null;
    if (format >= WITH_RELATION_KIND) this.int();
    const owner = this.#text() || null;
    this.#text(); // "false", once WITH OIDS
    const dependsOn: number[] = [];
    for (let text = this.#text(); text !== null; text = this.#text()) dependsOn.push(Number(text));
    this.#at += 1 + this.#offsetBytes; // where its rows are
    return {
      id,
      catalog,
      oid,
      tag,
      kind,
      section,
      definition,
      drop,
      schema,
      tablespace,
      accessMethod,
      owner,
      dependsOn,
    };
  }

  int(): number {
    const sign = this.#byte() === 0 ? 1 : -1;
    const value = this.#bytes.readUIntLE(this.#at, this.#intBytes);
    this.#at += this.#intBytes;
    return sign * value;
  }

  #byte(): number {
    return this.#bytes.readUInt8(this.#at++);
  }

  #text(): string | null {
    const length = this.int();
    if (length < 0) return null;
    if (this.#at + length > this.#bytes.length) throw new Error('the archive of pg_dump is cut short');
    const bytes = this.#bytes.subarray(this.#at, this.#at + length);
    // A database without an encoding may hold names and bodies that are no text; they could not be written back.
    if (!isUtf8(bytes)) throw new Error(`a definition is no UTF-8: ${bytes.toString('latin1').slice(0, 100)}`);
    const text = bytes.toString('utf8');
    this.#at += length;
    return text;
  }
}
