import type { Create } from '../template/deploy.ts';
import { bucketKinds } from './buckets.ts';
import type { Cloud } from './cloud.ts';
import { databaseKinds } from './databases.ts';
import { functionKinds } from './functions.ts';
import { httpApiKinds } from './http-apis.ts';
import { keyKinds } from './keys.ts';
import { queueKinds } from './queues.ts';
import { scheduleKinds } from './schedules.ts';
import { secretKinds } from './secrets.ts';
import { topicKinds } from './topics.ts';

/** Every resource type that runs locally. */
export function resourceKinds(cloud: Cloud): Record<string, Create> {
  const kinds = {
    ...bucketKinds,
    ...databaseKinds,
    ...functionKinds,
    ...httpApiKinds,
    ...keyKinds,
    ...queueKinds,
    ...scheduleKinds,
    ...secretKinds,
    ...topicKinds,
  };
  return Object.fromEntries(Object.entries(kinds).map(([type, kindOf]) => [type, kindOf(cloud)]));
}
