import { Duration, Stack } from 'aws-cdk-lib';
import { GraphWidget, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import { Schedule, ScheduleExpression } from 'aws-cdk-lib/aws-scheduler';
import { LambdaInvoke } from 'aws-cdk-lib/aws-scheduler-targets';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { TIMES } from '../../lib/provisioning/times.ts';
import { acceptSchedule } from '../accepted-findings.ts';
import { type AlarmProps, addAlarm, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { durations, failures, type Watched } from '../watch.ts';

/** SQS gives a message to a worker that often before it counts as poison. */
const MAX_RECEIVE_COUNT = 5;
/** How many members are provisioned at once: one database connection each, and what a PDS takes (8 at a time). */
const WORKERS = 10;
const DEAD_LETTER_TIMEOUT = Duration.seconds(30);
const RELAY_TIMEOUT = Duration.seconds(30);

/** The saga's worker, its queue, the relay that makes up for lost messages, and what becomes of poison. */
export class Provisioning extends Construct {
  readonly queue: Queue;
  readonly watched: Watched;

  constructor(scope: Construct, id: string, base: Omit<Ground, 'queue'>) {
    super(scope, id);
    const times = TIMES[base.stage.times];
    const deadLetters = this.#addQueue(base, 'provisioning-dead-letters', {
      retentionPeriod: Duration.days(14),
      visibilityTimeout: Duration.seconds(6 * DEAD_LETTER_TIMEOUT.toSeconds()),
    });
    const queue = this.#addQueue(base, 'provisioning', {
      // A message keeps the age it has when it moves to the dead letters: their 14 days count from here.
      retentionPeriod: Duration.days(4),
      visibilityTimeout: Duration.seconds(times.visibility),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: MAX_RECEIVE_COUNT },
    });
    this.queue = queue;
    const ground = { ...base, queue };

    const worker = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'provision-identity',
      role: 'worker',
      timeout: Duration.seconds(times.worker),
      settings: [
        'PDS_ENVIRONMENT',
        'PDS_TIMES',
        'PDS_DOMAIN',
        'PDS_EMAIL_DOMAIN',
        'PDS_MODE',
        'PDS_DID_METHOD',
        'PDS_HANDLE_STRATEGY',
        'PDS_LOCAL_ENDPOINT',
        'PDS_REMOTE_PROVIDER',
        'PDS_PROVISIONING_ENABLED',
        'PDS_ADMIN_DID',
        'PDS_ADMIN_PASSWORD',
        'PDS_RATE_LIMIT_BYPASS_KEY',
        'PDS_PLC_URL',
        'PDS_KMS_KEY_ID',
        'PDS_ENCRYPTION_KEY',
        'DATABASE_URL',
        'PROVISIONING_QUEUE_URL',
      ],
    });
    worker.addEventSource(
      new SqsEventSource(queue, {
        // One member an invocation: a run has the worker's whole time for itself, and a crash or time-out (which says
        // nothing about which message it was) sends nobody else's message towards the dead letters.
        batchSize: 1,
        reportBatchItemFailures: true,
        maxConcurrency: WORKERS,
      }),
    );

    const relay = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'relay',
      role: 'worker',
      timeout: RELAY_TIMEOUT,
      settings: ['DATABASE_URL', 'PROVISIONING_QUEUE_URL', 'PDS_PROVISIONING_ENABLED', 'PDS_TIMES'],
    });
    // The next minute comes anyway.
    relay.configureAsyncInvoke({ retryAttempts: 0, maxEventAge: Duration.minutes(1) });
    const unstarted = this.#addQueue(base, 'provisioning-relay-dead-letters', {
      retentionPeriod: Duration.days(14),
    });
    new Schedule(this, 'relay-every-minute', {
      scheduleName: `${base.stage.name}-relay-every-minute`,
      description: 'Sends the rows of the queue table that are due',
      schedule: ScheduleExpression.rate(Duration.minutes(1)),
      target: new LambdaInvoke(relay, {
        deadLetterQueue: unstarted,
        retryAttempts: 0,
        maxEventAge: Duration.minutes(1),
      }),
    });

    acceptSchedule(Stack.of(this), relay, unstarted);

    const deadLetter = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'dead-letter',
      role: 'worker',
      timeout: DEAD_LETTER_TIMEOUT,
      settings: ['DATABASE_URL'],
    });
    deadLetter.addEventSource(
      new SqsEventSource(deadLetters, { batchSize: 10, reportBatchItemFailures: true, maxConcurrency: 2 }),
    );

    this.#addAlarms(base, { queue, deadLetters, unstarted, worker, relay, deadLetter });
    this.watched = {
      title: 'provisioning',
      row: [
        new GraphWidget({
          title: 'Waiting and dead messages',
          width: 12,
          left: [
            queue.metricApproximateNumberOfMessagesVisible({ label: 'waiting' }),
            queue.metricApproximateNumberOfMessagesNotVisible({ label: 'in work' }),
            deadLetters.metricApproximateNumberOfMessagesVisible({ label: 'dead' }),
          ],
          right: [queue.metricApproximateAgeOfOldestMessage({ label: 'oldest, seconds' })],
        }),
        durations([worker, relay, deadLetter]),
        failures([worker, relay, deadLetter]),
      ],
    };
  }

  #addQueue(
    { stage }: Pick<Ground, 'stage'>,
    id: string,
    props: ConstructorParameters<typeof Queue>[2],
  ): Queue {
    return new Queue(this, id, {
      queueName: `${stage.name}-${id}`,
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      ...props,
    });
  }

  #addAlarms(
    { data }: Pick<Ground, 'data'>,
    parts: Record<'queue' | 'deadLetters' | 'unstarted', Queue> &
      Record<'worker' | 'relay' | 'deadLetter', Lambda>,
  ): void {
    const { queue, deadLetters, unstarted, worker, relay, deadLetter } = parts;
    const alarms: Record<string, AlarmProps> = {
      'dead-letters': {
        metric: deadLetters.metricApproximateNumberOfMessagesVisible({ period: PERIOD }),
        threshold: 0,
        means: `A member's provisioning crashed or timed out ${MAX_RECEIVE_COUNT} times and is marked as failed.`,
        todo: 'read the error in table dead_letters and the log of provision-identity, repair, then redrive the queue row.',
      },
      'oldest-message': {
        metric: queue.metricApproximateAgeOfOldestMessage({ period: PERIOD }),
        threshold: Duration.minutes(15).toSeconds(),
        means: 'Members have waited over 15 minutes for their identity.',
        todo:
          'if the PDS is down or limits our rate, its circuit is open (table pds_providers) and they complete by ' +
          'themselves when it is back; else look at errors of provision-identity.',
      },
      'worker-errors': {
        metric: worker.metricErrors({ period: PERIOD }),
        threshold: 2,
        means:
          'The provisioning worker crashes or times out. Its messages come back and are lost to no one yet.',
        todo: `read the log of provision-identity; after ${MAX_RECEIVE_COUNT} receives a message becomes a dead letter.`,
      },
      'worker-throttles': {
        metric: worker.metricThrottles({ period: PERIOD }),
        threshold: 0,
        means:
          "The worker is turned away: the account's Lambda concurrency is used up, and receives are spent on it.",
        todo: 'raise the quota "Concurrent executions" or find what uses it up.',
      },
      'relay-silent': {
        metric: relay.metricInvocations({ period: PERIOD }),
        threshold: 1,
        whenBelow: true,
        whenSilent: TreatMissingData.BREACHING,
        means: 'The relay does not run: retries, parked members and lost messages wait.',
        todo: 'see whether its schedule is enabled and may invoke it, and read the dead letters of the schedule.',
      },
      'relay-errors': {
        metric: relay.metricErrors({ period: PERIOD }),
        threshold: 2,
        means: 'The relay fails: retries, parked members and lost messages wait.',
        todo: 'read the log of relay; most likely the database or SQS does not answer.',
      },
      'relay-not-started': {
        metric: unstarted.metricApproximateNumberOfMessagesVisible({ period: PERIOD }),
        threshold: 0,
        means: 'EventBridge Scheduler could not start the relay.',
        todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
      },
      'dead-letter-errors': {
        metric: deadLetter.metricErrors({ period: PERIOD }),
        threshold: 0,
        means: 'Dead letters cannot be written down: their members still say "pending".',
        todo: 'read the log of dead-letter; the messages stay in the queue for 14 days and are taken again by themselves.',
      },
    };
    for (const [id, props] of Object.entries(alarms)) addAlarm(this, `${id}-alarm`, props, data.operators);
  }
}
