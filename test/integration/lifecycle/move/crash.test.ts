import { setTimeout as sleep } from 'node:timers/promises';
import type { AtpAgent } from '@atproto/api';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Pds } from '../../../../infra/local/atproto/pds.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { identityOf } from '../../provisioning/stage.ts';
import {
  NOTES,
  openShipyard,
  openVoyage,
  type Shipyard,
  type Voyage,
  writeNotes,
  writePicture,
} from './voyage.ts';

/** What changes something at a PDS, or at the PLC directory. */
const EFFECTS =
  /\.(createAccount|importRepo|uploadBlob|deactivateAccount|putPreferences|activateAccount|putRecord|deleteRecord)$|^did:plc/;

describe('a worker that dies while it moves somebody', () => {
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

  const homeOf = async (userId: string) => {
    const isLocal = (await identityOf(voyage.bench, userId)).provider_id === 'local';
    return {
      isLocal,
      from: isLocal ? yard.two.pds : yard.two.remote,
      to: isLocal ? yard.two.remote : yard.two.pds,
    };
  };

  /** Sees both PDSs as anybody does, all the time: which of them have the account active. */
  async function watching<T>(did: string, during: () => Promise<T>): Promise<T> {
    const both: string[] = [];
    let over = false;
    const watch = (async () => {
      while (!over) {
        const [one, other] = await Promise.all(
          [yard.two.pds, yard.two.remote].map((pds: Pds) => voyage.statusAt(pds, did)),
        );
        if (one === 'active' && other === 'active') both.push('both');
        await sleep(20);
      }
    })();
    try {
      return await during();
    } finally {
      over = true;
      await watch;
      expect(both).toEqual([]);
    }
  }

  /** Moves a member to the other PDS by a worker that dies at this moment, and others that go on. */
  async function dieAt(userId: string, moment: number) {
    const { isLocal, to } = await homeOf(userId);
    const { did, client } = await prepared(userId);
    const { changeId, queueId } = await voyage.request(userId, isLocal ? voyage.there : 'local');
    const { deps, life } = mortal(voyage.bench.deps, moment);
    await watching(did, async () => {
      await voyage.perform(queueId, deps).catch(() => {});
      // What he writes meanwhile, as long as he can, is not lost.
      if (life.dead)
        await writeNotes(client, 1, 'late').then(
          () => (notes += 1),
          () => {},
        );
      await voyage.workOn(queueId);
    });
    expect(await voyage.changeOf(changeId), `died at ${moment}: ${life.calls.join(', ')}`).toMatchObject({
      outcome: 'done',
    });
    const { repo } = await voyage.proveAt(userId, to);
    expect(repo.creates.filter(({ collection }) => collection === NOTES)).toHaveLength(notes);
    await expect(writeNotes(client, 1)).rejects.toThrow(/deactivated/i);
    return life;
  }
  let notes = 0;
  async function prepared(userId: string): Promise<{ did: string; client: AtpAgent }> {
    const client = await voyage.clientOf(userId);
    await writePicture(client, 1000);
    notes += 1;
    return { did: client.assertDid, client };
  }
  const newMember = async (didMethod: 'web' | 'plc' = 'web') => {
    notes = 0;
    return voyage.member(didMethod);
  };

  /** Just after each call that has an effect somewhere, and after each step is stored; from `first` on. */
  const momentsOf = (calls: readonly string[], first: string) =>
    calls.flatMap((name, index) => {
      const isStored =
        name === 'UPDATE pds_changes' ||
        (name === 'transaction' &&
          (calls[index + 1] === 'SELECT' || calls[index - 1] === 'SELECT coalesce('));
      const isBefore = index < calls.findIndex((called) => called.endsWith(first));
      return !isBefore && (EFFECTS.test(name) || isStored) ? [2 * (index + 1)] : [];
    });

  it.each([
    { method: 'web', first: 'createSession' },
    // Before, it makes no difference which one it is.
    { method: 'plc', first: 'getRecommendedDidCredentials' },
  ] as const)(
    'leaves a did:$method that others bring there, and back again, whenever it dies',
    async ({ method, first }) => {
      const userId = await newMember(method);
      const { calls } = await dieAt(userId, 0);
      const moments = momentsOf(calls, first);
      expect(moments.length).toBeGreaterThan(method === 'web' ? 15 : 3);
      for (const moment of moments) await dieAt(userId, moment);
    },
    300_000,
  );
});
