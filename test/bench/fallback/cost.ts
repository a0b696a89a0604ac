import { type Contender, DOCUMENTS } from './contenders.ts';

const CALLS = 1_000;
const ROUNDS = 28;
const AT_ONCE = 16;

/**
 * CPU µs of this process per read, of each contender: the least of many rounds in which they take turns, because what else the machine
 * does only ever adds. Every contender is first as often as the others.
 */
export async function costPerCall(contenders: readonly Contender[]): Promise<Map<string, number>> {
  const samples = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= ROUNDS; round++) {
    const first = round % contenders.length;
    for (const contender of [...contenders.slice(first), ...contenders.slice(0, first)]) {
      const before = process.cpuUsage();
      await readMany(contender);
      const { user, system } = process.cpuUsage(before);
      if (round >= contenders.length) samples.get(contender.name)?.push((user + system) / CALLS);
    }
  }
  return new Map([...samples].map(([name, values]) => [name, Math.min(...values)]));
}

async function readMany({ name, read }: Contender): Promise<void> {
  let left = CALLS;
  const reader = async (): Promise<void> => {
    while (left-- > 0) {
      const id = (left * 7919) % DOCUMENTS.length;
      const { document } = await read(id);
      if (document?._id !== id) throw new Error(`${name} answered ${id} with ${JSON.stringify(document)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, reader));
}
