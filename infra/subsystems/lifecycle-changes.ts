import { Duration } from 'aws-cdk-lib';
import { GraphWidget, type IWidget, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { TIMES } from '../../lib/provisioning/times.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';
import { type AlarmProps, addAlarm, countedBy, PERIOD, toldBy } from '../alarm.ts';
import { addFunction, type Ground } from '../function.ts';
import { queueGraph } from '../watch.ts';

/** How many members are changed at once. */
const WORKERS = 5;

/** The worker that changes identities: new keys, another name, another PDS, an end. Its queue is provisioning's. */
export function addChanges(scope: Construct, ground: Ground & { readonly changesQueue: IQueue }): Lambda {
  const { stage, data, changesQueue } = ground;
  const worker = addFunction(scope, ground, {
    subsystem: 'lifecycle',
    operation: 'change-identity',
    role: 'worker',
    timeout: Duration.seconds(TIMES[stage.times].change),
    // A repository passes through it.
    memoryMb: 1024,
    // An export lays the repository, or a file in it, there first: its size stands before it in the archive.
    storageMb: 4096,
    settings: [...WORKER_SETTINGS, 'CHANGES_QUEUE_URL', 'EXPORTS_BUCKET'],
  });
  worker.addEventSource(
    // One member an invocation, as in provisioning.
    new SqsEventSource(changesQueue, {
      batchSize: 1,
      reportBatchItemFailures: true,
      maxConcurrency: WORKERS,
    }),
  );
  for (const [id, props] of Object.entries(alarms(worker, changesQueue)))
    addAlarm(scope, `${id}-alarm`, props, data.operators);
  return worker;
}

/** The kinds of changes, as they are counted when they end (lib/lifecycle/changes/perform.ts). */
const KINDS = ['RotateKeys', 'Rename', 'Revoke', 'ComeBack', 'Delete', 'Join', 'Move', 'HandOver'];

/** What waits, how changes ended, how many are open, and for how long the oldest has been. */
export function changeGraphs(queue: IQueue): IWidget[] {
  const ended = (how: string) =>
    KINDS.map((kind) => counted(`${kind}${how}`).with({ label: `${kind} ${how.toLowerCase()}` }));
  const byHour = { period: HOUR, statistic: Stats.MAXIMUM };
  return [
    queueGraph('Changes: messages', queue),
    new GraphWidget({ title: 'Changes: done', width: 12, left: ended('Done') }),
    new GraphWidget({
      title: 'Changes: failed, cancelled',
      width: 12,
      left: [...ended('Failed'), ...ended('Cancelled')],
    }),
    new GraphWidget({
      title: 'Changes: open',
      width: 24,
      left: [
        counted('ChangesOpen').with({ ...byHour, label: 'due and not over' }),
        counted('ChangesOverdue').with({ ...byHour, label: 'overdue' }),
      ],
      right: [counted('OldestOpenChange').with({ ...byHour, label: 'oldest, milliseconds' })],
    }),
  ];
}

const HOUR = Duration.hours(1);
const counted = (metricName: string) => countedBy('lifecycle', metricName);

function alarms(worker: Lambda, queue: IQueue): Record<string, AlarmProps> {
  return {
    'changes-errors': {
      metric: worker.metricErrors({ period: PERIOD }),
      threshold: 2,
      means: 'The worker that changes identities crashes or times out. Its messages come back.',
      todo: 'read the log of change-identity; what crashes five times becomes a dead letter, and its change is resumed by a redrive.',
    },
    'changes-throttles': {
      metric: worker.metricThrottles({ period: PERIOD }),
      threshold: 0,
      means:
        "The worker that changes identities is turned away: the account's Lambda concurrency is used up.",
      todo: 'raise the quota "Concurrent executions" or find what uses it up; messages come back by themselves.',
    },
    'changes-cut-short': {
      metric: counted('ProvisioningCrashed'),
      threshold: 2,
      means:
        'The worker that changes identities cannot write down how its work ended. Its messages come back, half an hour later.',
      todo: 'read "message not processed" in the log of change-identity; most likely the database does not answer.',
    },
    'changes-given-up': { metric: counted('ProvisioningFailed'), threshold: 0, ...toldBy('work_failed') },
    'changes-overdue': {
      metric: counted('ChangesOverdue').with({ period: HOUR }),
      threshold: 0,
      means:
        'A change of an identity has been open for longer than its kind may take, and its member can begin no other.',
      todo:
        'look at GET /api/admin/changes, the oldest first: `waits_for` and `error_code` say why it does not go on ' +
        '(README, "Changes under way").',
    },
    'changes-late': {
      metric: queue.metricApproximateAgeOfOldestMessage({ period: PERIOD, statistic: Stats.MAXIMUM }),
      threshold: Duration.hours(1).toSeconds(),
      means: 'Messages about changes of identities have waited for over an hour.',
      todo: 'look at errors, throttles and duration of change-identity; if it is only slow, raise WORKERS in lifecycle-changes.ts.',
    },
  };
}
