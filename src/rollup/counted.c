/*
 * counted.c - has every row of the source been counted?
 *
 * Only a row that was counted can be taken away again. What ends that for a
 * rollup calls this, in the transaction that ends it: aggwin.rollup.counts_all
 * becomes false and stays so. Writers learn of it as they learn of a new
 * rollup, by the source's relation cache.
 */
#include "postgres.h"

#include "rollup/counted.h"

#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "rollup/sql.h"
#include "utils/inval.h"

/*
 * Not every row of the source has been counted, or some are kept that are gone.
 * To take others away could then leave less than nothing, for good; from now on
 * changes are repaired. Called as superuser, while SPI is connected.
 */
void
aggwin_counts_not_all(int32 rollup_id)
{
	Oid			types[] = {INT4OID};
	Datum		values[] = {Int32GetDatum(rollup_id)};
	RollupRow	row;

	if (aggwin_spi_run_args("UPDATE aggwin.rollup SET counts_all = false WHERE rollup_id = $1 AND counts_all",
							SPI_OK_UPDATE, 1, types, values, NULL) > 0 &&
		aggwin_find_rollup(rollup_id, &row))
		CacheInvalidateRelcacheByRelid(row.source);
}

/*
 * The same if any of these spans, or of all event time if spans is 0, is never
 * repaired: what has come there is not counted.
 */
void
aggwin_counts_not_in(const RollupRow *row, Oid spans_type, Datum spans, bool nulls)
{
	Oid			types[] = {spans_type, BOOLOID};
	Datum		values[] = {spans, BoolGetDatum(nulls)};

	if (aggwin_spi_run_args(psprintf("SELECT FROM %s AS i WHERE i.xid = " AGGWIN_LAST_XID
									 " AND i.kind <> 'i' AND i.level = 0 AND %s",
									 aggwin_relation_name(row->invalid),
									 spans == 0 ? "true" : "(i.spans && $1 OR i.nulls AND $2)"),
							SPI_OK_SELECT, spans == 0 ? 0 : 2, types, values, NULL) > 0)
		aggwin_counts_not_all(row->rollup_id);
}
