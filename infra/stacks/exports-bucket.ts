import { Duration, RemovalPolicy, type Stack } from 'aws-cdk-lib';
import { BlockPublicAccess, Bucket, BucketEncryption, ObjectOwnership } from 'aws-cdk-lib/aws-s3';

/**
 * Where the archives lie that members take with them. The clean-up removes each after 7 days (lib/lifecycle/export); what
 * it should ever forget ends by itself, and so does an upload that nobody goes on with. Nothing in it is worth a version.
 */
export function addExportsBucket(stack: Stack): Bucket {
  return new Bucket(stack, 'exports', {
    lifecycleRules: [{ expiration: Duration.days(9), abortIncompleteMultipartUploadAfter: Duration.days(7) }],
    encryption: BucketEncryption.S3_MANAGED,
    blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
    objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
    enforceSSL: true,
    removalPolicy: RemovalPolicy.RETAIN,
  });
}
