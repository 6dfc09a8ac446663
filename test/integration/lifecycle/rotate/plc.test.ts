import { Secp256k1Keypair } from '@atproto/crypto';
import { secp256k1 } from '@noble/curves/secp256k1.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { pdsAdmin } from '../../../../infra/local/atproto/pds.ts';
import { type Plc, startPlc } from '../../../../infra/local/atproto/plc.ts';
import type { Did } from '../../../../lib/brands.ts';
import { encodeMultikey } from '../../../../lib/identity/multikey.ts';
import { cancelChange, isCancellable } from '../../../../lib/lifecycle/changes/cancel.ts';
import { readOpenChange } from '../../../../lib/lifecycle/changes/change.ts';
import { rotateDue } from '../../../../lib/lifecycle/rotate/rotate-due.ts';
import { createInviteCode } from '../../../../lib/pds/client/admin.ts';
import { readPlcLog } from '../../../../lib/pds/plc/read-log.ts';
import { openFromMapping } from '../../../../lib/provisioning/secrets.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { k256, plc } from '../../../unit/identity/plc/judge.ts';
import { type Fault, faultyNetwork } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage } from '../../provisioning/stage.ts';
import { activeMember, askForRotation, expectRotated } from './rotations.ts';

let directory: Plc;
let stage: Stage;
let bench: Bench;
let skipped = 0;
const now = () => new Date(Date.now() + skipped);
beforeAll(async () => {
  directory = await startPlc();
  stage = await openStage({ plcUrl: directory.url, inviteRequired: true });
  const inviteCode = await createInviteCode(pdsAdmin(stage.pds), { uses: 100 });
  bench = await openBench(stage, { now, times: TIMES.local });
  bench.deps.naming = { ...bench.deps.naming, didMethod: 'plc' };
  bench.deps.providers = bench.deps.providers.map((provider) => ({ ...provider, inviteCode }));
});
afterAll(async () => {
  await bench.close();
  await stage.close();
  await directory.stop();
});

const logOf = (did: string | null) => readPlcLog({ fetch, plcUrl: directory.url }, did as Did);

async function resumeUntilOver(queueId: string) {
  for (let run = 0; run < 10; run += 1) {
    const row = await rowOf(bench, queueId);
    if (row.status === 'completed' || row.status === 'failed') return row;
    skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
    await performWork(bench.deps, queueId);
  }
  throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
}

/** That the rotation key which we keep is the one that the directory has, in the place of the one before. */
async function expectOurs(userId: string) {
  const identity = await identityOf(bench, userId);
  const sealed = identity.rotation_key_sealed ?? '';
  const key = await openFromMapping(bench.deps.vault, identity, 'rotation_key_sealed', sealed);
  const publicKey = encodeMultikey({ algorithm: 'k256', bytes: secp256k1.getPublicKey(key, true) });
  expect(publicKey).toBe(identity.rotation_public_key);
  const { data } = await logOf(identity.pds_did);
  expect(data?.rotationKeys).toContain(`did:key:${publicKey}`);
  return { identity, data, ours: `did:key:${publicKey}` };
}

describe('a rotation of a did:plc', { timeout: 60_000 }, () => {
  it('puts our new rotation key in the place of the old, below the one of the member', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const his = await k256();
    const client = new plc.Client(directory.url);
    const { data } = await logOf(before.pds_did);
    const sealed = before.rotation_key_sealed ?? '';
    const key = await openFromMapping(bench.deps.vault, before, 'rotation_key_sealed', sealed);
    await client.updateData(before.pds_did ?? '', await Secp256k1Keypair.import(key), (op) => ({
      ...op,
      rotationKeys: [his.did(), ...(data?.rotationKeys ?? [])],
    }));
    expect(await resumeUntilOver(await askForRotation(bench, userId))).toMatchObject({ status: 'completed' });
    await expectRotated(stage, bench, before);
    const after = await expectOurs(userId);
    expect(after.data?.rotationKeys).toEqual([his.did(), after.ours, ...(data?.rotationKeys.slice(1) ?? [])]);
    expect(after.ours).not.toBe(`did:key:${before.rotation_public_key}`);
    const [log] = await bench.sql`
      SELECT details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'key_rotated'`;
    expect(log?.details.rotated).toContain('plc_rotation_key');
  });

  it('keeps the key that counts, wherever its worker dies', { timeout: 60_000 }, async () => {
    const userId = await activeMember(bench);
    // Around its request to the directory: the other moments are those of a did:web.
    let calls: readonly string[] = [];
    const dieAt = async (moment: number) => {
      const queueId = await askForRotation(bench, userId);
      const { deps, life } = mortal(bench.deps, moment);
      await performWork(deps, queueId).catch(() => {});
      expect(await resumeUntilOver(queueId)).toMatchObject({ status: 'completed' });
      await expectOurs(userId);
      return life;
    };
    ({ calls } = await dieAt(0));
    const did = (await identityOf(bench, userId)).pds_did ?? '';
    const submitted = calls.indexOf(did);
    expect(submitted).toBeGreaterThan(0);
    // The directory takes ten operations on a DID an hour.
    for (let moment = 2 * submitted; moment <= 2 * submitted + 6; moment += 1) await dieAt(moment);
  });

  it.each<[string, Fault]>([
    [
      'was lost after it had its effect',
      ({ nsid, send }) =>
        nsid.startsWith('did:plc:')
          ? send().then(() => Promise.reject(new TypeError('fetch failed')))
          : undefined,
    ],
    [
      'is a refusal, though it was taken',
      ({ nsid, send }) => (nsid.startsWith('did:plc:') ? send().then(send) : undefined),
    ],
  ])('goes by the log when the answer of the directory %s', async (_, fault) => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    await performWork({ ...bench.deps, fetch: faultyNetwork(fault).fetch }, queueId);
    await resumeUntilOver(queueId);
    await expectRotated(stage, bench, before);
    await expectOurs(userId);
  });

  it('rotates the rest when the member has taken our key out, and says so', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const his = await k256();
    const sealed = before.rotation_key_sealed ?? '';
    const key = await openFromMapping(bench.deps.vault, before, 'rotation_key_sealed', sealed);
    await new plc.Client(directory.url).updateData(
      before.pds_did ?? '',
      await Secp256k1Keypair.import(key),
      (op) => ({
        ...op,
        rotationKeys: [his.did()],
      }),
    );
    expect(await resumeUntilOver(await askForRotation(bench, userId))).toMatchObject({ status: 'completed' });
    expect(await identityOf(bench, userId)).toMatchObject({
      pds_public_key: before.pds_public_key,
      rotation_public_key: before.rotation_public_key,
      credential_version: before.credential_version + 1,
    });
    const [log] = await bench.sql`
      SELECT details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'key_rotated'`;
    expect(log?.details).toMatchObject({
      rotated: ['account_password', 'session'],
      stayed: expect.arrayContaining([{ what: 'plc_rotation_key', why: 'OUR_KEY_WAS_TAKEN_OUT' }]),
    });
  });

  it('waits while the directory refuses it, without losing the key, and operators are told', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    const refusing: Fault = ({ nsid }) =>
      nsid.startsWith('did:plc:')
        ? Promise.resolve(Response.json({ message: 'Too many operations' }, { status: 400 }))
        : undefined;
    expect(await performWork({ ...bench.deps, fetch: faultyNetwork(refusing).fetch }, queueId)).toBe(
      'parked',
    );
    expect((await rowOf(bench, queueId)).parked_reason).toBe('plc_refused');
    expect((await identityOf(bench, userId)).rotation_public_key).toBe(before.rotation_public_key);
    await resumeUntilOver(queueId);
    await expectOurs(userId);
  });

  describe('while the directory does not answer', () => {
    const { fetch: away } = faultyNetwork(({ nsid }) =>
      nsid.startsWith('com.atproto.') ? undefined : Promise.reject(new TypeError('fetch failed')),
    );
    const due = (userId: string) =>
      bench.sql`UPDATE user_pds_mapping SET next_key_rotation = ${now()} WHERE user_id = ${userId}`;
    const planned = async (userId: string, deps = bench.deps) => {
      await rotateDue(deps, new Date(now().getTime() + 60_000));
      return (await bench.sql`SELECT FROM pds_changes WHERE user_id = ${userId}`).length;
    };
    const cancel = async (userId: string) => {
      const changeId = (await readOpenChange(bench.sql, userId))?.id ?? 0;
      return cancelChange({ sql: bench.sql }, { userId, changeId, by: userId });
    };
    /** Asked for, and parked on the directory. */
    async function waiting(fetch = away) {
      const userId = await activeMember(bench);
      const before = await identityOf(bench, userId);
      const queueId = await askForRotation(bench, userId);
      expect(await performWork({ ...bench.deps, fetch }, queueId)).toBe('parked');
      expect(await rowOf(bench, queueId)).toMatchObject({ parked_reason: 'plc_down' });
      return { userId, before, queueId };
    }
    const expectAsBefore = async ({ userId, before }: Awaited<ReturnType<typeof waiting>>) => {
      const {
        lease_until: _,
        epoch: __,
        updated_at: ___,
        next_key_rotation: ____,
        ...same
      } = before as typeof before & Record<'updated_at' | 'next_key_rotation', Date>;
      expect(await identityOf(bench, userId)).toMatchObject(same);
      await expectOurs(userId);
    };

    // The PDS takes no account whose proof is a day ahead of it.
    const skippedBefore = skipped;
    afterEach(() => {
      skipped = skippedBefore;
    });

    it('can be taken back, and is not planned again for a day', async () => {
      const member = await waiting();
      const change = await readOpenChange(bench.sql, member.userId);
      expect(change && isCancellable(change)).toBe(true);
      expect(await cancel(member.userId)).toEqual({ cancelled: false });
      expect(await performWork(bench.deps, member.queueId)).toBe('done');
      const [over] =
        await bench.sql`SELECT outcome, sealed FROM pds_changes WHERE user_id = ${member.userId}`;
      expect(over).toEqual({ outcome: 'cancelled', sealed: {} });
      await expectAsBefore(member);
      await due(member.userId);
      expect(await planned(member.userId)).toBe(1);
      await bench.sql`UPDATE pds_changes SET ended_at = now() - interval '25 hours' WHERE user_id = ${member.userId}`;
      expect(await planned(member.userId)).toBe(2);
    });

    it('is given up after a day, and the keys are as they were', async () => {
      const member = await waiting();
      skipped += 25 * 3600_000;
      expect(await performWork({ ...bench.deps, fetch: away }, member.queueId)).toBe('done');
      const [over] =
        await bench.sql`SELECT outcome, error_code FROM pds_changes WHERE user_id = ${member.userId}`;
      expect(over).toEqual({ outcome: 'failed', error_code: 'PLC_UNAVAILABLE' });
      await expectAsBefore(member);
    });

    it('goes on when it may have taken the new key, and cannot be taken back', async () => {
      let asked = 0;
      const lost: Fault = ({ nsid, send }) => {
        if (nsid.startsWith('com.atproto.')) return undefined;
        asked += 1;
        if (asked === 1) return undefined;
        const sent = nsid.startsWith('did:plc:') ? send() : Promise.resolve();
        return sent.then(() => Promise.reject(new TypeError('fetch failed')));
      };
      const { userId, before, queueId } = await waiting(faultyNetwork(lost).fetch);
      await expect(cancel(userId)).rejects.toMatchObject({ code: 'CHANGE_NOT_CANCELLABLE' });
      skipped += 25 * 3600_000;
      expect(await performWork({ ...bench.deps, fetch: away }, queueId)).toBe('parked');
      skipped = skippedBefore;
      await bench.sql`UPDATE pds_provisioning_queue SET next_retry = ${now()} WHERE id = ${queueId}`;
      expect(await resumeUntilOver(queueId)).toMatchObject({ status: 'completed' });
      await expectRotated(stage, bench, before);
      await expectOurs(userId);
    });

    it('is not planned, so that it keeps nobody from anything else', async () => {
      const userId = await activeMember(bench);
      await due(userId);
      expect(await planned(userId, { ...bench.deps, fetch: away })).toBe(0);
      expect(await planned(userId)).toBe(1);
    });
  });

  it('ends where the DID has ended', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const sealed = before.rotation_key_sealed ?? '';
    const key = await openFromMapping(bench.deps.vault, before, 'rotation_key_sealed', sealed);
    await new plc.Client(directory.url).tombstone(before.pds_did ?? '', await Secp256k1Keypair.import(key));
    expect(await resumeUntilOver(await askForRotation(bench, userId))).toMatchObject({ status: 'completed' });
    const [change] = await bench.sql`SELECT outcome, error_code FROM pds_changes WHERE user_id = ${userId}`;
    expect(change).toEqual({ outcome: 'failed', error_code: 'DID_ENDED' });
    expect(await identityOf(bench, userId)).toMatchObject({
      pds_public_key: before.pds_public_key,
      credential_version: before.credential_version,
    });
  });

  it('holds nobody whose old key it could not take out because the directory is down', async () => {
    const userIds: string[] = [];
    // More than are looked at side by side.
    for (let count = 0; count < 6; count += 1) {
      const userId = await activeMember(bench);
      userIds.push(userId);
      await bench.sql`
        INSERT INTO pds_verification_keys (user_id, key_id, public_key_multibase, state, retire_at)
        VALUES (${userId}, 'pnptv-0', ${`zOld${userId}`}, 'retiring', now())`;
    }
    const { fetch } = faultyNetwork(({ nsid }) =>
      nsid.startsWith('com.atproto.') ? undefined : Promise.reject(new TypeError('fetch failed')),
    );
    const at = new Date(now().getTime() + 60_000);
    await rotateDue({ ...bench.deps, fetch, now: () => at }, new Date(at.getTime() + 60_000));
    const held = await bench.sql`
      SELECT FROM user_pds_mapping WHERE user_id IN ${bench.sql(userIds)} AND lease_until IS NOT NULL`;
    expect(held).toHaveLength(0);
  });

  it.each<[string, Fault]>([
    ['', () => undefined],
    [
      ', also when the answer gets lost',
      ({ nsid, send }) =>
        nsid.startsWith('did:plc:')
          ? send().then(() => Promise.reject(new TypeError('fetch failed')))
          : undefined,
    ],
  ])('takes the old key out of the directory when its time is over%s', async (_, fault) => {
    const userId = await activeMember(bench);
    await resumeUntilOver(await askForRotation(bench, userId));
    const { identity, data } = await expectOurs(userId);
    // The directory here takes no Ed25519 keys; one that retires shows as well with another curve.
    const old = await k256();
    const sealed = identity.rotation_key_sealed ?? '';
    const key = await openFromMapping(bench.deps.vault, identity, 'rotation_key_sealed', sealed);
    const did = identity.pds_did ?? '';
    await new plc.Client(directory.url).updateData(did, await Secp256k1Keypair.import(key), (op) => ({
      ...op,
      verificationMethods: { ...op.verificationMethods, 'pnptv-1': old.did() },
    }));
    await bench.sql`
      UPDATE pds_verification_keys SET public_key_multibase = ${old.did().slice('did:key:'.length)}
      WHERE user_id = ${userId} AND key_id = 'pnptv-1'`;
    await bench.sql`UPDATE user_pds_mapping SET next_key_rotation = now() + interval '60 days'`;
    const network = faultyNetwork(fault);
    for (let run = 0; run < 2; run += 1) {
      const later = () => new Date(now().getTime() + (8 + run) * 86_400_000);
      await rotateDue(
        { ...bench.deps, fetch: network.fetch, now: later },
        new Date(later().getTime() + 60_000),
      );
      network.heal();
    }
    const keys = await bench.sql`
      SELECT key_id, state FROM pds_verification_keys WHERE user_id = ${userId} ORDER BY id`;
    expect([...keys]).toEqual([
      { key_id: 'pnptv-1', state: 'revoked' },
      { key_id: 'pnptv-2', state: 'active' },
    ]);
    expect((await expectOurs(userId)).data?.verificationMethods).toEqual(data?.verificationMethods);
    const retired = await bench.sql`
      SELECT FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'key_retired'`;
    expect(retired).toHaveLength(1);
  });
});
