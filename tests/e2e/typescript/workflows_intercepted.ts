// A workflow whose errors an interceptor turns into failures of the workflow.
import { ApplicationFailure, type WorkflowInterceptorsFactory } from '@temporalio/workflow';

class Special extends Error {}

export async function special(): Promise<void> {
  throw new Special('very special');
}

export const interceptors: WorkflowInterceptorsFactory = () => ({
  inbound: [{
    async execute(input, next) {
      try {
        return await next(input);
      } catch (e) {
        if (e instanceof Special) throw ApplicationFailure.nonRetryable(e.message, 'Special');
        throw e;
      }
    },
  }],
});
