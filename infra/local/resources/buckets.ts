import * as z from 'zod';
import { boolean, kind, physicalName } from './cloud.ts';

/** AWS::S3::Bucket; what is in one whose objects are locked is never changed (aws/s3). */
const bucket = kind(
  { BucketName: z.string().optional(), ObjectLockEnabled: boolean.default(false) },
  [
    'BucketEncryption',
    'LifecycleConfiguration',
    'ObjectLockConfiguration',
    'OwnershipControls',
    'PublicAccessBlockConfiguration',
    'VersioningConfiguration',
  ],
  async (cloud, resource, { BucketName, ObjectLockEnabled }) => {
    const name = BucketName ?? physicalName(resource).toLowerCase();
    cloud.addBucket({ name, locked: ObjectLockEnabled });
    return { ref: name, attributes: { Arn: `arn:aws:s3:::${name}` } };
  },
);

export const bucketKinds = { 'AWS::S3::Bucket': bucket };
