/*
 * catch.c - running code whose errors need not be the caller's
 *
 * The step runs in an internal subtransaction. As long as it writes nothing,
 * that gets no transaction id: with ids, one in every INSERT would overflow
 * what snapshots keep of them, and slow down every reader of the server.
 */
#include "postgres.h"

#include "core/catch.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/*
 * Does the error say something about the values or functions that were
 * evaluated? All others are about the server or the transaction: cancelled,
 * shut down, out of memory, to be repeated, beyond a limit, broken. To go on
 * after these would hide what somebody must know, or undo what was asked for.
 */
static bool
is_of_evaluation(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case MAKE_SQLSTATE('4', '0', '0', '0', '0'):	/* transaction rollback */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'):	/* insufficient resources */
		case MAKE_SQLSTATE('5', '4', '0', '0', '0'):	/* program limit exceeded */
		case MAKE_SQLSTATE('5', '5', '0', '0', '0'):	/* not in prerequisite state */
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'):	/* operator intervention */
		case MAKE_SQLSTATE('5', '8', '0', '0', '0'):	/* system error */
		case MAKE_SQLSTATE('F', '0', '0', '0', '0'):	/* configuration file */
		case MAKE_SQLSTATE('X', 'X', '0', '0', '0'):	/* internal */
			return false;
		default:
			return true;
	}
}

/*
 * Does the error end more than what the step was to do: is the transaction to be
 * repeated, was it cancelled, or the server shut down?
 */
static bool
is_of_transaction(int sqlerrcode)
{
	int			category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == MAKE_SQLSTATE('4', '0', '0', '0', '0') ||
		category == MAKE_SQLSTATE('5', '7', '0', '0', '0');
}

static ErrorData *
catch_some(void (*step) (void *), void *arg, bool all)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		step(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	/* Thrown on only here: whoever catches it must not meet the subtransaction. */
	if (error != NULL && (all ? is_of_transaction(error->sqlerrcode)
						  : !is_of_evaluation(error->sqlerrcode)))
		ReThrowError(error);
	return error;
}

/*
 * Calls step(arg) and returns NULL, or the error of evaluation that ended it,
 * copied to the caller's memory context. All other errors are thrown on.
 *
 * What step allocates in the caller's memory context stays there; resources
 * that it takes, and settings and user ids that it changes, are its own.
 */
ErrorData *
aggwin_catch(void (*step) (void *), void *arg)
{
	return catch_some(step, arg, false);
}

/*
 * The same for all errors but those that are about the transaction: what a user
 * has made of a table or a query must not stop what is done for others.
 */
ErrorData *
aggwin_catch_all(void (*step) (void *), void *arg)
{
	return catch_some(step, arg, true);
}
