import { readFileSync, statSync } from 'node:fs';
import { type Config, exampleSchemaDirectory } from '../config.ts';
import type { Model } from '../model/entity.ts';
import { loadModel, readSchemaDirectory } from '../model/load.ts';
import { UsageError } from './command.ts';

/** The model of the configured SDL, else of the example. @throws SCHEMA_INVALID */
export function configuredModel(config: Config): Model {
  return loadModel(readSchemaDirectory(config.schema ?? exampleSchemaDirectory()));
}

/** The model of an SDL file, or of the SDL files of a directory. @throws SCHEMA_INVALID */
export function modelAt(path: string): Model {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) throw new UsageError(`${path} does not exist`);
  if (stats.isDirectory()) return loadModel(readSchemaDirectory(path));
  return loadModel([{ file: path, text: readFileSync(path, 'utf8') }]);
}
