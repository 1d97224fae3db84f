/*
 * tier_ddl.c - adding and dropping tiers
 *
 * A new tier goes on top of those that are there. It begins with everything
 * invalid: its view answers from the level below until a fold has computed it.
 *
 * Locking: the rollup's own lock, so that no fold is under way.
 */
#include "postgres.h"

#include "rollup/ddl.h"

#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_type.h"
#include "core/spi_util.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "rollup/exact_sql.h"
#include "rollup/fold_sql.h"
#include "rollup/parts.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

PG_FUNCTION_INFO_V1(aggwin_add_tier);
PG_FUNCTION_INFO_V1(aggwin_drop_tier);

/* The number of the key that a column of the rollup's view shows, 0 if none. */
static int
key_of_column(const RollupSpec *spec, const char *column)
{
	ListCell   *lc;

	foreach(lc, spec->targets)
	{
		TargetEntry *target = lfirst_node(TargetEntry, lc);

		if (strcmp(target->resname, column) != 0)
			continue;
		for (int i = 1; i < list_length(spec->keys); i++)
		{
			if (equal(target->expr, list_nth(spec->keys, i)))
				return i;
		}
	}
	return 0;
}

static void
choose_keys(Tier *tier, const Tier *below, const RollupSpec *spec, ArrayType *names)
{
	Datum	   *values;
	bool	   *nulls;
	int			count;

	tier->all_keys = names == NULL && below->all_keys;
	if (tier->all_keys)
		return;
	if (names == NULL)
	{
		tier->keys = list_copy(below->keys);
		return;
	}
	deconstruct_array(names, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &count);
	for (int i = 0; i < count; i++)
	{
		char	   *name = nulls[i] ? "NULL" : TextDatumGetCString(values[i]);
		int			key = nulls[i] ? 0 : key_of_column(spec, name);

		if (key == 0 || !list_member_int(aggwin_tier_keys(spec, below), key))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not a key of the tier below", name),
					 errhint("Name columns that the rollup's query groups by, and that the tier below keeps.")));
		tier->keys = list_append_unique_int(tier->keys, key);
	}
	list_sort(tier->keys, list_int_cmp);
	aggwin_check_tier_keys(spec, tier, below);
}

/* Groups of the tier below that become one do not merge exactly in some rollups. */
void
aggwin_check_tier_keys(const RollupSpec *spec, const Tier *tier, const Tier *below)
{
	if (aggwin_may_be_inexact(spec) && !tier->all_keys &&
		list_length(tier->keys) < list_length(aggwin_tier_keys(spec, below)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a tier of this rollup must keep all keys"),
				 errdetail("The rollup has counters or others whose results do not merge exactly from one key to another."),
				 errhint("Sum up what you ask of them when you read the view.")));
}

static Datum
key_array(const Tier *tier)
{
	Datum	   *values = palloc(sizeof(Datum) * (list_length(tier->keys) + 1));
	ListCell   *lc;

	foreach(lc, tier->keys)
		values[foreach_current_index(lc)] = Int16GetDatum(lfirst_int(lc));
	return PointerGetDatum(construct_array(values, list_length(tier->keys), INT2OID, 2,
										   true, TYPALIGN_SHORT));
}

static void
insert_tier(int32 rollup_id, const Tier *tier, Interval *refresh_interval,
			Interval *retention)
{
	Oid			types[] = {INT4OID, INT2OID, OIDOID, OIDOID, OIDOID, INTERVALOID,
	INT8OID, INT2ARRAYOID, INTERVALOID, INTERVALOID};
	Datum		values[] = {
		Int32GetDatum(rollup_id), Int16GetDatum(tier->level),
		ObjectIdGetDatum(tier->view_relid), ObjectIdGetDatum(tier->state_relid),
		ObjectIdGetDatum(tier->delta_relid), IntervalPGetDatum(tier->interval),
		Int64GetDatum(tier->int_width), key_array(tier),
		IntervalPGetDatum(refresh_interval), IntervalPGetDatum(retention)
	};
	char		nulls[] = {' ', ' ', ' ', ' ', ' ', tier->interval ? ' ' : 'n',
		tier->interval ? 'n' : ' ', tier->all_keys ? 'n' : ' ',
		refresh_interval ? ' ' : 'n', retention ? ' ' : 'n', '\0'};

	/* By default ten times as rarely as the base, but once a bucket at least. */
	aggwin_spi_run_args("INSERT INTO aggwin.tier (rollup_id, level, view, state, delta, width,"
						" int_width, keys, refresh_interval, retention)"
						" SELECT $1, $2, $3, $4, $5, $6, $7, $8,"
						" coalesce($9, greatest(t.refresh_interval, least(10 * t.refresh_interval, $6))), $10"
						" FROM aggwin.tier AS t WHERE t.rollup_id = $1 AND t.level = 0",
						SPI_OK_INSERT, lengthof(types), types, values, nulls);
	CommandCounterIncrement();
}

/*
 * Add a tier of a width to a rollup that the caller has locked. view: NULL for
 * the rollup's name with a suffix.
 */
Oid
aggwin_add_tier_to(int32 rollup_id, Tier *tier, ArrayType *key_names, RangeVar *view,
				   Interval *refresh_interval, Interval *retention)
{
	RollupRow	row;
	RollupNames names;
	RollupSpec *spec;
	Sandbox		saved;
	Oid			owner;
	const Tier *below;

	aggwin_get_rollup(rollup_id, &row);
	owner = aggwin_rollup_owner(&row);
	names = aggwin_rollup_names(&row);
	below = aggwin_tier(&names, aggwin_top_level(&names));
	if ((tier->interval == NULL) != (below->interval == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("a rollup of integer times cannot have tiers of intervals"),
				 errhint("Create the rollup without tiers, then use aggwin.add_tier() with integer widths.")));
	tier->level = below->level + 1;
	tier->width = aggwin_tier_width_literal(tier);
	if (view == NULL)
		view = makeRangeVar(get_namespace_name(get_rel_namespace(row.view)),
							psprintf("%s%s", get_rel_name(row.view), aggwin_tier_suffix(tier)), -1);
	aggwin_check_new_name(view, "rollup");

	aggwin_sandbox_enter(&saved, owner, true);
	spec = aggwin_load_spec(row.definition);
	if (spec->gap != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a rollup by session cannot have tiers"),
				 errdetail("Sessions have no common bounds that wider ones could be made of."),
				 errhint("Create a rollup by time_bucket of the same source, or group what the view shows.")));
	/* Let the server find out what it does not accept as a width. */
	aggwin_spi_run(psprintf("SELECT %s", aggwin_sql_bucket(spec, tier, psprintf("NULL::%s", spec->time->name))),
				   SPI_OK_SELECT);
	aggwin_sandbox_leave(&saved);
	aggwin_check_nesting(tier, below);
	choose_keys(tier, below, spec, key_names);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	aggwin_create_tier_tables(&row, tier, spec, owner);
	aggwin_sandbox_leave(&saved);
	names.tiers = lappend(names.tiers, tier);

	aggwin_sandbox_enter(&saved, owner, false);
	aggwin_spi_run(psprintf("CREATE VIEW %s AS %s",
							quote_qualified_identifier(view->schemaname, view->relname),
							aggwin_sql_view(spec, &names, tier->level)), SPI_OK_UTILITY);
	tier->view_relid = get_relname_relid(view->relname,
										 get_namespace_oid(view->schemaname, false));
	/* Empty sources have nothing to compute the tier from. */
	aggwin_spi_run(psprintf("INSERT INTO %s (kind, level, spans, nulls, captured_at, xid)"
							" VALUES ('i', %d, '{(,)}', true, statement_timestamp(), " AGGWIN_LAST_XID ")",
							names.invalid, tier->level), SPI_OK_INSERT);
	aggwin_sandbox_leave(&saved);

	aggwin_sandbox_enter(&saved, BOOTSTRAP_SUPERUSERID, false);
	insert_tier(rollup_id, tier, refresh_interval, retention);
	aggwin_sandbox_leave(&saved);
	return tier->view_relid;
}

/*
 * aggwin.add_tier(rollup, width, keys, name, refresh_interval, retention): see
 * doc/reference.md.
 */
Datum
aggwin_add_tier(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"rollup", "width"};
	Tier	   *tier = palloc0(sizeof(Tier));
	int32		rollup_id;
	RollupRow	row;
	RangeVar   *view = NULL;
	Oid			result;

	PreventCommandIfReadOnly("aggwin.add_tier()");
	aggwin_require_args(fcinfo, lengthof(required), required);
	rollup_id = aggwin_rollup_of_view(PG_GETARG_OID(0), true);
	aggwin_get_rollup(rollup_id, &row);
	aggwin_read_width(fcinfo, 1, linitial(aggwin_tiers_of(&row)), tier);
	if (!PG_ARGISNULL(3))
		view = makeRangeVarFromNameList(textToQualifiedNameList(PG_GETARG_TEXT_PP(3)));
	if (!PG_ARGISNULL(4))
		aggwin_check_refresh_interval(PG_GETARG_INTERVAL_P(4));

	aggwin_lock_rollup(rollup_id);
	aggwin_spi_connect();
	result = aggwin_add_tier_to(rollup_id, tier,
								PG_ARGISNULL(2) ? NULL : PG_GETARG_ARRAYTYPE_P(2), view,
								PG_ARGISNULL(4) ? NULL : PG_GETARG_INTERVAL_P(4),
								PG_ARGISNULL(5) ? NULL : PG_GETARG_INTERVAL_P(5));
	aggwin_check_options(rollup_id);
	aggwin_spi_finish();
	PG_RETURN_OID(result);
}

/*
 * aggwin.drop_tier(view): drop the tier that is on top. The rest is up to the
 * trigger on dropped objects.
 */
Datum
aggwin_drop_tier(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"tier"};
	Oid			view;
	int32		rollup_id;
	RollupRow	row;
	List	   *tiers;
	const Tier *top;

	PreventCommandIfReadOnly("aggwin.drop_tier()");
	aggwin_require_args(fcinfo, lengthof(required), required);
	view = PG_GETARG_OID(0);
	rollup_id = aggwin_rollup_of_view(view, true);
	aggwin_lock_rollup(rollup_id);
	aggwin_get_rollup(rollup_id, &row);
	tiers = aggwin_tiers_of(&row);
	top = llast(tiers);
	if (top->level == 0 || top->view_relid != view)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s is not the topmost tier of its rollup", aggwin_relation_name(view)),
				 top->level == 0
				 ? errhint("Use aggwin.drop_rollup() to drop the rollup.")
				 : errhint("Drop tier %s first, which is computed from those below.",
						   aggwin_relation_name(top->view_relid))));
	aggwin_spi_connect();
	aggwin_spi_run(psprintf("DROP VIEW %s", aggwin_relation_name(view)), SPI_OK_UTILITY);
	aggwin_spi_finish();
	PG_RETURN_VOID();
}
