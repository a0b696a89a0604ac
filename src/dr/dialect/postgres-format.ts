import type { PostgresSession } from '../../sql/postgres-session.ts';
import type { RowFormat } from '../archive/manifest.ts';
import { isBinaryStable } from '../plan/binary-types.ts';
import type { SourceOptions } from './backup-source.ts';
import type { CatalogTable } from './postgres-catalog.ts';
import { copyRows } from './postgres-copy.ts';

/** First version that scans a range of pages without reading the others. */
export const TID_RANGE_SCAN = 140_000;
/** Tables smaller than this are kept as text: a sample would cost what it wins. Of compressed rows binary wins less. */
const SAMPLED_FROM_BYTES = 1 << 20;
const COMPRESSED_SAMPLED_FROM_BYTES = 8 << 20;
/** A sample is this part of a table's pages, within these limits. */
const SAMPLED_PART = 128;
const [LEAST_SAMPLED, MOST_SAMPLED] = [2, 64];
/** Tables sampled in one message: a small sample takes less time than its way there and back. */
const SAMPLED_AT_ONCE = 25;
/** What a binary COPY has before and behind its rows. */
const BINARY_FRAME_BYTES = 21;

type Format = Exclude<RowFormat, 'packets'>;

/**
 * The format of each table's rows: binary where it was asked for or is not larger; both only where every type has the same binary
 * form in every version.
 */
export async function chooseFormats(
  session: PostgresSession,
  tables: readonly CatalogTable[],
  { format, compression }: Pick<SourceOptions, 'format' | 'compression'>,
): Promise<ReadonlyMap<CatalogTable, Format>> {
  const stable = format === 'text' ? [] : tables.filter(hasStableBinary);
  const sampledFrom = compression === 'none' ? SAMPLED_FROM_BYTES : COMPRESSED_SAMPLED_FROM_BYTES;
  const sampled = session.version < TID_RANGE_SCAN ? [] : stable.filter(({ bytes }) => bytes >= sampledFrom);
  const binary = new Set(format === 'binary' ? stable : await smallerAsBinary(session, sampled));
  return new Map(tables.map((table) => [table, binary.has(table) ? 'binary' : 'text']));
}

function hasStableBinary({ kind, columns }: CatalogTable): boolean {
  const kept = columns.filter(({ generated }) => !generated);
  return kind !== 'p' && kept.length > 0 && isBinaryStable(kept.map(({ base }) => base));
}

/** Those of which a sample is not larger as binary. */
async function smallerAsBinary(session: PostgresSession, tables: readonly CatalogTable[]): Promise<CatalogTable[]> {
  const found: CatalogTable[] = [];
  for (let from = 0; from < tables.length; from += SAMPLED_AT_ONCE) {
    const part = tables.slice(from, from + SAMPLED_AT_ONCE);
    const samples = part.flatMap((table) => {
      const rows = { pages: sampledPages(table) };
      return [copyRows(table, rows, 'binary'), copyRows(table, rows, 'text')];
    });
    const sizes = await session.copySizes(samples);
    found.push(...part.filter((_, i) => sizes[2 * i]! - BINARY_FRAME_BYTES <= sizes[2 * i + 1]!));
  }
  return found;
}

/** From the middle: at the start of a table numbers that count up are shorter as text than those of most rows. */
function sampledPages({ pages }: CatalogTable): { readonly from: number; readonly to: number } {
  const count = Math.min(MOST_SAMPLED, Math.max(LEAST_SAMPLED, Math.round(pages / SAMPLED_PART)));
  const from = Math.max(0, Math.floor((pages - count) / 2));
  return { from, to: from + count };
}
