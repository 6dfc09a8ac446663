import { GraphWidget, type IMetric, type IWidget, MathExpression, Stats } from 'aws-cdk-lib/aws-cloudwatch';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { IQueue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { type AlarmText, addAlarm, PERIOD } from './alarm.ts';

/** What a subsystem puts on the dashboard: its title and its row of graphs. */
export type Watched = { readonly title: string; readonly row: readonly IWidget[] };

/** An alarm adds up ten metrics at most (CloudWatch, "Metric math"). */
const MOST_IN_AN_ALARM = 10;

function inAlarmSizes(functions: readonly Lambda[]): Lambda[][] {
  const count = Math.ceil(functions.length / MOST_IN_AN_ALARM);
  return Array.from({ length: count }, (_, index) =>
    functions.slice(index * MOST_IN_AN_ALARM, (index + 1) * MOST_IN_AN_ALARM),
  );
}

/** Alarms and graphs that every group of functions has. */
export function watchRoutes(
  scope: Construct,
  title: string,
  functions: readonly Lambda[],
  operators: ITopic,
  text: AlarmText,
): Watched {
  inAlarmSizes(functions).forEach((some, index) => {
    const suffix = index === 0 ? '' : `-${index + 1}`;
    addAlarm(
      scope,
      `errors${suffix}`,
      {
        metric: total(some, 'errors', (fn) => fn.metricErrors({ period: PERIOD })),
        threshold: 2,
        ...text,
      },
      operators,
    );
    addAlarm(
      scope,
      `throttles${suffix}`,
      {
        metric: total(some, 'throttles', (fn) => fn.metricThrottles({ period: PERIOD })),
        threshold: 0,
        means: `Functions of ${title} are turned away: the account's Lambda concurrency is used up.`,
        todo: 'look for a burst in the dashboard (or at the WAF, if it is an attack) and raise the quota "Concurrent executions".',
      },
      operators,
    );
  });
  return { title, row: [durations(functions), failures(functions)] };
}

export function durations(functions: readonly Lambda[]): IWidget {
  const left = functions.map((fn) =>
    fn.metricDuration({ period: PERIOD, statistic: Stats.p(95), label: shortName(fn) }),
  );
  return new GraphWidget({ title: 'Duration, p95', width: 12, left });
}

export function failures(functions: readonly Lambda[]): IWidget {
  const left = functions.map((fn) => fn.metricErrors({ period: PERIOD, label: shortName(fn) }));
  return new GraphWidget({ title: 'Errors', width: 12, left });
}

/** What waits in a queue and, if they are its own, in its dead letters. */
export function queueGraph(title: string, queue: IQueue, deadLetters?: IQueue): GraphWidget {
  return new GraphWidget({
    title,
    width: 24,
    left: [
      queue.metricApproximateNumberOfMessagesVisible({ label: 'waiting' }),
      queue.metricApproximateNumberOfMessagesNotVisible({ label: 'in work' }),
      ...(deadLetters ? [deadLetters.metricApproximateNumberOfMessagesVisible({ label: 'dead' })] : []),
    ],
    right: [queue.metricApproximateAgeOfOldestMessage({ label: 'oldest, seconds' })],
  });
}

/** One sum over several functions: an alarm for the group instead of one each. */
export function total(
  functions: readonly Lambda[],
  label: string,
  metricOf: (fn: Lambda) => IMetric,
): IMetric {
  const usingMetrics = Object.fromEntries(functions.map((fn, index) => [`m${index}`, metricOf(fn)]));
  return new MathExpression({
    expression: Object.keys(usingMetrics).join(' + '),
    usingMetrics,
    label,
    period: PERIOD,
  });
}

function shortName(fn: Lambda): string {
  return fn.node.id;
}
