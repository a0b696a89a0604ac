const MIB = 1 << 20;
const SMALLEST = 16 * MIB;
const LARGEST = 256 * MIB;
/** Chunks that each worker gets of a database that is one table: enough that none waits long for the others at the end. */
const CHUNKS_PER_WORKER = 8;

/** Pages `[from, to)` of a table; the last range of a table has no end. */
export interface PageRange {
  readonly from: number;
  readonly to: number | null;
  /** Estimate of the bytes in it. */
  readonly bytes: number;
}

/** Bytes of one chunk when `totalBytes` are read by N workers: 16 to 256 MiB. */
export function chunkBytes(totalBytes: number, workers: number): number {
  return Math.min(LARGEST, Math.max(SMALLEST, Math.ceil(totalBytes / (workers * CHUNKS_PER_WORKER))));
}

/**
 * Cuts a table into ranges of equally many pages, each of about `target` bytes. A table without pages has no range, one of up to
 * one and a half targets has one.
 * @param table `bytes` with everything stored apart from the pages
 */
export function pageRanges(table: { readonly pages: number; readonly bytes: number }, target: number): PageRange[] {
  const { pages, bytes } = table;
  if (pages === 0) return [];
  const count = Math.min(pages, Math.max(1, Math.round(bytes / target)));
  const step = Math.ceil(pages / count);
  const ranges: PageRange[] = [];
  for (let from = 0; from < pages; from += step) {
    const to = from + step < pages ? from + step : null;
    ranges.push({ from, to, bytes: Math.round((bytes * ((to ?? pages) - from)) / pages) });
  }
  return ranges;
}
