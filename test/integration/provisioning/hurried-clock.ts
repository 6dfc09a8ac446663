/** A clock that shows the real time at `since` and runs `factor` times as fast from then on. */
export function hurriedClock({ since, factor }: { since: number; factor: number }, realNow = Date.now) {
  return () => since + (realNow() - since) * factor;
}

/** This module as a preload: a process that imports it lives by that clock. */
export function hurriedPreload({ since, factor }: { since: number; factor: number }): URL {
  return new URL(`?since=${since}&factor=${factor}`, import.meta.url);
}

/** Shorter timers guard the network, which is not hurried. */
const LONG_MS = 60_000;

const { searchParams } = new URL(import.meta.url);
if (searchParams.has('factor')) {
  const factor = Number(searchParams.get('factor'));
  const RealDate = Date;
  const now = hurriedClock({ since: Number(searchParams.get('since')), factor }, RealDate.now);
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    apply: () => new RealDate(now()).toString(),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
  const realSetTimeout = globalThis.setTimeout;
  const hurried = (run: () => void, ms = 0, ...args: []) =>
    realSetTimeout(run, ms >= LONG_MS ? ms / factor : ms, ...args);
  globalThis.setTimeout = Object.assign(hurried, realSetTimeout) as typeof setTimeout;
}
