import { AtpAgent } from '@atproto/api';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { performWork } from '../../../lib/provisioning/work.ts';
import { type Bench, identityOf, openBench, openStage, rowOf, type Stage } from './stage.ts';

describe('provisioning against the real PDS', () => {
  let stage: Stage;
  let bench: Bench;
  beforeAll(async () => {
    stage = await openStage();
  });
  afterAll(() => stage.close());
  beforeEach(async () => {
    bench = await openBench(stage);
  });
  afterEach(() => bench.close());

  it('makes a login an active identity in one run', async () => {
    const { userId, queueId } = await bench.member();
    const started = performance.now();
    const result = await performWork(bench.deps, queueId);
    console.log(
      'took',
      performance.now() - started,
      await rowOf(bench, queueId),
      await identityOf(bench, userId),
    );
    expect(result).toBe('done');
    expect(await identityOf(bench, userId)).toMatchObject({ status: 'active', provisioning_step: 'secured' });
  });
});
