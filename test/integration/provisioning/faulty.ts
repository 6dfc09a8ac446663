import { setTimeout as sleep } from 'node:timers/promises';

type Fetch = typeof globalThis.fetch;
/** What happens to a call instead of what should; undefined lets it through. */
export type Fault = (call: {
  nsid: string;
  send: () => Promise<Response>;
  signal: AbortSignal;
}) => Promise<Response> | undefined;

/** A network between the worker and the PDS on which things go wrong; also counts what was asked. */
export function faultyNetwork(fault: Fault) {
  const asked: string[] = [];
  let current = fault;
  const faultyFetch: Fetch = async (input, init) => {
    const nsid = new URL(String(input)).pathname.split('/').at(-1) ?? '';
    asked.push(nsid);
    const signal = init?.signal ?? new AbortController().signal;
    // What was sent goes on at the PDS although the caller hangs up.
    const send = () => fetch(input, { ...init, signal: null });
    return current({ nsid, send, signal }) ?? fetch(input, init);
  };
  return {
    fetch: faultyFetch,
    asked,
    heal() {
      current = () => undefined;
    },
  };
}

/** Never answers; fails as fetch does when its signal fires. */
export function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** The call reaches the PDS `ms` late, long after its caller may have hung up. Returns what it came to. */
export async function late(ms: number, send: () => Promise<Response>): Promise<Response> {
  await sleep(ms);
  return send();
}
