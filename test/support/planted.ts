import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatasetSource } from '../../src/fallback/dataset/gather.ts';
import type { DatasetManifest } from '../../src/fallback/dataset/manifest.ts';
import { MemoryStore } from '../../src/fallback/dataset/open-dataset.ts';
import type { Document } from '../../src/model/document.ts';
import { loadModel } from '../../src/model/load.ts';

/** A key for tests. */
export const KEY = createSecretKey(Buffer.alloc(32, 7));

/** People, their friends, desks and posts: references in both directions, cycles, nested and unannotated text. */
export const PEOPLE = loadModel([
  {
    file: 'people.graphql',
    text: `
      type Person @entity {
        id: ID! @id
        name: String! @sanitize(with: NAME)
        email: EmailAddress @unique @sanitize(with: EMAIL)
        phone: PhoneNumber @sanitize(with: PHONE)
        bornOn: Date @sanitize(with: DATE)
        salary: Float @sanitize(with: NUMBER)
        notes: String
        mood: Mood!
        home: Home
        tags: [String!]!
        bestId: ID
        best: Person @relation(field: "bestId")
        friendIds: [ID!]!
        friends: [Person!]! @relation(field: "friendIds")
        posts: [Post!]! @relation(field: "authorEmail", references: "email")
        desk: Desk @relation(field: "personId")
        seen: Int
      }
      enum Mood { GLAD SAD ODD }
      type Home { street: String @sanitize(with: ADDRESS) city: String @sanitize(with: NONE) at: Place }
      type Place { latitude: Latitude! longitude: Longitude! }
      type Post @entity {
        id: ID! @id
        text: String!
        authorEmail: EmailAddress
        author: Person @relation(field: "authorEmail", references: "email")
      }
      type Desk @entity { id: ID! @id room: String personId: ID @unique person: Person @relation(field: "personId") }
    `,
  },
]);

const GIVEN = ['Anneliese', 'Bartholomew', 'Cordelia', 'Dmitri', 'Eleonora', 'Ferdinand', 'Guinevere', 'Hildegard'];
const FAMILY = ['Ashworth', 'Blackwood', 'Castellan', 'Drummond', 'Eastwick', 'Farnsworth', 'Greenhalgh'];

/** The values of person `n` that must not survive. */
export function secretsOf(n: number): Record<'name' | 'email' | 'phone' | 'notes' | 'street' | 'tag', string> {
  const name = `${GIVEN[n % GIVEN.length]} ${FAMILY[n % FAMILY.length]} ${n.toString(36).toUpperCase().padStart(4, 'Q')}`;
  return {
    name,
    email: `person.${n}@corp-mail.io`,
    phone: `+44 20 7${String(n).padStart(7, '0')}`,
    notes: `Patient file ${n}: allergic to penicillin, call ${name}`,
    street: `${n} Privet Drive`,
    tag: `secret-tag-${n % 97}`,
  };
}

/** Three collections of `count` documents each: people, posts and desks. */
export function* planted(count: number): Generator<{ readonly collection: string; readonly document: Document }> {
  for (let n = 0; n < count; n++) {
    const { name, email, phone, notes, street, tag } = secretsOf(n);
    const person: Document = {
      ...{ _id: `p${n}`, name, email, phone, bornOn: new Date(Date.UTC(1950 + (n % 60), n % 12, 1 + (n % 28))) },
      ...{ salary: 20_000.5 + n, notes, mood: n % 50 === 0 ? 'ODD' : n % 2 === 0 ? 'GLAD' : 'SAD' },
      home: { street, city: 'Ankh-Morpork', at: { latitude: (n % 90) + 0.25, longitude: (n % 180) + 0.125 } },
      tags: [tag, name],
      ...{
        bestId: `p${(n * 7 + 1) % count}`,
        friendIds: [`p${(n + 1) % count}`, `p${(n * 3) % count}`],
        seen: n % 100,
      },
      unknownField: `not in the schema ${email}`,
    };
    yield { collection: 'people', document: person };
    yield { collection: 'posts', document: { _id: `o${n}`, text: `${name} was here`, authorEmail: email } };
    yield { collection: 'desks', document: { _id: `d${n}`, room: `R${n}`, personId: `p${(n * 11) % count}` } };
  }
}

/** The planted documents in a store. */
export async function plantedSource(count: number): Promise<MemoryStore & { readonly source: DatasetSource }> {
  const memory = await MemoryStore.open(PEOPLE);
  const batches = new Map<string, Document[]>();
  for (const { collection, document } of planted(count)) {
    const batch = batches.get(collection) ?? [];
    batches.set(collection, batch);
    batch.push(document);
    if (batch.length === 500) await memory.add(collection, batch.splice(0));
  }
  for (const [collection, batch] of batches) await memory.add(collection, batch);
  return Object.assign(memory, { source: memory.store });
}

/** The files of a dataset, by collection. */
export function filesOf(directory: string, manifest: DatasetManifest): Map<string, string> {
  return new Map(
    Object.entries(manifest.collections).map(([name, { file }]) => [name, readFileSync(join(directory, file), 'utf8')]),
  );
}
