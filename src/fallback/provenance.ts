import { comparePositions, type Position } from '../model/position.ts';

/** Where documents can come from; the best source comes first. */
export const AnswerSource = {
  DATABASE: 'DATABASE',
  LIVE: 'LIVE',
  SNAPSHOT: 'SNAPSHOT',
  DATASET: 'DATASET',
  /** Written here, not yet in the database. */
  JOURNAL: 'JOURNAL',
} as const;
export type AnswerSource = (typeof AnswerSource)[keyof typeof AnswerSource];

/** One answer to a read. */
export interface SourceUse {
  readonly source: AnswerSource;
  readonly entity: string;
  /** Age of what was answered, in ms. */
  readonly stalenessMs: number;
  /** The change up to which it goes; null where there is none. */
  readonly position: Position | null;
  /** Stored paths whose values are not the real ones. */
  readonly masked?: readonly string[] | undefined;
}

/** One entry of `extensions.holdfast.fields`. */
export interface FieldSource {
  /** Objects of this entity… */
  readonly entity: string;
  /** …or this field of them only. */
  readonly field?: string | undefined;
  /** MASKED: the value is null or made up, because it is personal. */
  readonly source: AnswerSource | 'MASKED';
  /** ISO 8601. */
  readonly asOf: string;
  readonly stalenessMs: number;
}

/** What an answer says about its sources. */
export interface SourceSummary {
  /** MIXED: several, or what is not in the database yet. */
  readonly source: Exclude<AnswerSource, 'JOURNAL'> | 'MIXED';
  /** ISO 8601, of the oldest. */
  readonly asOf: string;
  /** Of the oldest. */
  readonly stalenessMs: number;
  /** Of the one furthest back; null when one has none. */
  readonly position: Position | null;
  /** Present when sources differ or a value is masked. */
  readonly fields?: readonly FieldSource[] | undefined;
}

/** Collects where the parts of one answer came from. */
export class Sources {
  readonly #uses = new Map<string, SourceUse>();
  readonly #fromDatabase = new Set<string>();

  /** Something of `entity` came from the database. */
  addDatabase(entity: string): void {
    this.#fromDatabase.add(entity);
  }

  /** The oldest of several answers with one source about one entity counts. */
  add(use: SourceUse): void {
    const key = `${use.source} ${use.entity}`;
    const known = this.#uses.get(key);
    if (known === undefined || known.stalenessMs < use.stalenessMs) this.#uses.set(key, use);
  }

  /**
   * Everything so far; undefined while only the database was asked. `now` is in ms since 1970; `head` is what the database's answers hold.
   */
  summary(now: number, head: Position): SourceSummary | undefined {
    if (this.#uses.size === 0) return undefined;
    const fromDatabase = [...this.#fromDatabase].map(
      (entity): SourceUse => ({ source: 'DATABASE', entity, stalenessMs: 0, position: head }),
    );
    const uses = [...fromDatabase, ...this.#uses.values()];
    const [first] = uses as [SourceUse];
    const { source } = first;
    const mixed = source === 'JOURNAL' || uses.some((use) => use.source !== source);
    const fields = uses.flatMap((use) => fieldsOf(use, mixed, now));
    const stalenessMs = Math.max(...uses.map((use) => use.stalenessMs));
    return {
      source: mixed ? 'MIXED' : source,
      asOf: asOf(now, stalenessMs),
      stalenessMs: Math.round(stalenessMs),
      position: lowest(uses.map(({ position }) => position)),
      ...(fields.length > 0 && { fields }),
    };
  }
}

function fieldsOf({ source, entity, stalenessMs, masked = [] }: SourceUse, mixed: boolean, now: number): FieldSource[] {
  const common = { asOf: asOf(now, stalenessMs), stalenessMs: Math.round(stalenessMs) };
  const fields = masked.map((field): FieldSource => ({ entity, field, source: 'MASKED', ...common }));
  return mixed ? [{ entity, source, ...common }, ...fields] : fields;
}

function asOf(now: number, stalenessMs: number): string {
  return new Date(Math.max(0, now - stalenessMs)).toISOString();
}

function lowest(positions: readonly (Position | null)[]): Position | null {
  return positions.reduce((low, each) => {
    if (low === null || each === null) return null;
    return comparePositions(each, low) < 0 ? each : low;
  });
}
