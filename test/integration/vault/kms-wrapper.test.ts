import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { DisableKeyCommand, KMSClient, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { AwsError, startAwsJson } from '../../../infra/local/aws/aws-json.ts';
import { startKms } from '../../../infra/local/aws/kms.ts';
import { createKmsWrapper, KMS_CLIENT_OPTIONS } from '../../../lib/vault/kms-wrapper.ts';
import { itWrapsDataKeys } from '../../unit/vault/wrapping-promises.ts';

const context = { environment: 'test', dataKeyId: randomUUID() };
const ACCESS = { region: 'us-east-1', credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
const clientOf = (endpoint: string) => new KMSClient({ ...ACCESS, endpoint, maxAttempts: 1 });

let kms: Awaited<ReturnType<typeof startKms>>;
beforeAll(async () => {
  kms = await startKms();
});
afterAll(() => kms.stop());
afterEach(() => {
  vi.unstubAllEnvs();
});

const newKey = () => kms.ensureKey(randomUUID());
const newWrapper = (keyId = newKey()) => createKmsWrapper(keyId, clientOf(kms.url));

describe('data keys under KMS', () => {
  itWrapsDataKeys(() => ({ wrapper: newWrapper(), stranger: newWrapper() }));

  it('takes region and endpoint from the environment, like every client here', async () => {
    vi.stubEnv('AWS_ENDPOINT_URL_KMS', kms.url);
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
    const wrapper = createKmsWrapper(newKey());
    const { wrapped, plaintext } = await wrapper.generateDataKey(context);
    const opened = await wrapper.unwrap(wrapped, context);
    expect(opened && Buffer.compare(opened, plaintext)).toBe(0);
  });

  it('says what to check when the key is disabled or waits for its deletion', async () => {
    const [disabled, doomed] = [newKey(), newKey()];
    await clientOf(kms.url).send(new DisableKeyCommand({ KeyId: disabled }));
    await clientOf(kms.url).send(new ScheduleKeyDeletionCommand({ KeyId: doomed }));
    for (const [keyId, reason] of [
      [disabled, 'DisabledException'],
      [doomed, 'KMSInvalidStateException'],
      ['no-such-key', 'NotFoundException'],
    ] as const) {
      await expect(newWrapper(keyId).generateDataKey(context)).rejects.toMatchObject({
        code: 'KMS_REFUSED',
        retryable: false,
        message: expect.stringMatching(`${reason}.*PDS_KMS_KEY_ID`),
      });
    }
  });

  it.each([
    ['ThrottlingException', 400],
    ['KMSInternalException', 500],
    ['DependencyTimeoutException', 503],
    ['KeyUnavailableException', 500],
    ['SomethingNew', 502],
  ])('is worth a retry after %s (%i)', async (type, status) => {
    const refuse = () => {
      throw new AwsError(type, 'not now', status);
    };
    const server = await startAwsJson({
      'TrentService.Decrypt': refuse,
      'TrentService.GenerateDataKey': refuse,
    });
    const wrapper = createKmsWrapper('key', clientOf(server.url));
    const expected = { code: 'KMS_UNAVAILABLE', retryable: true, status: 503 };
    await expect(wrapper.generateDataKey(context)).rejects.toMatchObject(expected);
    await expect(wrapper.unwrap(new Uint8Array(8), context)).rejects.toMatchObject(expected);
    await server.stop();
  });

  it('is not worth a retry after AccessDeniedException', async () => {
    const server = await startAwsJson({
      'TrentService.Decrypt': () => {
        throw new AwsError('AccessDeniedException', 'not authorized to perform: kms:Decrypt', 400);
      },
    });
    const wrapper = createKmsWrapper('key', clientOf(server.url));
    await expect(wrapper.unwrap(new Uint8Array(8), context)).rejects.toMatchObject({
      code: 'KMS_REFUSED',
      retryable: false,
    });
    await server.stop();
  });

  it('is worth a retry when nobody answers, and when the answer does not come in time', async () => {
    const gone = await startKms();
    await gone.stop();
    const unavailable = { code: 'KMS_UNAVAILABLE', retryable: true };
    await expect(createKmsWrapper('key', clientOf(gone.url)).generateDataKey(context)).rejects.toMatchObject(
      unavailable,
    );

    const silent = createServer(() => {}).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const requestHandler = { ...KMS_CLIENT_OPTIONS.requestHandler, requestTimeout: 100 };
    const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const client = new KMSClient({ ...ACCESS, endpoint, maxAttempts: 1, requestHandler });
    await expect(createKmsWrapper('key', client).generateDataKey(context)).rejects.toMatchObject(unavailable);
    silent.closeAllConnections();
    silent.close();
  });
});
