/** How long an opened data key may stay in memory, in milliseconds. */
export const MAX_AGE_MS = 5 * 60_000;
/** How many opened data keys may be kept. */
export const MAX_KEYS = 100;

/**
 * Opened data keys. `use` lends a key to `work` for one synchronous call; the bytes never leave.
 *
 * - Callers who want the same key while it is being opened share one opening; a failed one is not kept.
 * - The key that was opened first leaves first, by age or by number. Age counts from before the opening.
 * - A key that leaves is overwritten with zeros.
 *
 * What this promises: an old key leaves this cache at the first use of the vault after its time, so a
 * compromised process that is at work holds at most the keys of the last five minutes. What it does not:
 * an idle or frozen process keeps its last keys until it is used again or ends; and the copies that the
 * KMS client and the garbage collector make (base64 text of the answer, moved buffers) are beyond our reach.
 */
export type DataKeyCache = {
  use<T>(dataKeyId: string, work: (key: Uint8Array) => T): Promise<T>;
  /** Keeps a key that was opened elsewhere, as if it had been opened here and now; the bytes belong to the cache then. */
  keep(dataKeyId: string, key: Uint8Array): void;
};

type Entry = { readonly openedAt: number; readonly key: Promise<Uint8Array> };

export function createDataKeyCache(deps: {
  open(dataKeyId: string): Promise<Uint8Array>;
  /** Milliseconds since the epoch. */
  now(): number;
}): DataKeyCache {
  // A Map keeps the order of insertion, which is the order of age: both limits take from the front.
  const entries = new Map<string, Entry>();

  function evict(dataKeyId: string, { key }: Entry): void {
    entries.delete(dataKeyId);
    // Never under somebody's hands, or a secret would be sealed under zeros: what waits for a promise runs in
    // the order of asking, so everybody who was lent this key has done its (synchronous) work before this.
    key.then(
      (bytes) => bytes.fill(0),
      () => {}, // It never opened: those who asked were told, and there is nothing to wipe.
    );
  }

  function evictOld(now: number): void {
    for (const [dataKeyId, entry] of entries) {
      const age = now - entry.openedAt;
      // A negative age means that the clock was set back: how old the key is, nobody knows.
      if (age < 0 || age >= MAX_AGE_MS) evict(dataKeyId, entry);
    }
  }

  function enter(dataKeyId: string, openedAt: number, key = deps.open(dataKeyId)): Entry {
    for (const [oldest, entry] of entries) {
      if (entries.size < MAX_KEYS) break;
      evict(oldest, entry);
    }
    const entry: Entry = { openedAt, key };
    entries.set(dataKeyId, entry);
    entry.key.catch(() => {
      if (entries.get(dataKeyId) === entry) entries.delete(dataKeyId);
    });
    return entry;
  }

  return {
    async use(dataKeyId, work) {
      const now = deps.now();
      evictOld(now);
      const entry = entries.get(dataKeyId) ?? enter(dataKeyId, now);
      return work(await entry.key);
    },
    keep(dataKeyId, key) {
      const now = deps.now();
      evictOld(now);
      if (entries.has(dataKeyId)) key.fill(0);
      else enter(dataKeyId, now, Promise.resolve(key));
    },
  };
}
