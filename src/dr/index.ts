export { type TableProgress, TableState } from '../model/dr-progress.ts';
export { VERIFIED_FILE } from './archive/archive-check.ts';
export type { Compression } from './archive/chunk-writer.ts';
export { EncryptionKey, readKeyFile } from './archive/encryption-key.ts';
export type { Chunk, ConsistencyGrade, Dialect, Manifest, ManifestTable, TableGraph } from './archive/manifest.ts';
export {
  type ArchiveList,
  type ArchiveOptions,
  type ArchiveSummary,
  listArchives,
  type PruneOptions,
  type PruneSummary,
  pruneArchives,
  removeArchive,
  showArchive,
  type UnknownPlace,
} from './archives.ts';
export { type BackupOptions, type BackupSummary, backup } from './backup.ts';
export { GraphFormat, type GraphTable, renderGraph } from './graph/render.ts';
export type { DrProgress, OnProgress } from './progress.ts';
export { readGraph, type SourceGraph } from './read-graph.ts';
export { type RestoreOptions, type RestoreSummary, restore } from './restore.ts';
export { VerifyLevel, type VerifyReport, type VerifyReports } from './verified-file.ts';
export { type VerifyOptions, verify } from './verify.ts';
