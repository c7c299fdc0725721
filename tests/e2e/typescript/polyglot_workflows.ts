// A workflow whose child runs in another language.
import { executeChild } from '@temporalio/workflow';

export async function polyglot(): Promise<void> {
  await executeChild('PolyglotChild', {
    workflowId: 'polyglot-child', taskQueue: 'polyglot-python',
  });
}
