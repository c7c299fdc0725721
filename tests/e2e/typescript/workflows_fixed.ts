// The next deployment: the workflow that failed its tasks, without the bug.
export async function buggy(): Promise<string> {
  return 'fixed';
}
