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
const SAMPLED_PART = 64;
const [LEAST_SAMPLED, MOST_SAMPLED] = [4, 64];
/** What a binary COPY has before and behind its rows. */
const BINARY_FRAME_BYTES = 21;

/** Binary where it was asked for or is not larger; both only where every type has the same binary form in every version. */
export async function chooseFormat(
  session: PostgresSession,
  table: CatalogTable,
  { format: asked, compression }: Pick<SourceOptions, 'format' | 'compression'>,
): Promise<Exclude<RowFormat, 'packets'>> {
  if (asked === 'text' || table.kind === 'p') return 'text';
  const kept = table.columns.filter(({ generated }) => !generated);
  if (kept.length === 0 || !isBinaryStable(kept.map(({ base }) => base))) return 'text';
  if (asked === 'binary') return 'binary';
  const sampledFrom = compression === 'none' ? SAMPLED_FROM_BYTES : COMPRESSED_SAMPLED_FROM_BYTES;
  if (table.bytes < sampledFrom || session.version < TID_RANGE_SCAN) return 'text';
  const pages = sampledPages(table);
  const size = async (format: 'text' | 'binary'): Promise<number> => {
    let bytes = 0;
    await session.copyOut(copyRows(table, { pages }, format), (rows) => {
      bytes += rows.length;
    });
    return bytes;
  };
  return (await size('binary')) - BINARY_FRAME_BYTES <= (await size('text')) ? 'binary' : 'text';
}

/** From the middle: at the start of a table numbers that count up are shorter as text than those of most rows. */
function sampledPages({ pages }: CatalogTable): { readonly from: number; readonly to: number } {
  const count = Math.min(MOST_SAMPLED, Math.max(LEAST_SAMPLED, Math.round(pages / SAMPLED_PART)));
  const from = Math.max(0, Math.floor((pages - count) / 2));
  return { from, to: from + count };
}
