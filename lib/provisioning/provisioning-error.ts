import { AppError } from '../app-error.ts';

/**
 * An error of the saga whose message is written for the member and for whoever helps him. He reads it as
 * `error.message` of his info; the message of any other error goes into the log only, since it may name keys or tables.
 */
export class ProvisioningError extends AppError {}
