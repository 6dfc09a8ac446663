import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { Cron } from 'croner';
import { describe, expect, it } from 'vitest';
import { checkExpression, toCroner } from '../../../infra/local/events/schedule.ts';
import { invokeAsync } from '../../../infra/local/lambda/async-invoke.ts';
import type { LambdaFunction } from '../../../infra/local/lambda/function.ts';
import { lambda, runStacks } from './assembly.ts';

const CODE = {
  echo: 'export const handler = async (event) => { console.log(JSON.stringify(event)); return event; };',
};
const scheduleOf = (properties: object) => ({
  Type: 'AWS::Scheduler::Schedule',
  Properties: { FlexibleTimeWindow: { Mode: 'OFF' }, ...properties },
});

describe('schedules', () => {
  it('fire by hand, run a rate from the start, and leave the disabled alone', async () => {
    const seen: string[] = [];
    const target = (fn: string, Input: string) => ({ Arn: { 'Fn::GetAtt': [fn, 'Arn'] }, Input });
    const cloud = await runStacks(
      {
        service: {
          Resources: {
            echo: lambda('echo'),
            queue: { Type: 'AWS::SQS::Queue' },
            often: scheduleOf({ ScheduleExpression: 'rate(1 minute)', Target: target('echo', '"often"') }),
            daily: scheduleOf({
              ScheduleExpression: 'cron(0 3 * * ? *)',
              Target: target('echo', '{"day":1}'),
            }),
            off: scheduleOf({
              ScheduleExpression: 'rate(1 minute)',
              State: 'DISABLED',
              Target: target('echo', '"off"'),
            }),
            message: scheduleOf({ ScheduleExpression: 'rate(1 day)', Target: target('queue', '"message"') }),
            rule: {
              Type: 'AWS::Events::Rule',
              Properties: {
                ScheduleExpression: 'rate(1 hour)',
                State: 'DISABLED',
                Targets: [{ Id: 'a', Arn: { 'Fn::GetAtt': ['echo', 'Arn'] } }],
              },
            },
          },
        },
      },
      CODE,
      { onLog: (_fn, line) => seen.push(line) },
    );
    try {
      await expect.poll(() => seen).toEqual(['"often"']);
      expect(await cloud.fire('daily')).toEqual([{ payload: '{"day":1}' }]);
      const [result] = await cloud.fire('rule');
      expect(JSON.parse(result?.payload ?? '')).toMatchObject({
        source: 'aws.events',
        account: '000000000000',
      });
      await expect(async () => cloud.fire('nothing')).rejects.toThrow(
        'there is no schedule nothing; there are daily',
      );
      const sqs = new SQSClient({
        endpoint: cloud.environment.AWS_ENDPOINT_URL_SQS,
        region: 'us-east-1',
        credentials: { accessKeyId: 'a', secretAccessKey: 'b' },
      });
      const QueueUrl = cloud.queueUrl('queue');
      const { Messages } = await sqs.send(new ReceiveMessageCommand({ QueueUrl, WaitTimeSeconds: 2 }));
      sqs.destroy();
      expect(Messages?.map(({ Body }) => Body)).toEqual(['"message"']);
    } finally {
      await cloud.stop();
    }
  });

  it.each([
    ['cron(0 3 * * ? *)', '2026-11-22T03:00:00.000Z'],
    ['cron(15 10 ? * 2 *)', '2026-11-23T10:15:00.000Z'],
    ['cron(0 12 ? * MON-FRI *)', '2026-11-23T12:00:00.000Z'],
    ['cron(0/30 * * * ? *)', '2026-11-22T00:30:00.000Z'],
    ['cron(10-40/15 5 * * ? *)', '2026-11-22T05:10:00.000Z'],
    ['cron(0 0 1 * ? 2027)', '2027-01-01T00:00:00.000Z'],
    ['cron(0 8 ? * 1,7 *)', '2026-11-22T08:00:00.000Z'],
  ])('read %s as AWS does', (expression, next) => {
    // 2026-11-22 is a Sunday.
    const job = new Cron(toCroner(expression), { timezone: 'Etc/UTC', paused: true });
    expect(job.nextRun(new Date('2026-11-22T00:00:00Z'))?.toISOString()).toBe(next);
  });

  it.each(['at(2026-11-22T10:00:00)', 'cron(0 3 * * *)', 'rate(1 week)', 'cron(61 * * * ? *)'])(
    'refuse %s',
    (text) => {
      expect(() => checkExpression(text)).toThrow();
    },
  );
});

describe('an event that nobody waits for', () => {
  const fn = (outcomes: boolean[]) => {
    let calls = 0;
    const invoke = async () =>
      outcomes[calls++] ? { payload: '1' } : { payload: '{}', functionError: 'Unhandled' as const };
    return { calls: () => calls, fn: { invoke } as unknown as LambdaFunction };
  };
  const { signal } = new AbortController();

  it('is tried again and then handed to the failure destination', async () => {
    const failing = fn([false, false, false, true]);
    const failures: number[] = [];
    const onFailure = async ({ tries }: { tries: number }) => void failures.push(tries);
    await invokeAsync({ ...failing, signal, delaysMs: [1, 1] }, { retries: 2, onFailure }, {});
    expect([failing.calls(), failures]).toEqual([3, [3]]);
  });

  it('is done with the first success', async () => {
    const recovering = fn([false, true]);
    const result = await invokeAsync({ ...recovering, signal, delaysMs: [1] }, { retries: 2 }, {});
    expect([recovering.calls(), result.functionError]).toEqual([2, undefined]);
  });
});
