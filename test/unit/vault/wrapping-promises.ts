import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import type { KeyRewrapper } from '../../../lib/vault/key-wrapper.ts';

const hex = (bytes: Uint8Array = new Uint8Array()) => Buffer.from(bytes).toString('hex');

/** What every wrapper of data keys promises. `setUp` gives two wrappers with keys of their own. */
export function itWrapsDataKeys(setUp: () => { wrapper: KeyRewrapper; stranger: KeyRewrapper }): void {
  const context = { environment: 'test', dataKeyId: randomUUID() };

  it('makes 256-bit data keys, another each time, and opens them again', async () => {
    const { wrapper } = setUp();
    const [a, b] = [await wrapper.generateDataKey(context), await wrapper.generateDataKey(context)];
    expect(a.plaintext).toHaveLength(32);
    expect(a.plaintext).not.toEqual(b.plaintext);
    expect(hex(await wrapper.unwrap(a.wrapped, context))).toBe(hex(a.plaintext));
    expect(hex(await wrapper.unwrap(b.wrapped, context))).toBe(hex(b.plaintext));
  });

  it('takes over a data key that another key has made, for exactly its context', async () => {
    const { wrapper, stranger } = setUp();
    const { plaintext } = await stranger.generateDataKey(context);
    const wrapped = await wrapper.wrap(plaintext, context);
    expect(hex(await wrapper.unwrap(wrapped, context))).toBe(hex(plaintext));
    expect(await stranger.unwrap(wrapped, context)).toBeUndefined();
    expect(await wrapper.unwrap(wrapped, { ...context, dataKeyId: randomUUID() })).toBeUndefined();
    expect(hex(await wrapper.wrap(plaintext, context))).not.toBe(hex(wrapped));
  });

  it('never gives out the data key with its wrapping', async () => {
    const { plaintext, wrapped } = await setUp().wrapper.generateDataKey(context);
    expect(hex(wrapped)).not.toContain(hex(plaintext));
  });

  it('leaves the bytes to the caller: wiping one opening does not touch the next', async () => {
    const { wrapper } = setUp();
    const { plaintext, wrapped } = await wrapper.generateDataKey(context);
    (await wrapper.unwrap(wrapped, context))?.fill(0);
    expect(hex(await wrapper.unwrap(wrapped, context))).toBe(hex(plaintext));
  });

  it('does not open a data key of another environment, id or wrapping key', async () => {
    const { wrapper, stranger } = setUp();
    const { wrapped } = await wrapper.generateDataKey(context);
    expect(await wrapper.unwrap(wrapped, { ...context, environment: 'other' })).toBeUndefined();
    expect(await wrapper.unwrap(wrapped, { ...context, dataKeyId: randomUUID() })).toBeUndefined();
    expect(await stranger.unwrap(wrapped, context)).toBeUndefined();
    expect(stranger.keyId).not.toBe(wrapper.keyId);
  });

  it('does not open a data key after a change of any byte, nor with one more or less', async () => {
    const { wrapper } = setUp();
    const wrapped = Buffer.from((await wrapper.generateDataKey(context)).wrapped);
    for (let at = 0; at < wrapped.length; at += 1) {
      const changed = Buffer.from(wrapped);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(await wrapper.unwrap(changed, context), `byte ${at}`).toBeUndefined();
    }
    expect(await wrapper.unwrap(wrapped.subarray(1), context)).toBeUndefined();
    expect(await wrapper.unwrap(wrapped.subarray(0, -1), context)).toBeUndefined();
    expect(await wrapper.unwrap(Buffer.concat([wrapped, Buffer.of(0)]), context)).toBeUndefined();
  });
}
