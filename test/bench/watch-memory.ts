import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * What a process holds at most, in MB: of its heap after a collection, five times a second, and how far its resident
 * memory rises above what it was.
 */
export type Held = { heldMb: number; residentMb: number };

const MB = 1024 * 1024;

/** Watches the memory of this process until it is stopped. */
export function watchMemory(): { stop(): Held } {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const held = () => {
    // Buffers whose owner went with the first are given back with the second.
    collect();
    collect();
    const { heapUsed, external, rss } = process.memoryUsage();
    return { heldMb: (heapUsed + external) / MB, residentMb: rss / MB };
  };
  const before = held();
  const samples = [before];
  const timer = setInterval(() => samples.push(held()), 200);
  const highest = (of: keyof typeof before) => Math.max(...samples.map((sample) => sample[of]));
  return {
    stop() {
      clearInterval(timer);
      samples.push(held());
      return { heldMb: highest('heldMb'), residentMb: highest('residentMb') - before.residentMb };
    },
  };
}
