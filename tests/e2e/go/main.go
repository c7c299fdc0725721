// The official Go SDK against the server at the address given: activities, failures, children,
// timeouts, updates. Prints a line per check and `N passed, N failed`.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
)

const queue = "go"

type suite struct {
	client         client.Client
	passed, failed int
}

func (s *suite) start(ctx context.Context, name string, workflow any, args ...any) (client.WorkflowRun, error) {
	options := client.StartWorkflowOptions{ID: "go-" + name, TaskQueue: queue}
	return s.client.ExecuteWorkflow(ctx, options, workflow, args...)
}

func (s *suite) result(ctx context.Context, name string, into any, workflow any, args ...any) error {
	run, err := s.start(ctx, name, workflow, args...)
	if err != nil {
		return err
	}
	return run.Get(ctx, into)
}

func (s *suite) check(name string, test func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := test(ctx); err != nil {
		s.failed++
		fmt.Printf("not ok %s\n  %v\n", name, err)
		return
	}
	s.passed++
	fmt.Printf("ok %s\n", name)
}

func equal[T comparable](got, want T) error {
	if got != want {
		return fmt.Errorf("got %v, want %v", got, want)
	}
	return nil
}

func (s *suite) retries(ctx context.Context) error {
	var attempt int32
	err := s.result(ctx, "retries", &attempt, Retrying)
	return errors.Join(err, equal(attempt, 3))
}

// isTransfer looks at the chain that accounts.Transfer makes.
func isTransfer(err error) error {
	var activity *temporal.ActivityError
	if !errors.As(err, &activity) {
		return fmt.Errorf("no activity error in: %w", err)
	}
	var outer, inner *temporal.ApplicationError
	if !errors.As(activity.Unwrap(), &outer) || !errors.As(outer.Unwrap(), &inner) {
		return fmt.Errorf("two application errors are expected in: %w", err)
	}
	var found lookup
	var more string
	return errors.Join(equal(outer.Message(), "cannot transfer"), equal(outer.Type(), "Final"),
		equal(outer.NonRetryable(), true), equal(inner.Message(), "no such account"),
		equal(inner.Type(), "Lookup"), inner.Details(&found, &more), equal(found.ID, 7),
		equal(more, "more"), equal(activity.RetryState().String(), "NonRetryableFailure"))
}

func (s *suite) chain(ctx context.Context) error {
	return isTransfer(s.result(ctx, "chain", nil, Chain))
}

// sources looks at what the chain left in the history.
func (s *suite) sources(ctx context.Context) error {
	events := s.client.GetWorkflowHistory(ctx, "go-chain", "", false,
		enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return err
		}
		if failed := event.GetActivityTaskFailedEventAttributes(); failed != nil {
			cause := failed.Failure.Cause
			return errors.Join(equal(failed.Failure.Source, "GoSDK"), equal(cause.Source, "GoSDK"))
		}
	}
	return errors.New("no activity failed")
}

func (s *suite) timeout(ctx context.Context) error {
	var page int
	err := s.result(ctx, "timeout", &page, TimedOut)
	return errors.Join(err, equal(page, 17))
}

func (s *suite) child(ctx context.Context) error {
	var text string
	err := s.result(ctx, "child", &text, Parent, false)
	return errors.Join(err, equal(text, "child: 3"))
}

func (s *suite) failedChild(ctx context.Context) error {
	err := s.result(ctx, "failed-child", nil, Parent, true)
	var child *temporal.ChildWorkflowExecutionError
	if !errors.As(err, &child) {
		return fmt.Errorf("no child error in: %w", err)
	}
	return isTransfer(child)
}

func (s *suite) add(ctx context.Context, run client.WorkflowRun, n int) (int, error) {
	handle, err := s.client.UpdateWorkflow(ctx, client.UpdateWorkflowOptions{
		WorkflowID: run.GetID(), RunID: run.GetRunID(), UpdateName: "add", Args: []any{n},
		WaitForStage: client.WorkflowUpdateStageCompleted})
	if err != nil {
		return 0, err
	}
	var sum int
	return sum, handle.Get(ctx, &sum)
}

func (s *suite) updates(ctx context.Context) error {
	run, err := s.start(ctx, "updates", Counter)
	if err != nil {
		return err
	}
	if sum, err := s.add(ctx, run, 5); err != nil || sum != 5 {
		return fmt.Errorf("the first update gave %d: %w", sum, err)
	}
	var rejected *temporal.ApplicationError
	if _, err := s.add(ctx, run, -1); !errors.As(err, &rejected) ||
		rejected.Message() != "less than nothing" {
		return fmt.Errorf("the second update is to be rejected: %w", err)
	}
	if sum, err := s.add(ctx, run, 2); err != nil || sum != 7 {
		return fmt.Errorf("the third update gave %d: %w", sum, err)
	}
	value, err := s.client.QueryWorkflow(ctx, run.GetID(), "", "sum")
	if err != nil {
		return err
	}
	var queried, sum int
	err = errors.Join(value.Get(&queried), s.client.SignalWorkflow(ctx, run.GetID(), "", "end", nil))
	return errors.Join(err, run.Get(ctx, &sum), equal(queried, 7), equal(sum, 7))
}

func run(address string) (*suite, error) {
	quiet := log.NewStructuredLogger(slog.New(slog.NewTextHandler(io.Discard, nil)))
	c, err := client.Dial(client.Options{HostPort: address, Logger: quiet})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	w := worker.New(c, queue, worker.Options{MaxHeartbeatThrottleInterval: 100 * time.Millisecond})
	w.RegisterActivity(&accounts{})
	for _, workflow := range []any{Retrying, Chain, TimedOut, Parent, Counter} {
		w.RegisterWorkflow(workflow)
	}
	if err := w.Start(); err != nil {
		return nil, err
	}
	defer w.Stop()
	s := &suite{client: c}
	s.check("an activity is retried until it succeeds", s.retries)
	s.check("a chain of failures arrives whole", s.chain)
	s.check("failures say where they come from", s.sources)
	s.check("a timeout carries the last heartbeat", s.timeout)
	s.check("a child's result", s.child)
	s.check("a child's failure", s.failedChild)
	s.check("updates are completed and rejected", s.updates)
	return s, nil
}

func main() {
	s, err := run(os.Args[1])
	if err != nil {
		fmt.Printf("not ok start\n  %v\n", err)
		s = &suite{failed: 1}
	}
	fmt.Printf("%d passed, %d failed\n", s.passed, s.failed)
	if s.failed > 0 {
		os.Exit(1)
	}
}
