import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createLocalWrapper } from '../../../lib/vault/local-wrapper.ts';
import { itWrapsDataKeys } from './wrapping-promises.ts';

const newKey = () => randomBytes(32).toString('base64');

describe('data keys under PDS_ENCRYPTION_KEY', () => {
  itWrapsDataKeys(() => ({ wrapper: createLocalWrapper(newKey()), stranger: createLocalWrapper(newKey()) }));

  it('open again after a restart with the same key', async () => {
    const key = newKey();
    const context = { environment: 'test', dataKeyId: 'a' };
    const { plaintext, wrapped } = await createLocalWrapper(key).generateDataKey(context);
    const opened = await createLocalWrapper(key).unwrap(wrapped, context);
    expect(opened && Buffer.compare(opened, plaintext)).toBe(0);
    expect(createLocalWrapper(key).keyId).toBe(createLocalWrapper(key).keyId);
  });

  it('do not open when their first byte says another form', async () => {
    const wrapper = createLocalWrapper(newKey());
    const context = { environment: 'test', dataKeyId: 'a' };
    expect(await wrapper.unwrap(new Uint8Array(129), context)).toBeUndefined();
    expect(await wrapper.unwrap(new Uint8Array(), context)).toBeUndefined();
  });
});
