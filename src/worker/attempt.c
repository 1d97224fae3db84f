/*
 * attempt.c - run one step of a worker so that its error stops nothing else
 */
#include "postgres.h"

#include "worker/attempt.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/timeout.h"

/*
 * Calls step(arg) in a transaction of its own and commits.
 *
 * Returns NULL when that succeeded. Otherwise the error is in the server log,
 * the transaction is rolled back, and a copy of the error is returned in the
 * caller's memory context. Being asked to terminate is not an error that
 * could be survived: it ends the process.
 */
ErrorData *
aggwin_attempt(void (*step) (void *), void *arg)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData  *volatile error = NULL;

	PG_TRY();
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		step(arg);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		HOLD_INTERRUPTS();

		/* What was to interrupt the failed step must not hit the next one. */
		disable_all_timeouts(false);
		QueryCancelPending = false;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		EmitErrorReport();
		AbortOutOfAnyTransaction();
		FlushErrorState();

		RESUME_INTERRUPTS();
	}
	PG_END_TRY();

	MemoryContextSwitchTo(caller);
	return error;
}
