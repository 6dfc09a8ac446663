import { Duration } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import type { Function as Lambda } from 'aws-cdk-lib/aws-lambda';
import { SqsEventSource } from 'aws-cdk-lib/aws-lambda-event-sources';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import { Construct } from 'constructs';
import { PROVIDER_RIGHTS, PROVIDER_SETTINGS } from '../../lib/pds/provider-settings.ts';
import * as contracts from '../../lib/provisioning/api.ts';
import { TIMES } from '../../lib/provisioning/times.ts';
import { WORKER_SETTINGS } from '../../lib/provisioning/worker-settings.ts';
import { VAULT_SETTINGS } from '../../lib/vault/vault-settings.ts';
import { addFunction, type Ground } from '../function.ts';
import { addQueue } from '../queue.ts';
import { addRoutes, SESSION_SETTINGS } from '../routes.ts';
import { runRegularly } from '../run-regularly.ts';
import { durations, failures, queueGraph, type Watched, watchRoutes } from '../watch.ts';
import { addProvisioningAlarms, MAX_RECEIVE_COUNT } from './provisioning-alarms.ts';

/** How many members are provisioned at once: one database connection each, and what a PDS takes (8 at a time). */
const WORKERS = 10;
const TIMEOUT = Duration.seconds(30);

/** The saga's worker, its queue, the relay that makes up for lost messages, and what becomes of poison. */
export class Provisioning extends Construct {
  readonly queue: Queue;
  /** For the worker that changes identities (lifecycle-changes.ts): what dies there is seen to here, too. */
  readonly changesQueue: Queue;
  readonly watched: Watched;

  constructor(scope: Construct, id: string, base: Ground & { api: HttpApi }) {
    super(scope, id);
    const { stage, data } = base;
    const times = TIMES[stage.times];
    const deadLetters = addQueue(this, 'provisioning-dead-letters', stage.name, {
      retentionPeriod: Duration.days(14),
      visibilityTimeout: Duration.seconds(6 * TIMEOUT.toSeconds()),
    });
    this.queue = addQueue(this, 'provisioning', stage.name, {
      // A message keeps its age when it moves to the dead letters: their 14 days count from here.
      retentionPeriod: Duration.days(4),
      visibilityTimeout: Duration.seconds(times.visibility),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: MAX_RECEIVE_COUNT },
    });
    this.changesQueue = addQueue(this, 'changes', stage.name, {
      retentionPeriod: Duration.days(4),
      visibilityTimeout: Duration.seconds(6 * times.change),
      deadLetterQueue: { queue: deadLetters, maxReceiveCount: MAX_RECEIVE_COUNT },
    });
    const ground = { ...base, queue: this.queue, changesQueue: this.changesQueue };

    const worker = this.#addWorker(ground, Duration.seconds(times.worker));
    const { relay, unstarted } = this.#addRelay(ground);
    const deadLetter = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'dead-letter',
      role: 'worker',
      timeout: TIMEOUT,
      settings: ['DATABASE_URL'],
    });
    deadLetter.addEventSource(
      new SqsEventSource(deadLetters, { batchSize: 10, reportBatchItemFailures: true, maxConcurrency: 2 }),
    );
    const { reconciler, unreconciled } = this.#addReconciler(ground);
    const parts = {
      queue: this.queue,
      deadLetters,
      unstarted,
      unreconciled,
      worker,
      relay,
      deadLetter,
      reconciler,
    };
    addProvisioningAlarms(this, { ...parts, operators: data.operators });
    const { row } = this.#addRoutes({ ...ground, api: base.api });
    this.watched = {
      title: 'provisioning',
      row: [
        queueGraph('Messages', this.queue, deadLetters),
        durations([worker, relay, deadLetter, reconciler]),
        failures([worker, relay, deadLetter, reconciler]),
        ...row,
      ],
    };
  }

  /** What operators do about work that was given up. */
  #addRoutes(ground: Ground & { api: HttpApi }): Watched {
    const redriving = [...SESSION_SETTINGS, 'PDS_PROVISIONING_ENABLED', 'PROVISIONING_QUEUE_URL'] as const;
    const functions = addRoutes(this, ground, 'provisioning', contracts, {
      listDeadLetters: { settings: SESSION_SETTINGS },
      redriveWork: { settings: redriving },
      // It redrives for 18 s, then sends.
      redriveAll: { settings: redriving, timeout: Duration.seconds(29) },
    });
    return watchRoutes(this, 'provisioning', functions, ground.data.operators, {
      means: 'Administrators cannot list or redrive what was given up. Nothing is lost by that.',
      todo: 'read the log groups of the functions list-dead-letters and redrive-* for the error and its request id.',
    });
  }

  #addWorker(ground: Ground, timeout: Duration): Lambda {
    const worker = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'provision-identity',
      role: 'worker',
      timeout,
      settings: [...WORKER_SETTINGS, 'PROVISIONING_QUEUE_URL'],
    });
    worker.addEventSource(
      new SqsEventSource(this.queue, {
        // One member an invocation: a run has the worker's whole time for itself, and a crash or time-out (which says
        // nothing about which message it was) sends nobody else's message towards the dead letters.
        batchSize: 1,
        reportBatchItemFailures: true,
        maxConcurrency: WORKERS,
      }),
    );
    return worker;
  }

  #addRelay(ground: Ground): { relay: Lambda; unstarted: Queue } {
    const relay = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'relay',
      role: 'worker',
      timeout: TIMEOUT,
      settings: ['DATABASE_URL', 'PROVISIONING_QUEUE_URL', 'CHANGES_QUEUE_URL', 'PDS_PROVISIONING_ENABLED'],
    });
    const unstarted = runRegularly(this, ground.stage.name, relay, {
      name: 'relay',
      every: 'minute',
      description: 'Sends the rows of the queue table that are due',
    });
    return { relay, unstarted };
  }

  #addReconciler(ground: Ground): { reconciler: Lambda; unreconciled: Queue } {
    const reconciler = addFunction(this, ground, {
      subsystem: 'provisioning',
      operation: 'reconcile-orphans',
      role: 'worker',
      timeout: Duration.minutes(5),
      settings: [...PROVIDER_SETTINGS, ...PROVIDER_RIGHTS, ...VAULT_SETTINGS, 'PDS_TIMES', 'DATABASE_URL'],
    });
    const unreconciled = runRegularly(this, ground.stage.name, reconciler, {
      name: 'reconcile-orphans',
      every: 'quarterOfAnHour',
      description: 'Finds out what became of accounts that were perhaps left behind',
    });
    return { reconciler, unreconciled };
  }
}
