import { setTimeout as sleep } from 'node:timers/promises';
import type { LambdaFunction } from './function.ts';
import type { InvokeResult } from './spec.ts';

/** How Lambda treats an event that nobody waits for (AWS::Lambda::EventInvokeConfig, DeadLetterConfig). */
export type AsyncPolicy = {
  /** Retries after a function error; AWS's default is 2. */
  retries: number;
  /** Sends the event away when every try failed. */
  onFailure?: (failed: { event: unknown; result: InvokeResult; tries: number }) => Promise<void>;
};

/** AWS waits one minute before the first retry and two before the second. */
const RETRY_DELAYS_MS = [60_000, 120_000];

/**
 * Invokes a function as an asynchronous event: tries again after a function error, then hands the event to the
 * policy's `onFailure`. Resolves with the last result. `signal` ends the waiting.
 * @see https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
 */
export async function invokeAsync(
  deps: { fn: LambdaFunction; signal: AbortSignal; delaysMs?: readonly number[] },
  policy: AsyncPolicy,
  event: unknown,
): Promise<InvokeResult> {
  const delays = deps.delaysMs ?? RETRY_DELAYS_MS;
  for (let tries = 1; ; tries++) {
    const result = await deps.fn.invoke(event);
    if (!result.functionError || deps.signal.aborted) return result;
    if (tries > policy.retries) {
      await policy.onFailure?.({ event, result, tries });
      return result;
    }
    await sleep(delays[tries - 1] ?? delays.at(-1), undefined, { signal: deps.signal }).catch(() => {});
    if (deps.signal.aborted) return result;
  }
}
