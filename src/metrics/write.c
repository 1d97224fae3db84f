/*
 * write.c - the statements that put samples into aggwin.samples
 *
 * INSERT … ON CONFLICT looks each row up before it inserts it, and says so in the
 * log, which takes over half as long again as INSERT alone. So many samples are
 * first tried without, in a subtransaction: if one of them is there, that is undone,
 * and they are written with ON CONFLICT. It is not tried
 *
 *	- for few samples,
 *	- if the first, the middle or the last is there: that is something sent again,
 *	- once more in a transaction in which it has failed,
 *	- or has been done MAX_ATTEMPTS times. Each takes a transaction id, and more of
 *	  these than snapshots have room for would slow down everybody.
 */
#include "postgres.h"

#include "metrics/write.h"

#include "catalog/pg_type.h"
#include "core/catch.h"
#include "core/compat.h"
#include "core/guc.h"
#include "core/spi_util.h"
#include "metrics/tables.h"
#include "storage/proc.h"

/* From here on an attempt without ON CONFLICT is worth it. */
#define MANY_SAMPLES 512

/* A little less than the subtransactions that a snapshot has room for */
#define MAX_ATTEMPTS 48

/* The arguments of all statements here: series_id, ts, value. */
typedef struct SampleArrays
{
	Datum		values[3];
} SampleArrays;

static void
make_arrays(const Sample *samples, int count, SampleArrays *arrays)
{
	int64	   *column = palloc(count * sizeof(int64));

	for (int i = 0; i < count; i++)
		column[i] = samples[i].handle;
	arrays->values[0] = aggwin_int8_array(column, count, INT8OID);
	for (int i = 0; i < count; i++)
		column[i] = samples[i].ts;
	arrays->values[1] = aggwin_int8_array(column, count, TIMESTAMPTZOID);
	for (int i = 0; i < count; i++)
		memcpy(&column[i], &samples[i].value, sizeof(double));
	arrays->values[2] = aggwin_int8_array(column, count, FLOAT8OID);
	pfree(column);
}

static uint64
run_kept(SPIPlanPtr *plan, const char *sql, int expected, SampleArrays *arrays)
{
	Oid			types[] = {INT8ARRAYOID, TIMESTAMPTZARRAYOID, FLOAT8ARRAYOID};

	if (*plan == NULL)
		*plan = aggwin_spi_prepare_kept(sql, lengthof(types), types);
	aggwin_spi_check_kept(plan, SPI_execute_plan(*plan, arrays->values, NULL, false, 0),
						  expected, sql);
	return SPI_processed;
}

#define GIVEN "SELECT unnest($1) AS series_id, unnest($2) AS ts, unnest($3) AS value"
#define INSERT_SAMPLES "INSERT INTO aggwin.samples AS s (series_id, ts, value) " GIVEN

/* Attempts ---------------------------------------------------------------- */

/* Of this transaction */
static LocalTransactionId attempted_by = InvalidLocalTransactionId;
static int	attempts;

static bool
some_are_there(const Sample *samples, int count)
{
	static SPIPlanPtr plan = NULL;
	SampleArrays arrays;
	Sample		some[] = {samples[0], samples[count / 2], samples[count - 1]};

	make_arrays(some, lengthof(some), &arrays);
	return run_kept(&plan, "SELECT FROM (" GIVEN ") AS n WHERE EXISTS (SELECT FROM aggwin.samples AS s"
					" WHERE s.series_id = n.series_id AND s.ts = n.ts)",
					SPI_OK_SELECT, &arrays) > 0;
}

static void
insert_step(void *arg)
{
	static SPIPlanPtr plan = NULL;

	(void) run_kept(&plan, INSERT_SAMPLES, SPI_OK_INSERT, arg);
}

static bool
attempt_insert(const Sample *samples, int count, SampleArrays *arrays)
{
	ErrorData  *error;

	if (attempted_by != compat_local_transaction(MyProc))
		attempts = 0;
	attempted_by = compat_local_transaction(MyProc);
	if (count < MANY_SAMPLES || attempts >= MAX_ATTEMPTS || some_are_there(samples, count))
		return false;
	attempts++;
	error = aggwin_catch(insert_step, arrays);
	if (error == NULL)
		return true;
	if (error->sqlerrcode != ERRCODE_UNIQUE_VIOLATION)
		ReThrowError(error);
	attempts = MAX_ATTEMPTS;
	return false;
}

/* Statements -------------------------------------------------------------- */

static void
insert_newest(SampleArrays *arrays)
{
	static SPIPlanPtr plan = NULL;

	run_kept(&plan, INSERT_SAMPLES " ON CONFLICT (series_id, ts) DO UPDATE SET value = excluded.value"
			 " WHERE NOT aggwin.same_bits(s.value, excluded.value)", SPI_OK_INSERT, arrays);
}

/* What is there stays, and what differs from it is refused. */
static void
insert_first(int count, SampleArrays *arrays, RefusedSamples *refused)
{
	static SPIPlanPtr insert_plan = NULL;
	static SPIPlanPtr compare_plan = NULL;

	if (run_kept(&insert_plan, INSERT_SAMPLES " ON CONFLICT (series_id, ts) DO NOTHING",
				 SPI_OK_INSERT, arrays) == count)
		return;
	run_kept(&compare_plan, "SELECT s.series_id FROM (" GIVEN ") AS n"
			 " JOIN aggwin.samples AS s ON s.series_id = n.series_id AND s.ts = n.ts"
			 " WHERE NOT aggwin.same_bits(s.value, n.value)", SPI_OK_SELECT, arrays);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;

		aggwin_refuse_sample_of(refused, REFUSED_DUPLICATE,
								DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i],
															SPI_tuptable->tupdesc, 1, &isnull)));
	}
}

/*
 * Write samples, which are sorted by series and time and have no two alike. Called
 * as the tables' owner, connected to SPI.
 */
void
aggwin_write_samples(const Sample *samples, int count, RefusedSamples *refused)
{
	SampleArrays arrays;

	make_arrays(samples, count, &arrays);
	if (attempt_insert(samples, count, &arrays))
		return;
	if (aggwin_duplicate_samples == DUPLICATES_NEWEST)
		insert_newest(&arrays);
	else
		insert_first(count, &arrays, refused);
}
