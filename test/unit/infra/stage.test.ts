import { describe, expect, it } from 'vitest';
import { stageFromEnv } from '../../../infra/stage.ts';
import { LOCAL, PRODUCTION } from './synthesized.ts';

describe('stageFromEnv', () => {
  it('needs nothing but its name on this machine', () => {
    const stage = stageFromEnv(LOCAL);
    expect(stage).toMatchObject({ name: 'local', deployed: false, times: 'local', edge: undefined });
    expect(stageFromEnv({ PDS_STAGE: 'test' }).times).toBe('test');
  });

  it('takes what the local platform says over its defaults', () => {
    const { settings } = stageFromEnv({
      ...LOCAL,
      PDS_APP_ORIGIN: 'http://127.0.0.1:4711',
      PDS_DOMAIN: 'm.test',
    });
    expect(settings).toMatchObject({ PDS_APP_ORIGIN: 'http://127.0.0.1:4711', PDS_DOMAIN: 'm.test' });
  });

  it('is production unless it is told otherwise, and says everything that is missing, together', () => {
    expect(() => stageFromEnv({})).toThrow(
      /"production" is not complete.*PDS_APP_ORIGIN: is missing.*PDS_DOMAIN: is missing.*PDS_EMAIL_DOMAIN: is missing.*PDS_LOCAL_ENDPOINT: is missing.*PDS_OPERATOR_EMAIL: is missing.*TELEGRAM_BOT_USERNAME: is missing/,
    );
  });

  it('names a wrong setting and what is expected, not its value', () => {
    const wrong = { ...PRODUCTION, PDS_MODE: 'both', PDS_DOMAIN: 'Not A Domain' };
    expect(() => stageFromEnv(wrong)).toThrow(
      /PDS_DOMAIN: must be a lower-case host name; PDS_MODE: must be local, remote or hybrid/,
    );
    expect(() => stageFromEnv(wrong)).not.toThrow(/Not A Domain/);
  });

  it('takes the generations of the key above the data keys, the first of which wraps', () => {
    expect(stageFromEnv(PRODUCTION).dataKeys).toEqual([1]);
    expect(stageFromEnv({ ...PRODUCTION, PDS_DATA_KEYS: '12,11' }).dataKeys).toEqual([12, 11]);
    expect(stageFromEnv({ ...PRODUCTION, PDS_DATA_KEYS: '1,2' }).dataKeys).toEqual([1, 2]);
    for (const wrong of ['0', '2,', ',1', '2,2', '3,1', '3,2,1', '1-2', '2, 1', 'two', '100', '-1'])
      expect(() => stageFromEnv({ ...PRODUCTION, PDS_DATA_KEYS: wrong })).toThrow('PDS_DATA_KEYS: must be');
  });

  it('has no default for who receives mail', () => {
    expect(() => stageFromEnv({ ...PRODUCTION, PDS_EMAIL_DOMAIN: undefined })).toThrow(
      'PDS_EMAIL_DOMAIN: is missing',
    );
  });

  it('wants the addresses of the providers that its mode uses, two different ones for hybrid', () => {
    const remote = 'https://pds.elsewhere.example';
    expect(() => stageFromEnv({ ...PRODUCTION, PDS_MODE: 'hybrid' })).toThrow(
      'PDS_REMOTE_PROVIDER: is missing, PDS_MODE=hybrid needs it',
    );
    const twice = { ...PRODUCTION, PDS_MODE: 'hybrid', PDS_REMOTE_PROVIDER: PRODUCTION.PDS_LOCAL_ENDPOINT };
    expect(() => stageFromEnv(twice)).toThrow('PDS_REMOTE_PROVIDER: is the same as PDS_LOCAL_ENDPOINT');
    const alone = { ...PRODUCTION, PDS_MODE: 'remote', PDS_LOCAL_ENDPOINT: '', PDS_REMOTE_PROVIDER: remote };
    expect(stageFromEnv(alone).settings).toMatchObject({ PDS_MODE: 'remote', PDS_REMOTE_PROVIDER: remote });
  });

  it('talks to nobody in the clear once it is deployed', () => {
    expect(() => stageFromEnv({ ...PRODUCTION, PDS_LOCAL_ENDPOINT: 'http://pds.example.org' })).toThrow(
      'PDS_LOCAL_ENDPOINT: must be https',
    );
    const guests = 'https://www.example.org,http://shop.example.org';
    expect(() => stageFromEnv({ ...PRODUCTION, PDS_ALLOWED_ORIGINS: guests })).toThrow(
      'PDS_ALLOWED_ORIGINS: must be https',
    );
    expect(stageFromEnv({ ...LOCAL, PDS_ALLOWED_ORIGINS: guests }).settings).toMatchObject({
      PDS_ALLOWED_ORIGINS: guests,
    });
  });

  it('has an edge where there is a hosted zone, and only for an app inside it', () => {
    expect(stageFromEnv(PRODUCTION).edge).toMatchObject({
      appHost: 'app.example.org',
      apiHost: 'api.example.org',
    });
    expect(stageFromEnv({ ...PRODUCTION, PDS_HOSTED_ZONE_ID: undefined }).edge).toBeUndefined();
    expect(() => stageFromEnv({ ...PRODUCTION, PDS_APP_ORIGIN: 'https://notexample.org' })).toThrow(
      'must lie in the zone',
    );
    expect(() => stageFromEnv({ ...PRODUCTION, AWS_REGION: undefined })).toThrow('AWS_REGION: is missing');
  });

  it('takes an existing database by three secrets or not at all', () => {
    const arns = {
      PDS_DATABASE_OWNER_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:owner-abcdef',
      PDS_DATABASE_API_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-abcdef',
      PDS_DATABASE_WORKER_SECRET_ARN: 'arn:aws:secretsmanager:eu-central-1:111122223333:secret:worker-abcdef',
    };
    expect(stageFromEnv({ ...PRODUCTION, ...arns }).database.kind).toBe('existing');
    expect(() => stageFromEnv({ ...PRODUCTION, ...arns, PDS_DATABASE_API_SECRET_ARN: undefined })).toThrow(
      'give all three or none of them',
    );
  });
});
