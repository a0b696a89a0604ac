import { type DefinitionNode, GraphQLError, parse, Source } from 'graphql';
import type { Mistakes } from './mistakes.ts';

/** A file of SDL, or anything that reads like one. */
export interface SdlSource {
  /** Shown in mistakes. */
  readonly file: string;
  readonly text: string;
}

/** What could be read of one source. */
export interface ParsedSource {
  readonly definitions: readonly DefinitionNode[];
  /** Names defined in parts that could not be read: not knowing them is no second mistake. */
  readonly broken: readonly string[];
}

/** Syntax errors reported per source; the rest of the source is then not read. */
const MAX_SYNTAX_ERRORS = 20;

const DEFINITION = /^(?:type|extend|enum|input|interface|union|scalar|directive|schema)\b/;

/**
 * Parses a source. After a syntax error the definition it stands in is blanked, with all positions kept, and the rest is
 * parsed again, so that one error does not hide the others.
 */
export function parseSource({ file, text }: SdlSource, mistakes: Mistakes): ParsedSource {
  const broken: string[] = [];
  let readable = text.charCodeAt(0) === 0xfeff ? ` ${text.slice(1)}` : text;
  for (let errors = 0; errors < MAX_SYNTAX_ERRORS && readable.trim() !== ''; errors++) {
    try {
      return { definitions: parse(new Source(readable, file)).definitions, broken };
    } catch (error) {
      const { message, start, line, column } = syntaxError(error);
      if (isEmptyDocument(readable)) break;
      mistakes.addAt({ file, line, column, message });
      const [from, to] = definitionAround(readable, start);
      const part = readable.slice(from, to);
      for (const match of part.matchAll(/\b(?:type|enum|input|interface|union|scalar)\s+(\w+)/g))
        broken.push(match[1] ?? '');
      readable = readable.slice(0, from) + part.replace(/[^\n\r]/g, ' ') + readable.slice(to);
    }
  }
  return { definitions: [], broken };
}

/** Whether nothing is left but comments, which graphql-js refuses as an empty document. */
function isEmptyDocument(text: string): boolean {
  return text.split(/\r\n|\n|\r/).every((line) => /^[\s,]*(?:#|$)/.test(line));
}

function syntaxError(error: unknown): { message: string; start: number; line: number; column: number } {
  if (error instanceof GraphQLError) {
    const { line = 1, column = 1 } = error.locations?.[0] ?? {};
    return { message: error.message, start: error.positions?.[0] ?? 0, line, column };
  }
  // The parser is recursive: nothing else than its stack overflowing ends here.
  if (error instanceof RangeError) return { message: 'Syntax Error: nested too deeply.', start: 0, line: 1, column: 1 };
  throw error;
}

/** Where the top-level definition around `position` starts and where the next one does, by keywords at the start of lines. */
function definitionAround(text: string, position: number): [number, number] {
  let from = 0;
  for (let start = 0; start < text.length; ) {
    const end = text.indexOf('\n', start) + 1 || text.length;
    if (DEFINITION.test(text.slice(start, Math.min(end, start + 20)))) {
      if (start > position || (start === position && start > from)) return [from, start];
      from = start;
    }
    start = end;
  }
  return [from, text.length];
}
