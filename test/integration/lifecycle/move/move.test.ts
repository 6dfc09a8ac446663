import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openShipyard, openVoyage, type Shipyard, type Voyage, writeNotes, writePicture } from './voyage.ts';

describe('moving to another PDS', () => {
  let yard: Shipyard;
  let voyage: Voyage;
  beforeAll(async () => {
    yard = await openShipyard();
  });
  afterAll(() => yard.close());
  beforeEach(async () => {
    voyage = await openVoyage(yard);
  });
  afterEach(() => voyage.close());

  it('carries over 1,000 records, 20 blobs and the preferences, and the repo verifies for who knows only the DID', async () => {
    const userId = await voyage.member();
    const before = await voyage.clientOf(userId);
    const pictures = await Promise.all(Array.from({ length: 20 }, () => writePicture(before)));
    await writeNotes(before, 980);
    const preferences = [{ $type: 'app.bsky.actor.defs#adultContentPref', enabled: true }];
    await before.app.bsky.actor.putPreferences({ preferences });

    expect(await voyage.move(userId)).toMatchObject({ outcome: 'done', step: 'written' });
    const { repo, agent, did, status } = await voyage.proveAt(userId, yard.two.remote);
    expect(repo.creates).toHaveLength(1000);
    expect(status).toMatchObject({ indexedRecords: 1000, expectedBlobs: 20, importedBlobs: 20 });
    for (const { cid, data } of pictures) {
      const got = await agent.com.atproto.sync.getBlob({ did, cid });
      expect(Buffer.from(got.data).equals(data)).toBe(true);
      expect(got.headers['content-type']).toBe('image/png');
    }
    expect((await agent.app.bsky.actor.getPreferences()).data).toEqual({ preferences });
    await expect(writeNotes(before, 1)).rejects.toThrow(/deactivated/i);
  }, 60_000);
});
