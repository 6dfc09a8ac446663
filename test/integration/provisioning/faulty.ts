type Fetch = typeof globalThis.fetch;
/** What happens to a call instead of what should; undefined lets it through. */
export type Fault = (call: { nsid: string; send: () => Promise<Response> }) => Promise<Response> | undefined;

/** A network between the worker and the PDS on which things go wrong; also counts what was asked. */
export function faultyNetwork(fault: Fault) {
  const asked: string[] = [];
  let current = fault;
  const faultyFetch: Fetch = async (input, init) => {
    const nsid = new URL(String(input)).pathname.split('/').at(-1) ?? '';
    asked.push(nsid);
    // What was sent goes on at the PDS although the caller hangs up.
    const send = () => fetch(input, { ...init, signal: null });
    return current({ nsid, send }) ?? fetch(input, init);
  };
  return {
    fetch: faultyFetch,
    asked,
    heal() {
      current = () => undefined;
    },
  };
}

/** Nobody answers: fails as fetch does when its time is up, without that it passes. */
export function silence(): Promise<never> {
  return Promise.reject(new DOMException('The operation was aborted due to timeout', 'TimeoutError'));
}
