import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IMetric,
  Metric,
  Stats,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { SnsAction } from 'aws-cdk-lib/aws-cloudwatch-actions';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { NOTICES, type NoticeKind } from '../lib/operators/notices.ts';

export type AlarmText = {
  /** What is wrong, for somebody who is woken by it. */
  readonly means: string;
  /** What to do about it, first things first. */
  readonly todo: string;
};

export type AlarmProps = AlarmText & {
  readonly metric: IMetric;
  /** The alarm goes off above this (or below, for `whenBelow`). */
  readonly threshold: number;
  readonly whenBelow?: boolean;
  /** Periods in a row; one by default. */
  readonly periods?: number;
  /** What silence means. Default: that all is well. */
  readonly whenSilent?: TreatMissingData;
  /** By this notice operators hear of it, with what it is about: the alarm shows it, and tells nobody a second time. */
  readonly toldBy?: NoticeKind;
};

/** The text of an alarm, and its silence, where operators are told by a notice. */
export function toldBy(kind: NoticeKind): AlarmText & Pick<AlarmProps, 'toldBy'> {
  const { means, todo } = NOTICES[kind];
  return { means, todo, toldBy: kind };
}

/** The period over which the counts of alarms and dashboards are made. */
export const PERIOD = Duration.minutes(5);

/** An alarm that tells the operators what it means and what to do, unless a notice does. Its name is its construct path. */
export function addAlarm(
  scope: Construct,
  id: string,
  { metric, threshold, whenBelow, periods, whenSilent, means, todo, toldBy: notice }: AlarmProps,
  operators: ITopic,
): Alarm {
  const alarm = new Alarm(scope, id, {
    metric,
    threshold,
    comparisonOperator: whenBelow
      ? ComparisonOperator.LESS_THAN_THRESHOLD
      : ComparisonOperator.GREATER_THAN_THRESHOLD,
    evaluationPeriods: periods ?? 1,
    treatMissingData: whenSilent ?? TreatMissingData.NOT_BREACHING,
    alarmDescription: `${means} What to do: ${todo}`,
  });
  if (notice) return alarm;
  alarm.addAlarmAction(new SnsAction(operators));
  alarm.addOkAction(new SnsAction(operators));
  return alarm;
}

/** What the functions of a service count themselves (lib/observability/metrics.ts). */
export function countedBy(service: string, metricName: string): Metric {
  return new Metric({
    namespace: 'PdsProvisioning',
    metricName,
    dimensionsMap: { service },
    statistic: Stats.SUM,
    period: PERIOD,
  });
}
