import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RunningCloud } from '../../../infra/local/cloud.ts';
import { lambda, runStacks } from './assembly.ts';

const CODE = {
  echo: `export const handler = async (event, context) => ({ event, context: { id: context.awsRequestId, left: context.getRemainingTimeInMillis() } });`,
  environment: 'export const handler = async () => ({ ...process.env, execArgv: process.execArgv });',
  slow: 'export const handler = () => new Promise((resolve) => setTimeout(resolve, 60_000));',
  blocked: 'export const handler = () => { for (;;); };',
  exits: 'export const handler = () => process.exit(7);',
  throws: `export const handler = async () => { throw new TypeError('no good'); };`,
  pid: `export const handler = async ({ ms = 0 }) => { await new Promise((r) => setTimeout(r, ms)); return process.pid; };`,
  prints: `export const handler = async () => { console.log('first\\nsecond'); console.error('third'); };`,
  large: `export const handler = async () => 'x'.repeat(7_000_000);`,
};

describe('functions of the local cloud', () => {
  let cloud: RunningCloud;
  const lines: string[] = [];
  const invoke = async (id: string, event: unknown = {}) => {
    const { payload, functionError } = await cloud.functions.invoke(id, event);
    return { answer: JSON.parse(payload), functionError };
  };

  beforeAll(async () => {
    process.env.LEAKS = 'from the parent';
    cloud = await runStacks(
      {
        service: {
          Resources: {
            echo: lambda('echo', { Timeout: 5 }),
            cold: lambda('pid', { Timeout: 15 }),
            environment: lambda('environment', {
              Environment: { Variables: { COLOR: 'red' } },
              MemorySize: 200,
            }),
            slow: lambda('slow', { Timeout: 1 }),
            blocked: lambda('blocked', { Timeout: 1 }),
            exits: lambda('exits'),
            throws: lambda('throws'),
            pid: lambda('pid'),
            reserved: lambda('pid', { ReservedConcurrentExecutions: 1 }),
            prints: lambda('prints'),
            large: lambda('large'),
          },
        },
      },
      CODE,
      { onLog: (id, line) => lines.push(`${id}: ${line}`) },
    );
  });
  afterAll(() => cloud.stop());

  it('hand over the event and a context with the time that is left', async () => {
    const { answer } = await invoke('echo', { hello: 'wörld' });
    expect(answer.event).toEqual({ hello: 'wörld' });
    expect(answer.context.left).toBeGreaterThan(4_000);
    expect(answer.context.id).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('get the environment of the template and of Lambda, and nothing of ours', async () => {
    const { answer } = await invoke('environment');
    expect(answer).toMatchObject({
      COLOR: 'red',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '200',
      AWS_REGION: 'us-east-1',
    });
    expect(answer.AWS_ENDPOINT_URL_KMS).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(answer.execArgv).toEqual(
      expect.arrayContaining(['--enable-source-maps', '--max-old-space-size=180']),
    );
    for (const name of ['LEAKS', 'HOME', 'NODE_OPTIONS', 'VITEST', 'NODE_ENV'])
      expect(answer).not.toHaveProperty(name);
  });

  it.each(['slow', 'blocked'])('are killed at their time-out: %s', async (id) => {
    const [before] = cloud.functions.pids(id);
    const { answer, functionError } = await invoke(id);
    expect(functionError).toBe('Unhandled');
    expect(answer).toEqual({
      errorType: 'Sandbox.Timedout',
      errorMessage: expect.stringMatching(/^RequestId: \S+ Error: Task timed out after 1\.00 seconds$/),
    });
    await expect.poll(() => isAlive(before)).toBe(false);
  });

  it('get their whole time-out, also in the first execution of a process', async () => {
    cloud.functions.kill('cold');
    expect((await invoke('cold', { ms: 11_000 })).functionError).toBeUndefined();
  });

  it('tell when the process exits in the middle', async () => {
    const { answer } = await invoke('exits');
    expect(answer.errorType).toBe('Runtime.ExitError');
    expect(answer.errorMessage).toContain('exit status 7');
    expect((await invoke('exits')).answer.errorType).toBe('Runtime.ExitError');
  });

  it('tell what the handler threw', async () => {
    const { answer, functionError } = await invoke('throws');
    expect(functionError).toBe('Unhandled');
    expect(answer).toMatchObject({ errorType: 'TypeError', errorMessage: 'no good' });
  });

  it('run each concurrent execution in a process of its own and reuse idle ones', async () => {
    const [first, second] = await Promise.all([invoke('pid', { ms: 100 }), invoke('pid', { ms: 100 })]);
    expect(first.answer).not.toBe(second.answer);
    expect([first.answer, second.answer]).toContain((await invoke('pid')).answer);
  });

  it('throttle above the reserved concurrency', async () => {
    const first = invoke('reserved', { ms: 200 });
    const { answer } = await invoke('reserved');
    expect(answer.errorType).toBe('TooManyRequestsException');
    expect((await first).functionError).toBeUndefined();
  });

  it('come back after SIGKILL; the execution at work ends with an exit error', async () => {
    const atWork = invoke('pid', { ms: 10_000 });
    await sleep(50);
    const killed = cloud.functions.pids('pid');
    cloud.functions.kill('pid');
    expect((await atWork).answer.errorMessage).toContain('signal: SIGKILL');
    expect(killed).not.toContain((await invoke('pid')).answer);
  });

  it('log line by line', async () => {
    await invoke('prints');
    await expect
      .poll(() => lines)
      .toEqual(expect.arrayContaining(['prints: first', 'prints: second', 'prints: third']));
  });

  it('refuse answers above 6 MB', async () => {
    expect((await invoke('large')).answer.errorType).toBe('Function.ResponseSizeTooLarge');
  });
});

describe('the start of the local cloud', () => {
  it('fails with what a module throws while it loads', async () => {
    const start = runStacks(
      { service: { Resources: { broken: lambda('broken') } } },
      { broken: `throw new Error('SESSION_SECRET: is missing'); export const handler = () => {};` },
    );
    await expect(start).rejects.toThrow('broken does not load: SESSION_SECRET: is missing');
  });

  it('runs a trigger and fails with its error', async () => {
    const start = runStacks(
      {
        service: {
          Resources: {
            provider: lambda('provider'),
            migrate: lambda('migrate'),
            run: {
              Type: 'Custom::Trigger',
              Properties: {
                ServiceToken: { 'Fn::GetAtt': ['provider', 'Arn'] },
                HandlerArn: { Ref: 'version' },
                InvocationType: 'RequestResponse',
                Timeout: '120000',
                ExecuteOnHandlerChange: true,
              },
            },
            version: { Type: 'AWS::Lambda::Version', Properties: { FunctionName: { Ref: 'migrate' } } },
          },
        },
      },
      {
        provider: 'nonsense',
        migrate: `export const handler = () => { throw new Error('relation "x" exists'); };`,
      },
    );
    await expect(start).rejects.toThrow(/^migrate failed: relation "x" exists$/);
  });
});

function isAlive(pid: number | undefined): boolean {
  try {
    process.kill(pid ?? -1, 0);
    return true;
  } catch {
    return false;
  }
}
