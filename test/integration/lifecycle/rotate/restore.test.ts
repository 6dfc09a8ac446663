import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { rotateDue } from '../../../../lib/lifecycle/rotate/rotate-due.ts';
import { performWork } from '../../../../lib/provisioning/work.ts';
import { identityOf, openStage, type Stage } from '../../provisioning/stage.ts';
import { type Custody, openCustody } from '../custody/custody.ts';
import { askForRotation, methodsOf, servedDocument, storedMemberKey } from './rotations.ts';

/** A provider that gave us no rights: there a rotation leaves the password, and what was backed up before still opens. */
describe('a backup of before a rotation', { timeout: 60_000 }, () => {
  let stage: Stage;
  let custody: Custody;
  let skippedMs = 0;
  beforeAll(async () => {
    stage = await openStage();
    custody = await openCustody(stage);
    const { deps } = custody.bench;
    deps.providers = deps.providers.map((provider) => ({ ...provider, adminPassword: undefined }));
    deps.now = () => new Date(Date.now() + skippedMs);
  });
  afterAll(async () => {
    await custody.close();
    await stage.close();
  });

  const keysOf = async (userId: string) =>
    Object.fromEntries(
      (await custody.db`SELECT key_id, state FROM pds_verification_keys WHERE user_id = ${userId}`).map(
        (row) => [row.key_id, row.state],
      ),
    );
  async function rotated() {
    const { bench } = custody;
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const before = await identityOf(bench, userId);
    expect(await performWork(bench.deps, await askForRotation(bench, userId))).toBe('done');
    return { userId, backupId, before };
  }
  /** A run in eight days, in which nobody is due but old keys are. */
  async function retireOld() {
    await custody.db`UPDATE user_pds_mapping SET next_key_rotation = now() + interval '60 days'`;
    skippedMs = 8 * 86_400_000;
    await rotateDue(custody.bench.deps, new Date(Date.now() + skippedMs + 60_000));
    skippedMs = 0;
  }

  it('makes its key the active one again, and the other one retires', async () => {
    const { bench } = custody;
    const { userId, backupId, before } = await rotated();
    await custody.restore(userId, backupId);
    const after = await identityOf(bench, userId);
    expect(after.pds_public_key).toBe(before.pds_public_key);
    expect(await storedMemberKey(bench, after)).toBe(before.pds_public_key);
    expect(await keysOf(userId)).toEqual({ 'pnptv-1': 'active', 'pnptv-2': 'retiring' });
    const [other] = await custody.db`
      SELECT retire_at - now() > interval '6 days' AND retire_at - now() < interval '8 days' AS in_a_week
      FROM pds_verification_keys WHERE user_id = ${userId} AND key_id = 'pnptv-2'`;
    expect(other).toEqual({ in_a_week: true });
    await retireOld();
    expect(await keysOf(userId)).toEqual({ 'pnptv-1': 'active', 'pnptv-2': 'revoked' });
    const { document } = await servedDocument(stage, after);
    expect(methodsOf(document)).toEqual({
      atproto: after.atproto_public_key,
      'pnptv-1': before.pds_public_key,
    });
    // Numbers are not used again.
    await performWork(bench.deps, await askForRotation(bench, userId));
    expect(await keysOf(userId)).toMatchObject({ 'pnptv-3': 'active' });
  });

  it('is refused once its key has left the document', async () => {
    const { bench } = custody;
    const { userId, backupId } = await rotated();
    await custody.db`UPDATE user_pds_mapping SET document_settles_at = now() - interval '1 hour' WHERE user_id = ${userId}`;
    await retireOld();
    const left = await identityOf(bench, userId);
    const { document, cacheControl } = await servedDocument(stage, left);
    expect(methodsOf(document)).toEqual({
      atproto: left.atproto_public_key,
      'pnptv-2': left.pds_public_key,
    });
    expect(cacheControl).toBe('no-store');
    await expect(custody.restore(userId, backupId)).rejects.toMatchObject({ code: 'BACKUP_REJECTED' });
    expect(await keysOf(userId)).toEqual({ 'pnptv-1': 'revoked', 'pnptv-2': 'active' });
  });

  it('is refused during a rotation, whose old key does not retire before its end', async () => {
    const { bench } = custody;
    const userId = await custody.member();
    const backupId = await custody.backUp(userId);
    const [provider] = bench.deps.providers;
    if (!provider) throw new Error('no provider');
    const queueId = await askForRotation(bench, userId);
    // With rights, a PDS that is down is waited for.
    const providers = [{ ...provider, adminPassword: 'x' }];
    const down = { fetch: (() => Promise.reject(new TypeError('fetch failed'))) as typeof fetch, providers };
    expect(await performWork({ ...bench.deps, ...down }, queueId)).toBe('parked');
    expect(await keysOf(userId)).toEqual({ 'pnptv-1': 'retiring', 'pnptv-2': 'active' });
    await expect(custody.restore(userId, backupId)).rejects.toMatchObject({ code: 'CHANGE_IN_PROGRESS' });
    await retireOld();
    expect(await keysOf(userId)).toEqual({ 'pnptv-1': 'retiring', 'pnptv-2': 'active' });
  });
});
