/** Runs an asynchronous task at the first call and gives every call its result; after a failure, the next tries again. */
export function once<T>(task: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= task().catch((error) => {
      result = undefined;
      throw error;
    });
    return result;
  };
}
