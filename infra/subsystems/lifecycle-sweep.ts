import { Duration } from 'aws-cdk-lib';
import { type IWidget, Stats, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import { type AlarmProps, addAlarm, countedBy, PERIOD } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { addQueue } from '../queue.ts';
import { runRegularly } from '../run-regularly.ts';
import { durations, failures, queueGraph } from '../watch.ts';

/** How many data keys are swept at once; each worker asks about four members at a time (lib/lifecycle/sweep/group.ts). */
const WORKERS = 5;
/** A run begins nothing new after a minute (functions/lifecycle/sweep-health.ts). */
const WORKER_TIMEOUT = Duration.minutes(2);
const MAX_RECEIVE_COUNT = 3;

/** The health sweep: its planner, every hour; its queue, a message for each data key; its worker. Returns its graphs. */
export function addSweep(scope: Construct, base: Ground): IWidget[] {
  const { stage, data } = base;
  const deadLetters = addQueue(scope, 'health-dead-letters', stage.name, {
    retentionPeriod: Duration.days(14),
  });
  const queue = addQueue(scope, 'health', stage.name, {
    // What is older is the next sweep's.
    retentionPeriod: Duration.hours(2),
    visibilityTimeout: Duration.seconds(6 * WORKER_TIMEOUT.toSeconds()),
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: MAX_RECEIVE_COUNT },
  });
  const ground = { ...base, healthQueue: queue };
  const planner = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'plan-health-sweep',
    role: 'worker',
    // It reads the lists of accounts for 12 minutes at most.
    timeout: Duration.minutes(15),
    settings: ['DATABASE_URL', 'HEALTH_QUEUE_URL', 'PDS_CREDENTIAL_CHECK_HOURS', ...PROVIDER_SETTINGS],
  });
  const unstarted = runRegularly(scope, stage.name, planner, {
    name: 'plan-health-sweep',
    every: 'hour',
    description: 'Looks how every provider and every member is',
  });
  const worker = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'sweep-health',
    role: 'worker',
    timeout: WORKER_TIMEOUT,
    settings: [
      'DATABASE_URL',
      'HEALTH_QUEUE_URL',
      ...VAULT_SETTINGS,
      'PDS_TIMES',
      'PDS_CREDENTIAL_CHECK_HOURS',
      'PDS_PLC_URL',
      ...PROVIDER_SETTINGS,
    ],
  });
  worker.addEventSource(
    new SqsEventSource(queue, { batchSize: 1, reportBatchItemFailures: true, maxConcurrency: WORKERS }),
  );
  for (const [id, props] of Object.entries(alarms({ planner, worker, queue, deadLetters, unstarted })))
    addAlarm(scope, `${id}-alarm`, props, data.operators);
  return [
    queueGraph('Messages', queue, deadLetters),
    durations([planner, worker]),
    failures([planner, worker]),
  ];
}

type Parts = Record<'planner' | 'worker', Lambda> & Record<'queue' | 'deadLetters' | 'unstarted', Queue>;

function alarms({ planner, worker, queue, deadLetters, unstarted }: Parts): Record<string, AlarmProps> {
  const maximum = { period: PERIOD, statistic: Stats.MAXIMUM };
  const hour = Duration.hours(1);
  return {
    'health-sweep-silent': {
      metric: planner.metricInvocations({ period: hour }),
      threshold: 1,
      whenBelow: true,
      periods: 2,
      whenSilent: TreatMissingData.BREACHING,
      means: 'For two hours nobody has looked how the members are: what fails now, nobody hears of.',
      todo:
        'see whether the schedule plan-health-sweep-hourly is enabled and may invoke the function, and read its dead ' +
        'letters; then invoke lifecycle-plan-health-sweep by hand.',
    },
    'health-sweep-not-started': {
      metric: unstarted.metricApproximateNumberOfMessagesVisible(maximum),
      threshold: 0,
      means: 'EventBridge Scheduler could not start the health sweep.',
      todo: 'read the error code in the attributes of the message, repair the role or the function, purge the queue.',
    },
    'health-sweep-planner-errors': {
      // It runs once an hour, and again twice when it fails.
      metric: planner.metricErrors({ period: hour }),
      threshold: 0,
      periods: 2,
      means:
        'Two health sweeps in a row broke off before their work was given out. Identities themselves go on working.',
      todo: 'read the log of plan-health-sweep; most likely the database or SQS does not answer. It repeats itself.',
    },
    'health-sweep-worker-errors': {
      metric: worker.metricErrors({ period: PERIOD }),
      threshold: 2,
      means: 'The workers of the health sweep crash or time out. Their messages come back.',
      todo: `read the log of sweep-health; after ${MAX_RECEIVE_COUNT} receives a message becomes a dead letter.`,
    },
    'health-sweep-cut-short': {
      metric: countedBy('lifecycle', 'HealthSweepCrashed'),
      threshold: 2,
      means: 'The health sweep cannot end its work on some members. Its messages come back.',
      todo: 'read "cohort not swept" in the log of sweep-health; most likely the database or KMS does not answer.',
    },
    'health-sweep-worker-throttles': {
      metric: worker.metricThrottles({ period: PERIOD }),
      threshold: 0,
      means: "The health sweep is turned away: the account's Lambda concurrency is used up.",
      todo: 'raise the quota "Concurrent executions" or find what uses it up; the next sweep does what this one could not.',
    },
    'health-sweep-late': {
      metric: queue.metricApproximateAgeOfOldestMessage(maximum),
      threshold: Duration.minutes(50).toSeconds(),
      means: 'The health sweep is not through when the next one begins: some members are not looked at.',
      todo: 'look at errors and duration of sweep-health; if it is only slow, raise WORKERS in lifecycle-sweep.ts.',
    },
    'health-dead-letters': {
      metric: deadLetters.metricApproximateNumberOfMessagesVisible(maximum),
      threshold: 0,
      means: 'The members of a data key could not be looked at, at least in one sweep.',
      todo:
        'find the data key of the message in the log of sweep-health, repair the cause, purge the queue: every sweep ' +
        'looks at everybody, so nothing has to be sent again.',
    },
    'account-list-broken': {
      metric: countedBy('lifecycle', 'AccountListBroken').with({ period: hour }),
      threshold: 0,
      periods: 3,
      means:
        'In three sweeps in a row the list of accounts of a PDS broke off: who is gone there, or not active, is found out ' +
        'only when his credentials are due.',
      todo:
        'read "the list of accounts broke off" in the log of plan-health-sweep and ask that PDS the same ' +
        '(/xrpc/com.atproto.sync.listRepos). Without such a line it took longer than 12 minutes.',
    },
    'credential-checks-over-budget': {
      metric: countedBy('lifecycle', 'CredentialChecksOverBudget').with({ period: hour }),
      threshold: 0,
      means: 'PDS_CREDENTIAL_CHECK_HOURS asks more of a PDS than sweeps may: checks come later than it says.',
      todo: 'set it to what the log of plan-health-sweep advises (README, "Health") and deploy.',
    },
  };
}
