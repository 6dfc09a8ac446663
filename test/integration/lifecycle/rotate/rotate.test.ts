import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Did } from '../../../../lib/brands.ts';
import { readOpenChange } from '../../../../lib/lifecycle/changes/change.ts';
import { rotateDue } from '../../../../lib/lifecycle/rotate/rotate-due.ts';
import { createSession } from '../../../../lib/pds/client/sessions.ts';
import type { WorkerDeps } from '../../../../lib/provisioning/run.ts';
import { TIMES } from '../../../../lib/provisioning/times.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { type Fault, faultyNetwork, silence } from '../../provisioning/faulty.ts';
import { mortal } from '../../provisioning/mortal.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage } from '../../provisioning/stage.ts';
import { opened } from '../../provisioning/working-identity.ts';
import {
  activeMember,
  askForRotation,
  expectKnownPassword,
  expectRotated,
  methodsOf,
  pdsOf,
  servedDocument,
  storedMemberKey,
} from './rotations.ts';

const SET_PASSWORD = 'com.atproto.admin.updateAccountPassword';

let stage: Stage;
let bench: Bench;
let skipped = 0;
const now = () => new Date(Date.now() + skipped);
beforeAll(async () => {
  stage = await openStage();
  bench = await openBench(stage, { now, times: TIMES.local });
});
afterAll(async () => {
  await bench.close();
  await stage.close();
});

/** Lets others go on when the row is due, at once. */
async function resumeUntilOver(queueId: string, deps: Partial<WorkerDeps> = {}) {
  for (let run = 0; run < 10; run += 1) {
    const row = await rowOf(bench, queueId);
    if (row.status === 'completed' || row.status === 'failed') return row;
    skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
    await performWork({ ...bench.deps, ...deps }, queueId);
  }
  throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
}

/** A worker whose calls to the PDS meet this fault until it is healed. */
function withFault(fault: Fault) {
  const network = faultyNetwork(fault);
  return { network, deps: { ...bench.deps, fetch: network.fetch } };
}

const rotatedDetails = async (userId: string) => {
  const [row] = await bench.sql<
    { details: { rotated: string[]; stayed: { what: string; why: string }[] } }[]
  >`
    SELECT details FROM pds_provisioning_log WHERE user_id = ${userId} AND action = 'key_rotated'`;
  return row?.details;
};

describe('a rotation', { timeout: 60_000 }, () => {
  it('publishes a new key beside the old, sets and proves a new password, renews the session, seals all anew', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const oldPassword = await opened(bench, before, 'account_password_sealed');
    const queueId = await askForRotation(bench, userId);
    expect(await performWork(bench.deps, queueId)).toBe('done');
    const { after, keys, password } = await expectRotated(stage, bench, before);
    await expect(
      createSession(pdsOf(stage, bench), { did: before.pds_did as Did, password: oldPassword }),
    ).rejects.toMatchObject({ error: 'AuthenticationRequired' });
    expect(password).not.toBe(oldPassword);
    const { document, cacheControl } = await servedDocument(stage, after);
    expect(cacheControl).toBe('no-store');
    expect(methodsOf(document)).toEqual({
      atproto: before.atproto_public_key,
      'pnptv-1': before.pds_public_key,
      'pnptv-2': after.pds_public_key,
    });
    const graceMs = (keys[0]?.retire_at?.getTime() ?? 0) - now().getTime();
    expect(graceMs / 86_400_000).toBeCloseTo(7, 1);
    const [row] = await bench.sql<[{ key_rotation_date: Date; next_key_rotation: Date }]>`
      SELECT key_rotation_date, next_key_rotation FROM user_pds_mapping WHERE user_id = ${userId}`;
    expect(row.next_key_rotation.getTime()).toBeGreaterThan(now().getTime());
    expect(row.next_key_rotation.getTime()).toBeLessThanOrEqual(now().getTime() + 90 * 86_400_000);
    expect(await rotatedDetails(userId)).toMatchObject({
      rotated: ['member_key', 'account_password', 'session'],
      stayed: [{ what: 'repo_key', why: 'HELD_BY_THE_PDS' }],
    });
    const backups = await bench.sql`
      SELECT backup_type FROM pds_credential_backups WHERE user_id = ${userId} ORDER BY id`;
    expect(backups.map(({ backup_type }) => backup_type)).toEqual(['auto', 'recovery', 'auto']);
    const [check] = await bench.sql`
      SELECT status FROM pds_provisioning_queue WHERE user_id = ${userId} AND action = 'verify' AND status = 'pending'`;
    expect(check).toBeDefined();
  });

  it('leaves at every moment a document with a working key and a password that is known, wherever its worker dies', {
    timeout: 120_000,
  }, async () => {
    const userId = await activeMember(bench);
    const first = await identityOf(bench, userId);
    let rotations = 0;
    const dieAt = async (moment: number) => {
      await bench.sql`
        UPDATE user_pds_mapping SET document_settles_at = now() - interval '1 hour' WHERE user_id = ${userId}`;
      const before = await identityOf(bench, userId);
      const queueId = await askForRotation(bench, userId);
      const { deps, life } = mortal(bench.deps, moment);
      await performWork(deps, queueId).catch(() => {});
      const hint = `died at ${moment}: ${life.calls.join(', ')}`;
      const left = await identityOf(bench, userId);
      const { document, cacheControl } = await servedDocument(stage, left);
      expect(Object.values(methodsOf(document)), hint).toEqual(
        expect.arrayContaining([left.atproto_public_key, left.pds_public_key, before.pds_public_key]),
      );
      const isChanged = document.verificationMethod.length > 2 + rotations;
      if (isChanged) expect(cacheControl, hint).toBe('no-store');
      await expectKnownPassword(stage, bench, userId);
      const made = (await readOpenChange(bench.sql, userId))?.progress.member_key;
      expect(await resumeUntilOver(queueId), hint).toMatchObject({ status: 'completed' });
      rotations += 1;
      const after = await identityOf(bench, userId);
      expect(after.pds_public_key, hint).not.toBe(before.pds_public_key);
      // What was made and stored before the death is what it comes to.
      if (made !== undefined) expect(after.pds_public_key, hint).toBe(made);
      return life;
    };
    const { calls } = await dieAt(0);
    expect(calls).toContain(SET_PASSWORD);
    let moment = 0;
    for (let died = true; died; ) {
      moment += 1;
      died = (await dieAt(moment)).dead;
    }
    expect(moment).toBe(2 * calls.length + 1);
    const { document } = await servedDocument(stage, first);
    expect(document.verificationMethod).toHaveLength(2 + rotations);
    const [{ doubled }] = await bench.sql<[{ doubled: number }]>`
      SELECT count(*)::int - ${rotations}::int AS doubled FROM pds_provisioning_log
      WHERE user_id = ${userId} AND action = 'key_rotated'`;
    expect(doubled).toBe(0);
    expect((await identityOf(bench, userId)).credential_version).toBe(first.credential_version + rotations);
  });

  it.each<[string, Fault]>([
    [
      'was lost after it had its effect',
      ({ nsid, send }) => (nsid === SET_PASSWORD ? lose(send) : undefined),
    ],
    ['never came', ({ nsid }) => (nsid === SET_PASSWORD ? silence() : undefined)],
    [
      'made no sense',
      ({ nsid, send }) =>
        nsid === SET_PASSWORD ? send().then(() => new Response('<html>', { status: 500 })) : undefined,
    ],
  ])('goes on when the answer to the new password %s', async (_, fault) => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    const { deps } = withFault(fault);
    expect(await performWork(deps, queueId)).toMatch(/parked|again/);
    await expectKnownPassword(stage, bench, userId);
    // Until then the identity is as it was, and the new key stands beside the old one.
    expect(await identityOf(bench, userId)).toMatchObject({
      pds_public_key: before.pds_public_key,
      credential_version: before.credential_version,
    });
    await resumeUntilOver(queueId);
    await expectRotated(stage, bench, before);
  });

  it('waits for a PDS that is down, with the new key in the document already, and goes on when it is back', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    await stage.pds.stop();
    expect(await performWork(bench.deps, queueId)).toBe('parked');
    const { document } = await servedDocument(stage, before);
    expect(Object.keys(methodsOf(document))).toEqual(['atproto', 'pnptv-1', 'pnptv-2']);
    expect(await readOpenChange(bench.sql, userId)).toMatchObject({ step: 'published' });
    await stage.restartPds();
    await resumeUntilOver(queueId);
    await expectRotated(stage, bench, before);
  });

  it('ends without a PDS that has not answered for a day, and keeps both passwords', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    // It takes the new password, says nothing, and is never heard of again.
    const { deps } = withFault(({ nsid, send }) =>
      nsid === SET_PASSWORD ? lose(send) : Promise.reject(new TypeError('fetch failed')),
    );
    expect(await performWork(deps, queueId)).toBe('parked');
    expect(await readOpenChange(bench.sql, userId)).toMatchObject({ step: 'published' });
    skipped += 23 * 3600_000;
    expect(await performWork(deps, queueId)).toBe('parked');
    skipped += 2 * 3600_000;
    expect(await resumeUntilOver(queueId, deps)).toMatchObject({ status: 'completed' });
    skipped = 0;
    expect(await readOpenChange(bench.sql, userId)).toBeUndefined();
    const after = await identityOf(bench, userId);
    expect(after).toMatchObject({ status: 'active', credential_version: before.credential_version + 1 });
    expect(await storedMemberKey(bench, after)).toBe(after.pds_public_key);
    expect(after.pds_public_key).not.toBe(before.pds_public_key);
    expect(await opened(bench, after, 'account_password_sealed')).toBe(
      await opened(bench, before, 'account_password_sealed'),
    );
    await expectKnownPassword(stage, bench, userId);
    expect((await rotatedDetails(userId))?.stayed).toContainEqual({
      what: 'account_password',
      why: 'PDS_TROUBLE',
    });
  });

  it('is begun again a day after it was given up', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    await bench.sql`UPDATE pds_provisioning_queue SET status = 'failed' WHERE id = ${queueId}`;
    const openRows = () => bench.sql<{ id: string }[]>`
      SELECT id::text FROM pds_provisioning_queue
      WHERE user_id = ${userId} AND action = 'rotate_keys' AND status = 'pending'`;
    await rotateDue(bench.deps, now());
    expect(await openRows()).toEqual([]);
    skipped += 25 * 3600_000;
    await rotateDue(bench.deps, now());
    const rows = await openRows();
    expect(rows).toHaveLength(1);
    skipped = 0;
    await bench.sql`UPDATE pds_provisioning_queue SET next_retry = now() WHERE id = ${rows[0]?.id ?? ''}`;
    expect(await performWork(bench.deps, rows[0]?.id ?? '')).toBe('done');
    await expectRotated(stage, bench, before);
  });

  it('keeps the password where nobody gave us the right to set one, and says so', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    const providers = bench.deps.providers.map((provider) => ({ ...provider, adminPassword: undefined }));
    expect(await performWork({ ...bench.deps, providers }, queueId)).toBe('done');
    const { password } = await expectRotated(stage, bench, before);
    expect(password).toBe(await opened(bench, before, 'account_password_sealed'));
    expect(await rotatedDetails(userId)).toMatchObject({
      rotated: ['member_key', 'session'],
      stayed: expect.arrayContaining([{ what: 'account_password', why: 'NO_ADMIN_RIGHTS' }]),
    });
  });

  it('rotates all but password and session where we have no rights and the PDS is down', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    const providers = bench.deps.providers.map((provider) => ({ ...provider, adminPassword: undefined }));
    const { deps } = withFault(() => Promise.reject(new TypeError('fetch failed')));
    expect(await performWork({ ...deps, providers }, queueId)).toBe('done');
    await expectRotated(stage, bench, before);
    expect(await rotatedDetails(userId)).toMatchObject({ rotated: ['member_key'] });
  });

  it('finds out which password counts when the right to set one was taken away in the middle', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    // The new one was set, and nobody heard of it.
    await performWork(
      withFault(({ nsid, send }) => (nsid === SET_PASSWORD ? lose(send) : undefined)).deps,
      queueId,
    );
    const providers = bench.deps.providers.map((provider) => ({
      ...provider,
      adminPassword: 'not any more',
    }));
    await resumeUntilOver(queueId, { providers });
    const { password } = await expectRotated(stage, bench, before);
    expect(password).not.toBe(await opened(bench, before, 'account_password_sealed'));
  });

  it('keeps the new password, too, when a PDS may set it long after everybody has hung up', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    let deliver: (() => Promise<Response>) | undefined;
    const { deps } = withFault(({ nsid, send }) => {
      if (nsid !== SET_PASSWORD) return undefined;
      deliver = send;
      return Promise.reject(new TypeError('fetch failed'));
    });
    expect(await performWork(deps, queueId)).toBe('parked');
    const providers = bench.deps.providers.map((provider) => ({
      ...provider,
      adminPassword: 'not any more',
    }));
    await resumeUntilOver(queueId, { providers });
    expect(await opened(bench, await identityOf(bench, userId), 'account_password_sealed')).toBe(
      await opened(bench, before, 'account_password_sealed'),
    );
    await deliver?.();
    await expectKnownPassword(stage, bench, userId);
  });

  it('keeps the stored password when a PDS says that it took the new one and did not', async () => {
    const userId = await activeMember(bench);
    const before = await identityOf(bench, userId);
    const queueId = await askForRotation(bench, userId);
    const { deps } = withFault(({ nsid }) =>
      nsid === SET_PASSWORD ? Promise.resolve(new Response(null, { status: 200 })) : undefined,
    );
    expect(await performWork(deps, queueId)).toBe('done');
    const { password } = await expectRotated(stage, bench, before);
    expect(password).toBe(await opened(bench, before, 'account_password_sealed'));
    expect((await rotatedDetails(userId))?.stayed).toContainEqual({
      what: 'account_password',
      why: 'PDS_KEPT_IT',
    });
  });
});

/** It reaches the PDS, and the connection breaks before the answer comes. */
async function lose(send: () => Promise<Response>): Promise<never> {
  await send();
  throw new TypeError('fetch failed', {
    cause: Object.assign(new Error('ECONNRESET'), { code: 'ECONNRESET' }),
  });
}
