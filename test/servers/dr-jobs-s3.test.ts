import { afterAll, beforeAll, expect, it } from 'vitest';
import { openStorage } from '../../src/dr/archive/open-storage.ts';
import { ArchiveShelf } from '../../src/dr/jobs/archive-shelf.ts';
import { describeWithS3, type S3Server, startS3 } from '../support/servers/s3.ts';

const BUILD_TIMEOUT_MS = 600_000;
const ID = '20260131T083000000-backup-shop-0a1b2c';

describeWithS3('the archives of a gateway in a bucket', () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3();
    await server.createBucket('shelf');
  }, BUILD_TIMEOUT_MS);
  afterAll(() => server?.[Symbol.asyncDispose]());

  it('are found by name alone, and nothing is left of an interrupted backup', async () => {
    const place = server.locationOf('shelf', 'archives');
    const shelf = new ArchiveShelf(place);
    const storage = await openStorage(shelf.placeFor(ID));
    await storage.createNew('data/1.0.copy', Buffer.from('half'));
    expect(await shelf.find(ID)).toBe(shelf.placeFor(ID));
    for (const name of ['..', '', 'archives', `archives/${ID}`, `${ID}/data`, shelf.placeFor(ID)]) {
      await expect(shelf.find(name)).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    }
    await expect(shelf.remove(ID, {})).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    expect(await shelf.settle(ID)).toBe(false);
    expect(await storage.list()).toEqual([]);
    await expect(shelf.find(ID)).rejects.toMatchObject({ code: 'DR_NOT_FOUND' });
    expect(await shelf.settle(ID)).toBe(false);
    await storage.close();
  });
});
