/** Milliseconds of each run, and what a reader wants to know of them. */
export type Sample = readonly number[];

/** The value that `share` (0 to 1) of the runs do not exceed. */
export function quantile(sample: Sample, share: number): number {
  const sorted = [...sample].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  if (value === undefined) throw new Error('nothing was measured');
  return value;
}

export const p50 = (sample: Sample) => quantile(sample, 0.5);

/** Runs `yardstick` and `ours` in turn, so that a noisy minute meets both; the first `warmUp` rounds do not count. */
export async function inTurn(
  { rounds, warmUp }: { rounds: number; warmUp: number },
  yardstick: (round: number) => Promise<number>,
  ours: (round: number) => Promise<number>,
): Promise<{ yardstick: number[]; ours: number[] }> {
  const samples = { yardstick: [] as number[], ours: [] as number[] };
  for (let round = -warmUp; round < rounds; round++) {
    const [a, b] = [await yardstick(round + warmUp), await ours(round + warmUp)];
    if (round < 0) continue;
    samples.yardstick.push(a);
    samples.ours.push(b);
  }
  return samples;
}

/** Milliseconds that `work` takes. */
export async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}
