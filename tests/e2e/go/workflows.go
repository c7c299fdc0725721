package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

type accounts struct{}

// Flaky succeeds in its third attempt.
func (accounts) Flaky(ctx context.Context) (int32, error) {
	attempt := activity.GetInfo(ctx).Attempt
	if attempt < 3 {
		return 0, fmt.Errorf("attempt %d", attempt)
	}
	return attempt, nil
}

type lookup struct{ ID int }

// Transfer fails for good, with a chain of causes.
func (accounts) Transfer(context.Context) error {
	inner := temporal.NewApplicationErrorWithOptions("no such account", "Lookup",
		temporal.ApplicationErrorOptions{Details: []any{lookup{7}, "more"}})
	return temporal.NewApplicationErrorWithOptions("cannot transfer", "Final",
		temporal.ApplicationErrorOptions{NonRetryable: true, Cause: inner})
}

// Stuck reports a page and then says nothing until it is over.
func (accounts) Stuck(ctx context.Context) error {
	activity.RecordHeartbeat(ctx, 17)
	<-ctx.Done()
	return ctx.Err()
}

func withOptions(ctx workflow.Context, retries int32) workflow.Context {
	return workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: 10 * time.Second,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: 10 * time.Millisecond, MaximumAttempts: retries},
	})
}

func Retrying(ctx workflow.Context) (int32, error) {
	var attempt int32
	err := workflow.ExecuteActivity(withOptions(ctx, 0), accounts.Flaky).Get(ctx, &attempt)
	return attempt, err
}

func Chain(ctx workflow.Context) error {
	return workflow.ExecuteActivity(withOptions(ctx, 0), accounts.Transfer).Get(ctx, nil)
}

func TimedOut(ctx workflow.Context) (int, error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		StartToCloseTimeout: time.Minute,
		HeartbeatTimeout:    time.Second,
		RetryPolicy:         &temporal.RetryPolicy{MaximumAttempts: 1},
	})
	err := workflow.ExecuteActivity(ctx, accounts.Stuck).Get(ctx, nil)
	var timeout *temporal.TimeoutError
	if !errors.As(err, &timeout) || !timeout.HasLastHeartbeatDetails() {
		return 0, fmt.Errorf("no timeout with details: %w", err)
	}
	var page int
	return page, timeout.LastHeartbeatDetails(&page)
}

func Parent(ctx workflow.Context, fail bool) (string, error) {
	if fail {
		return "", workflow.ExecuteChildWorkflow(ctx, Chain).Get(ctx, nil)
	}
	var attempt int32
	err := workflow.ExecuteChildWorkflow(ctx, Retrying).Get(ctx, &attempt)
	return fmt.Sprintf("child: %d", attempt), err
}

// Counter adds up updates until it is signalled.
func Counter(ctx workflow.Context) (int, error) {
	sum := 0
	validator := func(n int) error {
		if n < 0 {
			return errors.New("less than nothing")
		}
		return nil
	}
	add := func(ctx workflow.Context, n int) (int, error) {
		sum += n
		return sum, nil
	}
	options := workflow.UpdateHandlerOptions{Validator: validator}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, "add", add, options); err != nil {
		return 0, err
	}
	err := workflow.SetQueryHandler(ctx, "sum", func() (int, error) { return sum, nil })
	if err != nil {
		return 0, err
	}
	workflow.GetSignalChannel(ctx, "end").Receive(ctx, nil)
	return sum, nil
}
