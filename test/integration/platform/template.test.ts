// biome-ignore-all lint/suspicious/noTemplateCurlyInString: this is how Fn::Sub is written
import { afterEach, describe, expect, it } from 'vitest';
import type { CloudOptions, RunningCloud } from '../../../infra/local/cloud.ts';
import { lambda, runStacks } from './assembly.ts';

const SHOW = { show: 'export const handler = async () => process.env;' };
const secret = (GenerateSecretString: object) => ({
  Type: 'AWS::SecretsManager::Secret',
  Properties: { GenerateSecretString },
});

describe('a template', () => {
  let cloud: RunningCloud | undefined;
  afterEach(async () => {
    await cloud?.stop();
    cloud = undefined;
  });

  /** What the expressions are in a function's environment. */
  async function resolved(
    expressions: Record<string, unknown>,
    resources = {},
    others: Parameters<typeof runStacks>[0] = {},
    options: CloudOptions = {},
  ): Promise<Record<string, string>> {
    const show = lambda('show', { Environment: { Variables: expressions } });
    cloud = await runStacks({ ...others, service: { Resources: { ...resources, show } } }, SHOW, options);
    return JSON.parse((await cloud.functions.invoke('show', {})).payload);
  }
  const failure = (Resources: Parameters<typeof runStacks>[0][string]['Resources']) =>
    runStacks({ service: { Resources } }, SHOW).then(
      (running) => running.stop().then(() => 'it started'),
      (error: Error) => error.message,
    );

  it('resolves the intrinsic functions', async () => {
    const queue = { Type: 'AWS::SQS::Queue', Properties: { QueueName: 'orders' } };
    const arn = 'arn:aws:sqs:us-east-1:000000000000:orders';
    const values = await resolved(
      {
        ATT: { 'Fn::GetAtt': ['queue', 'Arn'] },
        ATT_TEXT: { 'Fn::GetAtt': 'queue.Arn' },
        SUB: { 'Fn::Sub': 'a/${queue.QueueName}/${AWS::Region}/${!Literal}' },
        SUB_VARIABLES: { 'Fn::Sub': ['${x}-${x}', { x: { Ref: 'AWS::AccountId' } }] },
        JOIN: { 'Fn::Join': ['-', ['a', { Ref: 'AWS::Partition' }, 'b']] },
        SELECT: { 'Fn::Select': [5, { 'Fn::Split': [':', { 'Fn::GetAtt': ['queue', 'Arn'] }] }] },
        NONE: { Ref: 'AWS::NoValue' },
      },
      { queue },
    );
    expect(values).toMatchObject({
      ATT: arn,
      ATT_TEXT: arn,
      SUB: 'a/orders/us-east-1/${Literal}',
      SUB_VARIABLES: '000000000000-000000000000',
      JOIN: 'a-aws-b',
      SELECT: 'orders',
    });
    expect(values).not.toHaveProperty('NONE');
  });

  it('takes values from other stacks, in whatever order they stand', async () => {
    const data = {
      Resources: { queue: { Type: 'AWS::SQS::Queue' } },
      Outputs: { out: { Value: { 'Fn::GetAtt': ['queue', 'QueueName'] }, Export: { Name: 'data:queue' } } },
    };
    const values = await resolved({ NAME: { 'Fn::ImportValue': 'data:queue' } }, {}, { zzz: data });
    expect(values.NAME).toBe('zzz-queue');
  });

  it('deploys a stack after those that it depends on', async () => {
    const failing = (name: string, dependencies: string[] = []) => ({
      dependencies,
      Resources: {
        [name]: lambda(name),
        run: { Type: 'Custom::Trigger', Properties: { HandlerArn: { 'Fn::GetAtt': [name, 'Arn'] } } },
      },
    });
    const code = 'export const handler = () => { throw new Error("no"); };';
    const stacks = {
      third: failing('third', ['second', 'third.assets']),
      second: failing('second', ['first']),
      first: failing('first', ['not here']),
    };
    const start = runStacks(stacks, { first: code, second: code, third: code });
    await expect(start).rejects.toThrow(/^first failed: no$/);
  });

  it('names stack, logical id and type of what it does not know', async () => {
    expect(await failure({ table: { Type: 'AWS::DynamoDB::Table' } })).toBe(
      'Stack service, table (AWS::DynamoDB::Table): the local platform knows no such resource type',
    );
    expect(await failure({ show: lambda('show', { FileSystemConfigs: [] }) })).toBe(
      'Stack service, show (AWS::Lambda::Function): the local platform does not know the property FileSystemConfigs',
    );
    expect(
      await failure({ show: lambda('show', { Environment: { Variables: { A: { 'Fn::Cidr': [] } } } }) }),
    ).toBe(
      'Stack service, show (AWS::Lambda::Function): the intrinsic function Fn::Cidr is not known to the local platform',
    );
    expect(
      await failure({
        queue: { Type: 'AWS::SQS::Queue' },
        show: lambda('show', { Environment: { Variables: { A: { 'Fn::GetAtt': ['queue', 'Colour'] } } } }),
      }),
    ).toContain('queue (AWS::SQS::Queue): the attribute Colour is not known');
    expect(
      await failure({ show: lambda('show', { Environment: { Variables: { A: { Ref: 'gone' } } } }) }),
    ).toContain('gone (?): something refers to it');
    expect(await failure({ show: lambda('missing') })).toContain('its code (asset missing) is no directory');
  });

  it('leaves out what has no counterpart here and gives references to it a placeholder', async () => {
    const role = { Type: 'AWS::IAM::Role', Properties: { Policies: { 'Fn::Cidr': [] } } };
    expect((await resolved({ ROLE: { 'Fn::GetAtt': ['role', 'Arn'] } }, { role })).ROLE).toBe(
      'left-out:role.Arn',
    );
  });

  it('makes secrets by their rules and keeps a secret’s shape', async () => {
    const values = await resolved(
      {
        PLAIN: { 'Fn::Join': ['', ['{{resolve:secretsmanager:', { Ref: 'plain' }, ':SecretString:::}}']] },
        USER: { 'Fn::Sub': '{{resolve:secretsmanager:${login}:SecretString:username::}}' },
        PASSWORD: { 'Fn::Sub': '{{resolve:secretsmanager:${login}:SecretString:password::}}' },
      },
      {
        plain: secret({ PasswordLength: 48, ExcludePunctuation: true }),
        login: secret({
          SecretStringTemplate: '{"username":"pds_owner"}',
          GenerateStringKey: 'password',
          PasswordLength: 30,
          ExcludeCharacters: ' %+~`#$&*()|[]{}:;<>?!\'/@"\\',
        }),
      },
    );
    expect(values.PLAIN).toMatch(/^[A-Za-z0-9]{48}$/);
    expect(values.USER).toBe('pds_owner');
    expect(values.PASSWORD).toMatch(/^[A-Za-z0-9,.=^_-]{30}$/);
  });

  it('fills the secret behind X_SECRET_ARN with the operator’s X, across stacks too', async () => {
    const data = {
      Resources: { token: secret({}) },
      Outputs: { out: { Value: { Ref: 'token' }, Export: { Name: 'data:token' } } },
    };
    const values = await resolved(
      {
        TELEGRAM_BOT_TOKEN_SECRET_ARN: { 'Fn::ImportValue': 'data:token' },
        VALUE: {
          'Fn::Sub': [
            '{{resolve:secretsmanager:${a}:SecretString:::}}',
            { a: { 'Fn::ImportValue': 'data:token' } },
          ],
        },
      },
      {},
      { data },
      { operatorSecrets: { TELEGRAM_BOT_TOKEN: '123:abc' } },
    );
    expect(values.VALUE).toBe('123:abc');
  });
});
