import { randomInt } from 'node:crypto';
import type { Collection as DriverCollection } from 'mongodb';
import { isHoldfastError } from '../../src/errors.ts';
import { type Document, encodeValue } from '../../src/model/document.ts';
import { compileFilter } from '../../src/store/filter.ts';
import { fromBson, READ_OPTIONS } from '../../src/store/mongo-bson.ts';
import { connectMongo } from '../../src/store/mongo-connection.ts';
import { compileProjection } from '../../src/store/projection.ts';
import { compileSort } from '../../src/store/sort.ts';
import type { CollectionSpec, Store } from '../../src/store/store.ts';
import { Choices } from '../support/choices.ts';
import { comparesAsMongoDB, databaseName } from '../support/mongo-store.ts';
import { startMongo } from '../support/servers/mongo.ts';
import { openSqliteStore } from '../support/sqlite-store.ts';
import { type Kind, MIXED, type Question, questionOf, TYPED } from './queries/questions.ts';

export interface QueriesOptions {
  /** Queries of each comparison. */
  readonly count: number;
  readonly seed?: number | undefined;
  readonly progress?: ((line: string) => void) | undefined;
}

/** What a comparison of query engines came to. */
export interface QueriesReport {
  readonly seed: number;
  /** Answers of the embedded store that were the server's, with indexes and without. */
  readonly asServer: number;
  /** Answers about values of any types that were those of the plain functions. */
  readonly asFunctions: number;
  /** Queries refused because the engine does not have the operator. */
  readonly refused: number;
  /** Documents in all answers of the server. */
  readonly documents: number;
}

/** Documents of a collection, and queries of it. */
const DOCUMENTS = 60;
const QUERIES = 500;
const AT_ONCE = 8;
const NAME = 'things';

/** What answers in place of the embedded store to compare it with. */
type Oracle = (question: Question) => Promise<readonly Document[]>;

/**
 * Asks the embedded store, with indexes and without, and a MongoDB server the same generated queries: values of any types where
 * the server compares them as MongoDB's manual says, else fields of one type each, and then the plain functions about any types.
 * @throws Error for the first answer that differs, with the seed and the question
 */
export async function proveQueries({
  count,
  seed = randomInt(2 ** 31),
  progress,
}: QueriesOptions): Promise<QueriesReport> {
  await using server = await startMongo();
  await using connection = await connectMongo(server.urlOf(databaseName()), { reachMs: 5_000 });
  const { database } = connection;
  const whole = await comparesAsMongoDB(database);
  const report = { seed, asServer: 0, asFunctions: 0, refused: 0, documents: 0 };
  try {
    for (let done = 0; done < count; done += QUERIES) {
      const choices = new Choices(seed + done);
      const queries = Math.min(QUERIES, count - done);
      const raw = database.collection<Document>(`things${done}`);
      const asked = await compare(choices, whole ? MIXED : TYPED, queries, async (documents) => {
        await raw.insertMany(documents.map((document) => ({ ...document })) as never[]);
        return (question) => askServer(raw, question);
      });
      await raw.drop();
      const others = whole
        ? asked
        : await compare(choices, MIXED, queries, async (documents) => askFunctions(documents));
      report.asServer += asked.answered;
      report.asFunctions += whole ? 0 : others.answered;
      report.refused += asked.refused + (whole ? 0 : others.refused);
      report.documents += asked.documents;
      if ((done / QUERIES) % 10 === 9) progress?.(`${done + queries} queries`);
    }
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
  } finally {
    await database.dropDatabase();
  }
  return report;
}

/** Compares the answers to `queries` questions about new documents. */
async function compare(
  choices: Choices,
  kind: Kind,
  queries: number,
  open: (documents: readonly Document[]) => Promise<Oracle>,
): Promise<{ answered: number; refused: number; documents: number }> {
  const documents = Array.from({ length: DOCUMENTS }, (_, id) => kind.document(choices, id));
  const oracle = await open(documents);
  const indexes = kind.paths
    .filter((path) => path !== '_id')
    .map((path) => ({ name: path, paths: [path], unique: false }));
  const [first = '_id', second = '_id'] = kind.paths;
  const compound = { name: 'compound', paths: [first, second], unique: false };
  await using plain = await openWith(documents, [{ name: NAME, indexes: [] }]);
  await using indexed = await openWith(documents, [{ name: NAME, indexes: [...indexes, compound] }]);
  const questions = Array.from({ length: queries }, () => questionOf(choices, kind));
  const totals = { answered: 0, refused: 0, documents: 0 };
  const ask = async (question: Question): Promise<void> => {
    const answers = [await answerOf(plain.store, question), await answerOf(indexed.store, question)];
    if (question.unsupported) {
      if (answers.some((answer) => answer !== 'refused')) throw new Error(`answered, not refused: ${textOf(question)}`);
      totals.refused += 1;
      return;
    }
    const wanted = await oracle(question);
    const text = encodeValue(wanted.map(inOrder));
    for (const [place, answer] of answers.entries()) {
      if (answer === text) continue;
      throw new Error(
        `${place === 0 ? 'without' : 'with'} indexes ${textOf(question)}\nanswers ${shortened(answer)}\nwanted  ${shortened(text)}`,
      );
    }
    totals.answered += 1;
    totals.documents += wanted.length;
  };
  const next = questions.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const question of next) await ask(question);
    }),
  );
  return totals;
}

async function openWith(documents: readonly Document[], specs: readonly CollectionSpec[]) {
  const fixture = await openSqliteStore(specs);
  await fixture.store.collection(NAME).insertMany(documents);
  return fixture;
}

/** As text; `refused` for a query with an operator that the engine does not have. */
async function answerOf(store: Store, { filter, options }: Question): Promise<string> {
  try {
    const found = await store.collection(NAME).find(filter, options).toArray();
    return encodeValue(found.map(inOrder));
  } catch (error) {
    if (isHoldfastError(error, 'UNSUPPORTED_OPERATOR')) return 'refused';
    throw new Error(`${(error as Error).message}: ${textOf({ filter, options })}`, { cause: error });
  }
}

async function askServer(raw: DriverCollection<Document>, { filter, options }: Question): Promise<Document[]> {
  try {
    const found = await raw.find(filter, { ...READ_OPTIONS, ...options }).toArray();
    return found.map((document) => fromBson(document) as Document);
  } catch (error) {
    throw new Error(`the server: ${(error as Error).message}: ${textOf({ filter, options })}`, { cause: error });
  }
}

function askFunctions(documents: readonly Document[]): Oracle {
  return async ({ filter, options: { sort, skip = 0, limit = Number.POSITIVE_INFINITY, projection } }) => {
    const found = documents
      .filter(compileFilter(filter))
      .sort(compileSort(sort))
      .slice(skip, skip + limit);
    return projection === undefined ? found : found.map(compileProjection(projection));
  };
}

/** With its fields in the order of their names: the stand-in gives those of a projection in the order it names them. */
function inOrder(document: Document): Document {
  return Object.fromEntries(Object.entries(document).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function shortened(text: string): string {
  return text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text;
}

function textOf({ filter, options }: Pick<Question, 'filter' | 'options'>): string {
  return encodeValue({ filter, options });
}
