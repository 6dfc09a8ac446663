/** How long an opened data key may stay in memory, in milliseconds. */
export const MAX_AGE_MS = 5 * 60_000;
/** How many opened data keys may be kept. */
export const MAX_KEYS = 100;

type Entry = {
  readonly openedAt: number;
  readonly key: Promise<Uint8Array>;
  users: number;
  evicted: boolean;
};

/**
 * Opened data keys. `use` lends a key to `work` for one synchronous call; the bytes never leave.
 *
 * - Callers who want the same key while it is being opened share one opening; a failed one is not kept.
 * - The key that was opened first leaves first, by age or by number. Age counts from before the opening.
 * - A key that left is overwritten with zeros as soon as nobody uses it, never under somebody's hands:
 *   a secret sealed under the zeros of a wiped key would be no secret.
 *
 * What this promises: an old key leaves this cache at the first use of the vault after its time, so a
 * compromised process that is at work holds at most the keys of the last five minutes. What it does not:
 * an idle or frozen process keeps its last keys until it is used again or ends; and the copies that the
 * KMS client and the garbage collector make (base64 text of the answer, moved buffers) are beyond our reach.
 */
export type DataKeyCache = {
  use<T>(dataKeyId: string, work: (key: Uint8Array) => T): Promise<T>;
};

export function createDataKeyCache(deps: {
  open(dataKeyId: string): Promise<Uint8Array>;
  /** Milliseconds since the epoch. */
  now(): number;
}): DataKeyCache {
  // A Map keeps the order of insertion, which is the order of age: both limits take from the front.
  const entries = new Map<string, Entry>();

  function evict(dataKeyId: string, entry: Entry): void {
    entries.delete(dataKeyId);
    entry.evicted = true;
    wipeIfUnused(entry);
  }

  function evictOld(now: number): void {
    for (const [dataKeyId, entry] of entries) {
      const age = now - entry.openedAt;
      // A negative age means that the clock was set back: how old the key is, nobody knows.
      if (age < 0 || age >= MAX_AGE_MS) evict(dataKeyId, entry);
    }
  }

  function enter(dataKeyId: string, openedAt: number): Entry {
    for (const [oldest, entry] of entries) {
      if (entries.size < MAX_KEYS) break;
      evict(oldest, entry);
    }
    const entry: Entry = { openedAt, key: deps.open(dataKeyId), users: 0, evicted: false };
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
      entry.users += 1;
      try {
        return work(await entry.key);
      } finally {
        entry.users -= 1;
        wipeIfUnused(entry);
      }
    },
  };
}

function wipeIfUnused(entry: Entry): void {
  if (!entry.evicted || entry.users > 0) return;
  entry.key.then(
    (key) => key.fill(0),
    () => {}, // It never opened: those who asked were told, and there is nothing to wipe.
  );
}
