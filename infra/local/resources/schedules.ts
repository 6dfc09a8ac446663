import { randomUUID } from 'node:crypto';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import * as z from 'zod';
import { checkExpression, type Schedule, startSchedule } from '../events/schedule.ts';
import { invokeAsync } from '../lambda/async-invoke.ts';
import type { InvokeResult } from '../lambda/spec.ts';
import { arn, type Cloud, functionByArn, kind, physicalName } from './cloud.ts';
import { queueUrlOf } from './queues.ts';

type Target = { arn: string; event: () => unknown; deadLetterArn: string | undefined };

const deadLetterConfig = z.object({ Arn: z.string() }).optional();

/** AWS::Scheduler::Schedule with a Lambda or a queue as its target. */
const schedule = kind(
  {
    ScheduleExpression: z.string(),
    ScheduleExpressionTimezone: z.string().optional(),
    State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
    Target: z.strictObject({
      Arn: z.string(),
      Input: z.string().optional(),
      DeadLetterConfig: deadLetterConfig,
      RetryPolicy: z.unknown().optional(),
      RoleArn: z.unknown().optional(),
    }),
  },
  ['Name', 'GroupName', 'FlexibleTimeWindow', 'StartDate', 'EndDate'],
  async (cloud, resource, { ScheduleExpression, ScheduleExpressionTimezone, State, Target }) => {
    const input = Target.Input === undefined ? {} : JSON.parse(Target.Input);
    addSchedule(cloud, {
      id: resource.name,
      expression: ScheduleExpression,
      timezone: ScheduleExpressionTimezone,
      enabled: State === 'ENABLED',
      targets: [{ arn: Target.Arn, event: () => input, deadLetterArn: Target.DeadLetterConfig?.Arn }],
    });
    const name = physicalName(resource);
    return { ref: name, attributes: { Arn: arn(cloud, 'scheduler', `schedule/default/${name}`) } };
  },
);

/** AWS::Events::Rule that runs by the clock. */
const rule = kind(
  {
    ScheduleExpression: z.string(),
    State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
    Targets: z.array(
      z.strictObject({
        Id: z.string(),
        Arn: z.string(),
        Input: z.string().optional(),
        DeadLetterConfig: deadLetterConfig,
        RetryPolicy: z.unknown().optional(),
      }),
    ),
  },
  ['Name', 'EventBusName', 'RoleArn'],
  async (cloud, resource, { ScheduleExpression, State, Targets }) => {
    const name = physicalName(resource);
    const ruleArn = arn(cloud, 'events', `rule/${name}`);
    addSchedule(cloud, {
      id: resource.name,
      expression: ScheduleExpression,
      timezone: undefined,
      enabled: State === 'ENABLED',
      targets: Targets.map(({ Arn, Input, DeadLetterConfig }) => ({
        arn: Arn,
        event: () => (Input === undefined ? scheduledEvent(cloud, ruleArn) : JSON.parse(Input)),
        deadLetterArn: DeadLetterConfig?.Arn,
      })),
    });
    return { ref: name, attributes: { Arn: ruleArn } };
  },
);

type Declared = Pick<Schedule, 'id' | 'expression' | 'timezone' | 'enabled'> & { targets: Target[] };

function addSchedule(cloud: Cloud, { targets, ...declared }: Declared): void {
  checkExpression(declared.expression);
  if (cloud.schedules.has(declared.id)) throw new Error(`there are two schedules named ${declared.id}`);
  const added: Schedule = {
    ...declared,
    fire: () => Promise.all(targets.map((target) => deliverOnce(cloud, target))),
    async deliver(signal) {
      await Promise.all(targets.map((target) => deliver(cloud, target, signal)));
    },
  };
  cloud.schedules.set(added.id, added);
  cloud.starters.push(() =>
    startSchedule(added, (error) => cloud.onNotice(`Schedule ${added.id}: ${String(error)}`)),
  );
}

async function deliverOnce(cloud: Cloud, target: Target): Promise<InvokeResult> {
  if (!target.arn.includes(':sqs:')) return functionByArn(cloud, target.arn).invoke(target.event());
  await send(cloud, target.arn, target.event());
  return { payload: 'null' };
}

/**
 * Lambda takes a scheduled event asynchronously: its errors follow the function's own retries and failure
 * destination. The target's dead-letter queue gets what could not be delivered at all.
 */
async function deliver(cloud: Cloud, target: Target, signal: AbortSignal): Promise<void> {
  if (target.arn.includes(':sqs:')) return send(cloud, target.arn, target.event());
  const fn = functionByArn(cloud, target.arn);
  const { retries = 2, onFailure } = cloud.asyncPolicies.get(fn.spec.id) ?? {};
  const event = target.event();
  const result = await invokeAsync(
    { fn, signal },
    {
      retries,
      onFailure: async ({ result, tries }) => {
        const record = failureRecord(fn.spec.arn, event, result, tries);
        if (onFailure) await send(cloud, onFailure, record);
      },
    },
    event,
  );
  if (result.refused && target.deadLetterArn) await send(cloud, target.deadLetterArn, event);
}

async function send(cloud: Cloud, queueArn: string, body: unknown): Promise<void> {
  const QueueUrl = queueUrlOf(cloud, queueArn);
  await cloud.sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(body) }));
}

/** https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html */
function failureRecord(functionArn: string, event: unknown, result: InvokeResult, tries: number) {
  return {
    version: '1.0',
    timestamp: new Date().toISOString(),
    requestContext: {
      requestId: randomUUID(),
      functionArn: `${functionArn}:$LATEST`,
      condition: 'RetriesExhausted',
      approximateInvokeCount: tries,
    },
    requestPayload: event,
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: result.functionError },
    responsePayload: JSON.parse(result.payload),
  };
}

function scheduledEvent(cloud: Cloud, ruleArn: string) {
  return {
    version: '0',
    id: randomUUID(),
    'detail-type': 'Scheduled Event',
    source: 'aws.events',
    account: cloud.account,
    time: new Date().toISOString(),
    region: cloud.region,
    resources: [ruleArn],
    detail: {},
  };
}

export const scheduleKinds = { 'AWS::Scheduler::Schedule': schedule, 'AWS::Events::Rule': rule };
