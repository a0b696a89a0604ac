import type { ASTNode } from 'graphql';
import { HoldfastError } from '../errors.ts';

/** One thing wrong in an SDL. */
export interface Mistake {
  /** Name of the source, as given to the loader. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  readonly message: string;
  /** What to write instead. */
  readonly suggestion?: string;
}

/** Most mistakes listed in the message of the error; `details.mistakes` has them all. */
const LISTED = 50;

/** Collects mistakes, so that all are reported at once. */
export class Mistakes {
  readonly #found = new Map<string, Mistake>();
  readonly #files: readonly string[];

  /** `files` in the order in which mistakes are listed. */
  constructor(files: readonly string[]) {
    this.#files = files;
  }

  /** Notes a mistake where `node` starts; a second one with the same words at the same place is dropped. */
  add(node: ASTNode, message: string, suggestion?: string): void {
    const token = node.loc?.startToken;
    const file = node.loc?.source.name ?? '';
    this.addAt({
      file,
      line: token?.line ?? 1,
      column: token?.column ?? 1,
      message,
      ...(suggestion && { suggestion }),
    });
  }

  addAt(mistake: Mistake): void {
    this.#found.set(`${mistake.file}:${mistake.line}:${mistake.column}:${mistake.message}`, mistake);
  }

  /** @throws SCHEMA_INVALID with `details.mistakes`, sorted by file, line and column, when there are any. */
  throwIfAny(): void {
    if (this.#found.size === 0) return;
    const order = new Map(this.#files.map((file, index) => [file, index]));
    const mistakes = [...this.#found.values()].sort(
      (a, b) => (order.get(a.file) ?? -1) - (order.get(b.file) ?? -1) || a.line - b.line || a.column - b.column,
    );
    throw new HoldfastError('SCHEMA_INVALID', messageOf(mistakes), { details: { mistakes } });
  }
}

function messageOf(mistakes: readonly Mistake[]): string {
  const lines = mistakes.slice(0, LISTED).map(({ file, line, column, message, suggestion }) => {
    return `  ${file}:${line}:${column}: ${message}${suggestion === undefined ? '' : `; ${suggestion}`}`;
  });
  if (mistakes.length > LISTED) lines.push(`  and ${mistakes.length - LISTED} more`);
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
  return `the schema has ${count}:\n${lines.join('\n')}`;
}
