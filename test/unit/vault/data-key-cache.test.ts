import { describe, expect, it } from 'vitest';
import { createDataKeyCache, MAX_AGE_MS, MAX_KEYS } from '../../../lib/vault/data-key-cache.ts';

/** A cache over keys that are all 7s, with a clock that stands still, and a record of what was opened. */
function setUp({ open }: { open?: (id: string) => Promise<Uint8Array> } = {}) {
  const opened: { id: string; key: Uint8Array }[] = [];
  const clock = { now: 1_000_000 };
  const cache = createDataKeyCache({
    now: () => clock.now,
    open:
      open ??
      (async (id) => {
        const key = new Uint8Array(32).fill(7);
        opened.push({ id, key });
        return key;
      }),
  });
  return { cache, clock, opened };
}

const firstByte = (key: Uint8Array) => key[0];
/** Lets every promise that is ready run on. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('the cache of opened data keys', () => {
  it('opens a key once for 200 callers at the same time', async () => {
    const { cache, opened } = setUp();
    const bytes = await Promise.all(Array.from({ length: 200 }, () => cache.use('a', firstByte)));
    expect(opened).toHaveLength(1);
    expect(new Set(bytes)).toEqual(new Set([7]));
  });

  it('keeps a key for less than five minutes and then wipes it', async () => {
    const { cache, clock, opened } = setUp();
    await cache.use('a', firstByte);
    clock.now += MAX_AGE_MS - 1;
    await cache.use('a', firstByte);
    expect(opened).toHaveLength(1);

    clock.now += 1;
    await cache.use('b', firstByte);
    await settle();
    expect(opened[0]?.key).toEqual(new Uint8Array(32));
    await cache.use('a', firstByte);
    expect(opened.map(({ id }) => id)).toEqual(['a', 'b', 'a']);
  });

  it('counts the age from before the opening, however long KMS took', async () => {
    const { clock } = setUp();
    let openings = 0;
    const cache = createDataKeyCache({
      now: () => clock.now,
      open: async () => {
        openings += 1;
        clock.now += MAX_AGE_MS;
        return new Uint8Array(32).fill(7);
      },
    });
    await cache.use('a', firstByte);
    await cache.use('a', firstByte);
    expect(openings).toBe(2);
  });

  it('keeps a key that was opened elsewhere as one of its own, and wipes a second copy', async () => {
    const { cache, clock, opened } = setUp();
    const [key, copy] = [new Uint8Array(32).fill(7), new Uint8Array(32).fill(7)];
    cache.keep('a', key);
    cache.keep('a', copy);
    expect(copy).toEqual(new Uint8Array(32));
    expect(await cache.use('a', firstByte)).toBe(7);
    expect(opened).toHaveLength(0);
    clock.now += MAX_AGE_MS;
    await cache.use('b', firstByte);
    await settle();
    expect(key).toEqual(new Uint8Array(32));
  });

  it('does not trust a clock that was set back', async () => {
    const { cache, clock, opened } = setUp();
    await cache.use('a', firstByte);
    clock.now -= 1;
    await cache.use('a', firstByte);
    expect(opened).toHaveLength(2);
  });

  it('keeps at most 100 keys: the oldest leaves and is wiped', async () => {
    const { cache, opened } = setUp();
    for (let i = 0; i <= MAX_KEYS; i += 1) await cache.use(`key ${i}`, firstByte);
    await settle();
    expect(opened.filter(({ key }) => key[0] === 0).map(({ id }) => id)).toEqual(['key 0']);
    await cache.use(`key ${MAX_KEYS}`, firstByte);
    await cache.use('key 1', firstByte);
    expect(opened).toHaveLength(MAX_KEYS + 1);
  });

  it('never lends a wiped key, not even when a thousand keys push each other out', async () => {
    const { cache, opened } = setUp();
    const ids = Array.from({ length: 10 * MAX_KEYS }, (_, i) => `key ${i}`);
    const bytes = await Promise.all([...ids, ...ids].map((id) => cache.use(id, firstByte)));
    expect(new Set(bytes)).toEqual(new Set([7]));
    await settle();
    expect(opened.filter(({ key }) => key[0] === 7)).toHaveLength(MAX_KEYS);
  });

  it('does not keep a failed opening', async () => {
    let openings = 0;
    const { cache } = setUp({
      open: async () => {
        openings += 1;
        if (openings === 1) throw new Error('KMS is away');
        return new Uint8Array(32).fill(7);
      },
    });
    const failed = await Promise.allSettled([cache.use('a', firstByte), cache.use('a', firstByte)]);
    expect(failed.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    await expect(cache.use('a', firstByte)).resolves.toBe(7);
    expect(openings).toBe(2);
  });

  it('keeps the key of a later opening when an earlier one fails after it', async () => {
    const openings: PromiseWithResolvers<Uint8Array>[] = [];
    const clock = { now: 1_000_000 };
    const cache = createDataKeyCache({
      now: () => clock.now,
      open: () => {
        const opening = Promise.withResolvers<Uint8Array>();
        openings.push(opening);
        return opening.promise;
      },
    });
    const early = cache.use('a', firstByte);
    clock.now += MAX_AGE_MS;
    const late = cache.use('a', firstByte);
    openings[1]?.resolve(new Uint8Array(32).fill(7));
    await expect(late).resolves.toBe(7);
    openings[0]?.reject(new Error('KMS took too long'));
    await expect(early).rejects.toThrow('KMS took too long');
    await expect(cache.use('a', firstByte)).resolves.toBe(7);
    expect(openings).toHaveLength(2);
  });

  it('lends a key to everybody who asked for it before it left, and wipes it then', async () => {
    const { cache, clock, opened } = setUp();
    await cache.use('a', firstByte);
    const lent = [cache.use('a', firstByte), cache.use('a', firstByte)];
    clock.now += MAX_AGE_MS;
    const other = cache.use('b', firstByte);
    expect(await Promise.all([...lent, other])).toEqual([7, 7, 7]);
    await settle();
    expect(opened[0]?.key).toEqual(new Uint8Array(32));
  });

  it('keeps a key although the work with it failed', async () => {
    const { cache, opened } = setUp();
    const work = () => {
      throw new Error('no');
    };
    await expect(cache.use('a', work)).rejects.toThrow('no');
    await expect(cache.use('a', firstByte)).resolves.toBe(7);
    expect(opened).toHaveLength(1);
  });
});
