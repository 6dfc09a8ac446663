import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Identity } from '../../../lib/provisioning/identity.ts';
import { performWork } from '../../../lib/provisioning/work.ts';
import { mortal } from './mortal.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage } from './stage.ts';
import { expectWorkingIdentity } from './working-identity.ts';

const FIXED = ['account_password_sealed', 'pds_private_key_encrypted', 'pds_did', 'pds_handle'] as const;

describe('a worker that dies', () => {
  let stage: Stage;
  let bench: Bench;
  let skipped = 0;
  const now = () => new Date(Date.now() + skipped);
  beforeAll(async () => {
    stage = await openStage();
    bench = await openBench(stage, { now });
  });
  afterAll(async () => {
    await bench.close();
    await stage.close();
  });

  /** Lets others go on when the row is due, at once: nothing is under way that time would have to pass for. */
  async function resumeUntilOver(queueId: string) {
    for (let run = 0; run < 10; run += 1) {
      const row = await rowOf(bench, queueId);
      if (row.status === 'completed' || row.status === 'failed') return row;
      skipped += Math.max(0, row.next_retry.getTime() - now().getTime());
      await performWork(bench.deps, queueId);
    }
    throw new Error(`never over: ${JSON.stringify(await rowOf(bench, queueId))}`);
  }

  async function dieAt(moment: number): Promise<{ died: boolean; calls: string[] }> {
    const { userId, queueId } = await bench.member();
    const { deps, life } = mortal(bench.deps, moment);
    await performWork(deps, queueId).catch(() => {});
    const left: Identity = await identityOf(bench, userId);
    const row = await resumeUntilOver(queueId);
    expect(row, `died at ${moment}: ${life.calls.join(', ')}`).toMatchObject({ status: 'completed' });
    const identity = await expectWorkingIdentity(stage, bench, userId);
    // A retry never changes a secret, a DID or a handle that was stored.
    for (const column of FIXED) if (left[column] !== null) expect(identity[column]).toBe(left[column]);
    return { died: life.dead, calls: life.calls };
  }

  it('leaves work that another worker ends in one working identity, whenever it dies', {
    timeout: 120_000,
  }, async () => {
    await dieAt(0); // The first run of all also asks the PDS for its service DID.
    const { calls } = await dieAt(0);
    expect(calls).toContain('com.atproto.server.createAccount');
    let moment = 0;
    for (let died = true; died; ) {
      moment += 1;
      died = (await dieAt(moment)).died;
    }
    expect(moment).toBe(2 * calls.length + 1);
  });
});
