export type Stopper = {
  add(step: () => Promise<unknown>): void;
  /** Takes every step, also after one that failed, and then fails with the first failure. Repeatable. */
  stop(): Promise<void>;
};

/** Remembers how to stop what was started, and stops it: the last one first, once. */
export function createStopper(): Stopper {
  const steps: (() => Promise<unknown>)[] = [];
  let stopping: Promise<void> | undefined;

  async function stopAll() {
    let failure: unknown;
    for (let step = steps.pop(); step; step = steps.pop()) {
      await step().catch((error) => {
        failure ??= error;
      });
    }
    if (failure) throw failure;
  }

  return {
    add(step: () => Promise<unknown>) {
      steps.push(step);
    },
    stop(): Promise<void> {
      stopping ??= stopAll();
      return stopping;
    },
  };
}
