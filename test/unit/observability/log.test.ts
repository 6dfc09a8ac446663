import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { AppError } from '../../../lib/app-error.ts';
import { openLog } from '../../../lib/observability/log.ts';
import { openMetrics } from '../../../lib/observability/metrics.ts';

let printed: string;
beforeEach(() => {
  printed = '';
  const take = (chunk: unknown) => {
    printed += String(chunk);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(take);
  vi.spyOn(process.stderr, 'write').mockImplementation(take);
  vi.spyOn(console, 'log').mockImplementation(take);
});
afterEach(() => vi.restoreAllMocks());
const line = () => JSON.parse(printed);

describe('the log', () => {
  it('writes one JSON line with what is bound and what is given', () => {
    openLog('test').with({ request_id: 'r1' }).with({ operation: 'info' }).info('hello', { status: 200 });
    expect(printed.trim()).not.toContain('\n');
    expect(line()).toMatchObject({
      level: 'INFO',
      service: 'test',
      message: 'hello',
      request_id: 'r1',
      operation: 'info',
      status: 200,
    });
  });

  it('does not share what is bound', () => {
    const log = openLog('test');
    log.with({ request_id: 'r1' });
    log.info('hello');
    expect(line()).not.toHaveProperty('request_id');
  });

  it('prints an error with its code and causes, and nothing else that hangs on it', () => {
    const cause = Object.assign(new Error('refused'), {
      code: 'ECONNREFUSED',
      query: 'SELECT 1',
      parameters: ['p4rameter'],
    });
    openLog('test').error('failed', { error: new AppError('KMS_UNAVAILABLE', 'no answer', { cause }) });
    expect(line().error).toMatchObject({
      name: 'AppError',
      code: 'KMS_UNAVAILABLE',
      message: 'no answer',
      cause: { code: 'ECONNREFUSED', message: 'refused' },
    });
    expect(line().error.stack).toContain('log.test.ts');
    expect(printed).not.toMatch(/SELECT 1|p4rameter/);
  });

  it('survives an error that is its own cause, and one whose causes never end', () => {
    const loop = new Error('loop');
    loop.cause = loop;
    openLog('test').error('failed', { error: loop });
    expect(line().error.message).toBe('loop');
  });

  it.each([
    ['a session cookie', { cookies: ['__Host-session=S3CRET'] }],
    ['a header', { headers: { authorization: 'Bearer S3CRET', 'x-origin-secret': 'S3CRET' } }],
    ['a token', { accessJwt: 'S3CRET', refresh_token: 'S3CRET' }],
    ['a password', { account: { password: 'S3CRET' } }],
    ['a key', { private_key: 'S3CRET', privateKey: 'S3CRET', PDS_ENCRYPTION_KEY: 'S3CRET' }],
    ['a login', { payload: { hash: 'S3CRET' }, initData: 'S3CRET' }],
    ['a sealed value', { pds_private_key_encrypted: 'S3CRET', account_password_sealed: 'S3CRET' }],
    ['a text in which it stands', { text: 'GET /?token=S3CRET and Bearer S3CRET and __Host-session=S3CRET' }],
    [
      'a form of OAuth',
      { text: 'client_secret=S3CRET&code_verifier=S3CRET&id_token=S3CRET init_data=S3CRET' },
    ],
    ['where a login comes back', { text: 'GET /api/auth/telegram/callback?code=S3CRET&state=S3CRET' }],
    ['a login link', { error: new Error('no answer to http://x/api/auth/link/S3CRET') }],
    ['a database URL', { text: 'connect postgres://pds_api:S3CRET@db/x' }],
    ['a message of an error', { error: new Error('bad hash=S3CRET') }],
    ['a cause', { error: new Error('x', { cause: new Error('postgres://u:S3CRET@h') }) }],
  ])('never prints %s', (_, fields) => {
    openLog('test').warn('careful', fields);
    expect(printed).not.toContain('S3CRET');
    expect(line().message).toBe('careful');
  });

  it.each([
    ['a JWT', 'eyJhbGciOiJFUzI1NksifQ.eyJpc3MiOiJkaWQ6d2ViOmEifQ.c2lnbmF0dXJl'],
    ['a bot token', '1234567890:AAFakeBotTokenForThisTestOnly0123456789'],
  ])('knows %s by its shape, wherever it stands', (_, secret) => {
    openLog('test').warn(`said ${secret}!`, { list: [secret], error: new Error(secret) });
    expect(printed).not.toContain(secret);
  });

  it('never prints raw bytes', () => {
    openLog('test').warn('careful', { bytes: Buffer.from('S3CRET'), view: new Uint8Array([83, 51]) });
    expect(line()).toMatchObject({ bytes: '[bytes]', view: '[bytes]' });
  });
});

describe('metrics', () => {
  it('print what was counted, once, and nothing when nothing was', () => {
    const metrics = openMetrics('test');
    metrics.flush();
    expect(printed).toBe('');
    metrics.count('LoginAccepted');
    metrics.took('ProvisioningDuration', 120);
    metrics.flush();
    expect(line()).toMatchObject({ LoginAccepted: 1, ProvisioningDuration: 120, service: 'test' });
    expect(line()._aws.CloudWatchMetrics[0].Dimensions).toEqual([['service']]);
    printed = '';
    metrics.flush();
    expect(printed).toBe('');
  });
});
