import { setTimeout as sleep } from 'node:timers/promises';
import type { Child } from './child.ts';

/** A server in a process of its own that is started again when it ends by itself. */
export type KeptChild<C extends Child> = {
  /** The process as it is, or as it was last. */
  current(): C;
  /** Ends it, and lets it be. */
  stop(): Promise<void>;
  /** Starts it again after `stop`. */
  start(): Promise<void>;
};

const BACKOFF_MS = [250, 1_000, 5_000, 15_000];
/** A process that lived this long starts the backoff anew. */
const STEADY_MS = 60_000;

/** Starts a child and keeps it running. Only the first start can fail; later ones are tried again and told. */
export async function keepRunning<C extends Child>(
  start: () => Promise<C>,
  onNotice: (text: string) => void,
): Promise<KeptChild<C>> {
  let child = await start();
  let wanted = true;
  let lives = 0;
  watch(child);

  function watch(living: C) {
    const since = Date.now();
    living.exited.then((sentence) => {
      if (!wanted || living !== child) return;
      lives = Date.now() - since > STEADY_MS ? 0 : lives;
      void startAgain(sentence);
    });
  }

  async function startAgain(why: string) {
    const delay = BACKOFF_MS[Math.min(lives, BACKOFF_MS.length - 1)] ?? 0;
    lives += 1;
    onNotice(`${why} It is started again.`);
    await sleep(delay);
    if (!wanted) return;
    try {
      const next = await start();
      if (!wanted) return void (await next.stop());
      child = next;
      watch(child);
    } catch (error) {
      if (wanted) await startAgain(error instanceof Error ? `${error.message}.` : String(error));
    }
  }

  return {
    current: () => child,
    async stop() {
      wanted = false;
      await child.stop();
    },
    async start() {
      if (wanted) return;
      child = await start();
      wanted = true;
      watch(child);
    },
  };
}
