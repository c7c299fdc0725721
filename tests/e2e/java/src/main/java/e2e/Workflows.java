package e2e;

import io.temporal.activity.Activity;
import io.temporal.activity.ActivityInterface;
import io.temporal.activity.ActivityOptions;
import io.temporal.common.RetryOptions;
import io.temporal.failure.ActivityFailure;
import io.temporal.failure.ApplicationFailure;
import io.temporal.failure.TimeoutFailure;
import io.temporal.workflow.QueryMethod;
import io.temporal.workflow.SignalMethod;
import io.temporal.workflow.UpdateMethod;
import io.temporal.workflow.UpdateValidatorMethod;
import io.temporal.workflow.Workflow;
import io.temporal.workflow.WorkflowInterface;
import io.temporal.workflow.WorkflowMethod;
import java.time.Duration;

/** The workflows and activities of the checks in {@link Main}. */
final class Workflows {
  private Workflows() {}

  @ActivityInterface
  public interface Accounts {
    /** Succeeds in its third attempt. */
    int flaky();

    /** Fails for good, with a chain of causes. */
    void transfer();

    /** Reports a page and then says nothing until it is over. */
    void stuck() throws InterruptedException;
  }

  public static final class AccountsImpl implements Accounts {
    @Override
    public int flaky() {
      int attempt = Activity.getExecutionContext().getInfo().getAttempt();
      if (attempt < 3) {
        throw ApplicationFailure.newFailure("attempt " + attempt, "NotYet");
      }
      return attempt;
    }

    @Override
    public void transfer() {
      throw ApplicationFailure.newNonRetryableFailureWithCause(
          "cannot transfer",
          "Final",
          ApplicationFailure.newFailure("no such account", "Lookup", 7, "more"));
    }

    @Override
    public void stuck() throws InterruptedException {
      Activity.getExecutionContext().heartbeat(17);
      Thread.sleep(3000);
    }
  }

  private static Accounts accounts(Duration heartbeat, int attempts) {
    return Workflow.newActivityStub(
        Accounts.class,
        ActivityOptions.newBuilder()
            .setStartToCloseTimeout(Duration.ofSeconds(10))
            .setHeartbeatTimeout(heartbeat)
            .setRetryOptions(
                RetryOptions.newBuilder()
                    .setInitialInterval(Duration.ofMillis(10))
                    .setMaximumAttempts(attempts)
                    .build())
            .build());
  }

  @WorkflowInterface
  public interface Retrying {
    @WorkflowMethod
    int run();
  }

  public static final class RetryingImpl implements Retrying {
    @Override
    public int run() {
      return accounts(null, 0).flaky();
    }
  }

  @WorkflowInterface
  public interface Chain {
    @WorkflowMethod
    void run();
  }

  public static final class ChainImpl implements Chain {
    @Override
    public void run() {
      accounts(null, 0).transfer();
    }
  }

  @WorkflowInterface
  public interface TimedOut {
    @WorkflowMethod
    int run() throws InterruptedException;
  }

  public static final class TimedOutImpl implements TimedOut {
    @Override
    public int run() throws InterruptedException {
      try {
        accounts(Duration.ofSeconds(1), 1).stuck();
        return 0;
      } catch (ActivityFailure e) {
        return ((TimeoutFailure) e.getCause()).getLastHeartbeatDetails().get(Integer.class);
      }
    }
  }

  @WorkflowInterface
  public interface Parent {
    @WorkflowMethod
    String run(boolean fail);
  }

  public static final class ParentImpl implements Parent {
    @Override
    public String run(boolean fail) {
      if (fail) {
        Workflow.newChildWorkflowStub(Chain.class).run();
      }
      return "child: " + Workflow.newChildWorkflowStub(Retrying.class).run();
    }
  }

  @WorkflowInterface
  public interface Counter {
    @WorkflowMethod
    int run();

    @UpdateMethod
    int add(int n);

    @UpdateValidatorMethod(updateName = "add")
    void isPositive(int n);

    @QueryMethod
    int sum();

    @SignalMethod
    void end();
  }

  /** Adds up updates until it is signalled. */
  public static final class CounterImpl implements Counter {
    private int sum;
    private boolean ended;

    @Override
    public int run() {
      Workflow.await(() -> ended);
      return sum;
    }

    @Override
    public int add(int n) {
      sum += n;
      return sum;
    }

    @Override
    public void isPositive(int n) {
      if (n < 0) {
        throw new IllegalArgumentException("less than nothing");
      }
    }

    @Override
    public int sum() {
      return sum;
    }

    @Override
    public void end() {
      ended = true;
    }
  }
}
