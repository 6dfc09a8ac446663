import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startPlatform } from '../../infra/local/platform.ts';
import { logIn, watchUntilActive } from '../e2e/member-journey.ts';
import { timed } from './measure.ts';

/** From a member's login request to the answer that calls his identity active, through the whole platform, one at a time. */
export async function measureLogins(rounds: number): Promise<number[]> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'pds-bench-platform-'));
  const platform = await startPlatform({ dataDir });
  try {
    const sample: number[] = [];
    for (let round = -3; round < rounds; round++) {
      const started = performance.now();
      const took = await timed(async () => {
        const user = { id: 710_000_003 + round, first_name: 'Bench', username: `bench_member_${round + 3}` };
        const { cookie } = await logIn(platform, user);
        await watchUntilActive(platform, cookie, { pollMs: 10, timeoutMs: 30_000, started });
      });
      if (round >= 0) sample.push(took);
    }
    return sample;
  } finally {
    await platform.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}
