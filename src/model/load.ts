import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DocumentNode, Kind } from 'graphql';
import { HoldfastError } from '../errors.ts';
import { builtInDirectives } from './built-in.ts';
import { DirectiveReader } from './directives.ts';
import { buildEntities, draftTypes, objectTypes } from './entities.ts';
import type { Model } from './entity.ts';
import { Mistakes } from './mistakes.ts';
import { checkEntityNames, checkTypeNames } from './names-check.ts';
import { parseSource, type SdlSource } from './parse.ts';
import { checkReferences } from './references.ts';
import { sdlHash } from './sdl-hash.ts';
import { collectSymbols } from './symbols.ts';

/** Largest SDL, all sources together, in UTF-16 units. */
export const MAX_SDL_LENGTH = 8 * 1024 * 1024;

/**
 * Reads what the SDL says.
 * @throws SCHEMA_INVALID with every mistake: `details.mistakes` is a list of `Mistake`, the message shows them line by line.
 */
export function loadModel(sources: readonly SdlSource[]): Model {
  const mistakes = new Mistakes(sources.map((source) => source.file));
  checkLength(sources);
  const parsed = sources.map((source) => parseSource(source, mistakes));
  const symbols = collectSymbols(
    parsed.flatMap((source) => source.definitions),
    parsed.flatMap((source) => source.broken),
    new Set(builtInDirectives().keys()),
    mistakes,
  );
  const directives = new DirectiveReader(symbols, mistakes);
  checkReferences(symbols.definitions, symbols, directives, mistakes);
  const types = draftTypes(symbols, directives, mistakes);
  const entities = buildEntities(symbols, types, directives, mistakes);
  checkEntityNames(entities, mistakes);
  checkTypeNames(entities, types, symbols, mistakes);
  if (symbols.entities.size === 0 && symbols.broken.size === 0) {
    const file = sources[0]?.file ?? 'schema';
    mistakes.addAt({
      file,
      line: 1,
      column: 1,
      message: 'no type is an entity',
      suggestion: 'write: type School @entity { id: ID! @id  name: String! }',
    });
  }
  mistakes.throwIfAny();

  const document: DocumentNode = { kind: Kind.DOCUMENT, definitions: symbols.definitions };
  const digest = sdlHash(document);
  forgetPlaces(document);
  return {
    entities: entities.map(({ entity }) => entity),
    objects: objectTypes(types),
    document,
    sdl: `${sources.map((source) => source.text.trimEnd()).join('\n\n')}\n`,
    sdlHash: digest,
  };
}

/** Lets go of where everything stood, and so of each token of the text: a tenth of what the model of a large SDL would hold. */
function forgetPlaces(part: unknown): void {
  if (typeof part !== 'object' || part === null) return;
  if ('loc' in part) part.loc = undefined;
  for (const inner of Object.values(part)) forgetPlaces(inner);
}

/**
 * The `*.graphql` files of a directory, not of those below it, in the order of their names.
 * @throws SCHEMA_INVALID when it cannot be read, has no such file, or one is not UTF-8.
 */
export function readSchemaDirectory(directory: string): SdlSource[] {
  const mistakes = new Mistakes([]);
  const sources: SdlSource[] = [];
  for (const name of schemaFiles(directory)) {
    const file = join(directory, name);
    const bytes = readFile(file);
    try {
      sources.push({ file, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) });
    } catch {
      const line = lineOfInvalidByte(bytes);
      mistakes.addAt({ file, line, column: 1, message: 'the file is not UTF-8', suggestion: 'save it as UTF-8' });
    }
  }
  mistakes.throwIfAny();
  return sources;
}

function schemaFiles(directory: string): string[] {
  let names: string[];
  try {
    names = readdirSync(directory);
  } catch (error) {
    const message = `the schema directory ${directory} cannot be read; create it, or name another with --schema`;
    throw new HoldfastError('SCHEMA_INVALID', message, { cause: error, details: { mistakes: [] } });
  }
  const files = names.filter((name) => name.endsWith('.graphql')).sort();
  if (files.length > 0) return files;
  const message = `the schema directory ${directory} has no *.graphql file; write one, or name another with --schema`;
  throw new HoldfastError('SCHEMA_INVALID', message, { details: { mistakes: [] } });
}

function readFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new HoldfastError('SCHEMA_INVALID', `${file} cannot be read`, { cause: error, details: { mistakes: [] } });
  }
}

function lineOfInvalidByte(bytes: Buffer): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const end = bytes.indexOf(0x0a, start) + 1 || bytes.length;
    if (bytes.subarray(start, end).toString('utf8').includes('\ufffd')) return line;
    start = end;
  }
  return line;
}

function checkLength(sources: readonly SdlSource[]): void {
  const length = sources.reduce((sum, source) => sum + source.text.length, 0);
  if (length <= MAX_SDL_LENGTH) return;
  const message = `the schema has ${length} characters; at most ${MAX_SDL_LENGTH} are read`;
  throw new HoldfastError('SCHEMA_INVALID', message, { details: { mistakes: [] } });
}
