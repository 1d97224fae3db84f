# Window outputs over random streams: a source whose rows come late, change and
# vanish, one that only grows, their rollups and windows, and the checks.
#
#   create_windows($node, %options);
#   $session->rows(problems_sql());       # texts, none if all is well
#
# What a window must hold, its plain query over the source says. That of a window
# that is published once has to be asked about the moment of its closing.
package Aggwin::Windows;

use strict;
use warnings;
use Exporter 'import';
use Time::HiRes qw(sleep);
use Aggwin::Crew;

our @EXPORT_OK = qw(create_windows outputs problems_sql);

# rollup: q is the query over it, plain that over the source's ROWS. order: all
# of the rows' order. Times are in seconds.
my %OUTPUTS = (
	top => {
		q => 'SELECT k, sum(n) AS n, sum(v) AS v FROM by_second GROUP BY k ORDER BY n DESC, k LIMIT 4',
		plain => 'SELECT k, count(*) AS n, sum(v) AS v FROM ROWS GROUP BY k ORDER BY n DESC, k LIMIT 4',
		size => 10, period => 2, grace => 0, emit => 'changes' },
	extremes => {
		q => 'SELECT k, min(least) AS least, max(most) AS most FROM by_second GROUP BY k ORDER BY k',
		plain => 'SELECT k, min(v) AS least, max(v) AS most FROM ROWS GROUP BY k ORDER BY k',
		size => 6, period => 3, grace => 2, emit => 'changes' },
	coarse => {
		q => 'SELECT name, sum(n) AS n, count(*) FILTER (WHERE n > 3) AS many FROM by_second_10s JOIN names USING (k) GROUP BY name ORDER BY name',
		plain => 'SELECT name, sum(n) AS n, count(*) FILTER (WHERE n > 3) AS many FROM'
		  . q{ (SELECT k, count(*) AS n FROM ROWS GROUP BY aggwin.time_bucket('10 s', ts), k) AS p JOIN names USING (k) GROUP BY name ORDER BY name},
		size => 30, period => 10, grace => 0, emit => 'changes' },
	panes => {
		q => 'SELECT bucket, k, n FROM by_second WHERE n > 1 ORDER BY bucket, k',
		plain => q{SELECT aggwin.time_bucket('1 s', ts) AS bucket, k, count(*) AS n FROM ROWS GROUP BY 1, 2 HAVING count(*) > 1 ORDER BY 1, 2},
		size => 5, period => 5, grace => 0, emit => 'changes' },
	final => {
		q => 'SELECT k, sum(n) AS n, sum(v) AS v FROM log_by_second GROUP BY k ORDER BY k',
		plain => 'SELECT k, count(*) AS n, sum(v) AS v FROM ROWS GROUP BY k ORDER BY k',
		size => 8, period => 4, grace => 0, emit => 'final', source => 'log' },
	last => {
		q => 'SELECT k, max(most) AS most FROM log_by_second_10s GROUP BY k ORDER BY most DESC, k LIMIT 2',
		plain => 'SELECT k, max(v) AS most FROM ROWS GROUP BY k ORDER BY most DESC, k LIMIT 2',
		size => 10, period => 10, grace => 5, emit => 'final', source => 'log' });

sub outputs { return sort keys %OUTPUTS; }

sub is_final { return $OUTPUTS{ $_[0] }{emit} eq 'final'; }

# Options: idle_timeout, an interval; without it only the watermark closes
# windows. Time passes by tick(): fifty milliseconds for each row.
sub create_windows
{
	my ($node, %options) = @_;
	my $idle_timeout = $options{idle_timeout} // '1000 days';
	my $sql = q{
		CREATE EXTENSION aggwin;
		CREATE SEQUENCE clock;
		CREATE TABLE events (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ts timestamptz NOT NULL, k text NOT NULL, v int);
		CREATE TABLE log (ts timestamptz NOT NULL, k text NOT NULL, v int, x xid8 NOT NULL DEFAULT pg_current_xact_id());
		CREATE INDEX ON events (ts);
		CREATE INDEX ON log (ts);
		CREATE TABLE names (k text PRIMARY KEY, name text);
		INSERT INTO names SELECT 'k' || i, 'name' || i / 2 FROM generate_series(0, 6) AS i;
		CREATE FUNCTION tick() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$
			SELECT timestamptz '2026-01-01Z' + nextval('clock') * interval '50 ms'
				- interval '1 s' * random() * CASE WHEN random() < 0.8 THEN 1 WHEN random() < 0.9 THEN 12 ELSE 70 END $$;
		SELECT aggwin.create_rollup(r, format('SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, k, count(*) AS n,'
			' sum(v) AS v, min(v) AS least, max(v) AS most FROM %s GROUP BY 1, 2', source), tiers => '{10 seconds}')
		FROM (VALUES ('by_second', 'events'), ('log_by_second', 'log')) AS s (r, source);
		CREATE TABLE outputs (output regclass PRIMARY KEY, source regclass, plain text);};

	foreach my $name (outputs())
	{
		my $o = $OUTPUTS{$name};

		$sql .= sprintf "SELECT aggwin.create_window('%s', '%s', '%d s', '%d s', '%d s', '%s', retention => '100 days', idle_timeout => '%s');\n",
		  $name, $o->{q}, @$o{qw(size period grace emit)}, $idle_timeout;
		$sql .= sprintf "INSERT INTO outputs VALUES ('%s', '%s', \$plain\$%s\$plain\$);\n",
		  $name, $o->{source} // 'events', $o->{plain};
	}
	$node->safe_psql('postgres', $sql . checks_sql());
	return;
}

sub checks_sql
{
	return q{
-- the names of the query's columns
CREATE FUNCTION columns_of(output regclass) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
	WHERE attrelid = output AND attnum > 5 AND attname <> 'emitted_at' AND NOT attisdropped $$;

-- Windows whose last revision, or only the first if that is asked for, is not
-- what the plain query gives over the rows for which a condition holds.
CREATE FUNCTION compare_windows(o outputs, only_mine boolean, condition text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	w aggwin.window;
BEGIN
	SELECT * INTO w FROM aggwin.window WHERE output = o.output;
	RETURN QUERY EXECUTE format($q$
		SELECT format('window of %1$s to %%s: has %%s, not %%s', e.over, p.rows, q.rows)
		FROM generate_series($1::timestamptz, $2, $3) AS e (over)
		CROSS JOIN LATERAL (SELECT max(m.revision) AS revision, bool_or(m.xmin = pg_current_xact_id()::xid) AS mine
			FROM aggwin.emission AS m WHERE m.window_id = $4 AND m.window_start = e.over - $5) AS r
		CROSS JOIN LATERAL (SELECT string_agg(ROW(rank, %2$s)::text, ' ' ORDER BY rank) AS rows FROM %1$s AS t
			WHERE t.window_start = e.over - $5 AND t.revision = r.revision AND op <> 'delete') AS p
		CROSS JOIN LATERAL (SELECT string_agg(ROW(rank, %2$s)::text, ' ' ORDER BY rank) AS rows
			FROM (SELECT row_number() OVER () AS rank, q.* FROM (%3$s) AS q) AS t) AS q
		WHERE p.rows IS DISTINCT FROM q.rows AND (r.mine OR NOT $6)$q$,
		o.output, columns_of(o.output),
		replace(o.plain, 'ROWS', format('(SELECT * FROM %s WHERE ts >= e.over - $5 AND ts < e.over AND %s) AS s', o.source, condition)))
	USING w.first_end, w.closed_to, w.period, w.window_id, w.size, only_mine;
END $$;

-- All windows that publish changes hold what the source does.
CREATE FUNCTION wrong_changes() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT compare_windows(o, false, 'true') FROM outputs AS o JOIN aggwin.window AS w USING (output) WHERE w.emit = 'changes' $$;

-- Windows that this transaction has closed for good hold what their step saw.
CREATE FUNCTION wrong_final() RETURNS SETOF text LANGUAGE sql AS $$
	SELECT compare_windows(o, true, format('pg_visible_in_snapshot(x, %L)', t.seen))
	FROM outputs AS o JOIN aggwin.window AS w USING (output)
		JOIN (SELECT rollup_id, view FROM aggwin.rollup UNION SELECT rollup_id, view FROM aggwin.tier WHERE level > 0) AS r ON r.view = w.rollup
		JOIN aggwin.tier AS t ON t.rollup_id = r.rollup_id AND t.level = 0
	WHERE w.emit = 'final' $$;

-- Revisions say of each row what became of it since the one before.
CREATE FUNCTION wrong_ops() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	w aggwin.window;
BEGIN
	FOR w IN SELECT * FROM aggwin.window WHERE emit = 'changes' LOOP
		RETURN QUERY EXECUTE format($q$
			SELECT format('%1$s %%s, revision %%s: %%s %%s, before %%s', e.window_end, e.revision, d.op, d.now, d.before)
			FROM aggwin.emission AS e CROSS JOIN LATERAL (
				SELECT n.op, n.row AS now, o.row AS before FROM (SELECT %3$s, op, ROW(rank, %2$s)::text AS row
						FROM %1$s WHERE window_start = e.window_start AND revision = e.revision) AS n
					FULL JOIN (SELECT %3$s, ROW(rank, %2$s)::text AS row
						FROM %1$s WHERE window_start = e.window_start AND revision = e.revision - 1 AND op <> 'delete') AS o USING (%3$s)) AS d
			WHERE e.window_id = $1 AND CASE d.op WHEN 'insert' THEN d.before IS NOT NULL WHEN 'update' THEN d.before IS NULL OR d.now = d.before
				ELSE d.now IS DISTINCT FROM d.before END$q$, w.output, columns_of(w.output), array_to_string(w.keys, ', ')) USING w.window_id;
	END LOOP;
END $$;

-- Positions and revisions follow each other, and tell of the rows that there are.
-- Not of outputs of which retention takes some away.
CREATE FUNCTION wrong_emissions() RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	w aggwin.window;
BEGIN
	FOR w IN SELECT * FROM aggwin.window WHERE retention >= '100 days' LOOP
		RETURN QUERY SELECT format('%s: positions %s, %s of them, not %s', w.output, array_agg(position), count(*), w.position)
			FROM aggwin.emission AS e WHERE e.window_id = w.window_id
			HAVING count(*) <> w.position OR max(position) <> w.position OR min(position) <> 1;
		RETURN QUERY SELECT format('%s %s: revisions %s', w.output, e.window_end, array_agg(revision ORDER BY position))
			FROM aggwin.emission AS e WHERE e.window_id = w.window_id GROUP BY e.window_end
			HAVING max(revision) <> count(*) - 1 OR array_agg(revision ORDER BY position) <> array_agg(revision ORDER BY revision);
		RETURN QUERY SELECT format('%s: %s closed and %s revised, not %s and %s', w.output, w.closed, w.revised,
				count(*) FILTER (WHERE revision = 0), count(*) FILTER (WHERE revision > 0))
			FROM aggwin.emission AS e WHERE e.window_id = w.window_id
			HAVING (w.closed, w.revised) <> (count(*) FILTER (WHERE revision = 0), count(*) FILTER (WHERE revision > 0));
		RETURN QUERY EXECUTE format($q$
			SELECT format('%1$s %%s, revision %%s: %%s rows, not %%s', start, revision, count(*) FILTER (WHERE op <> 'delete'), e.rows)
			FROM (SELECT window_start, window_start AS start, revision, op FROM %1$s) AS o
				FULL JOIN (SELECT * FROM aggwin.emission WHERE window_id = $1) AS e USING (window_start, revision)
			GROUP BY start, revision, e.rows HAVING count(*) FILTER (WHERE op <> 'delete') IS DISTINCT FROM e.rows$q$, w.output) USING w.window_id;
	END LOOP;
END $$;

-- The newest window is all there, or none of it.
CREATE FUNCTION wrong_latest() RETURNS SETOF text LANGUAGE plpgsql STABLE AS $$
DECLARE
	w record;
BEGIN
	FOR w IN SELECT v.output, v.latest, v.closed_to - v.size AS start, (SELECT e.rows FROM aggwin.emission AS e
			WHERE e.window_id = v.window_id AND e.window_start = v.closed_to - v.size ORDER BY e.revision DESC LIMIT 1) AS rows
		FROM aggwin.window AS v WHERE closed_to IS NOT NULL LOOP
		RETURN QUERY EXECUTE format($q$SELECT format('%1$s: %%s rows to %%s, not %%s to %%s', count(*), max(window_start), $1, $2)
			FROM %1$s HAVING count(*) <> $1 OR min(window_start) <> $2 OR max(window_start) <> $2 OR max(rank) <> $1$q$, w.latest)
			USING coalesce(w.rows, 0), w.start;
	END LOOP;
END $$;
};
}

# To be asked when nobody writes, and all that is due has been published.
sub problems_sql
{
	return 'SELECT wrong_changes() UNION ALL SELECT wrong_ops() UNION ALL SELECT wrong_emissions() UNION ALL SELECT wrong_latest()';
}

# Members of a crew ----------------------------------------------------------

my $VALUES = q{tick(), 'k' || (7 * random() * random())::int, (1000 * random())::int FROM generate_series(1, 1 + (6 * random())::int)};
my $SOME = q{id > (SELECT max(id) FROM events) - 300 AND random() < 0.03};
my %ACTIONS = (
	insert => "INSERT INTO events (ts, k, v) SELECT $VALUES",
	log => "INSERT INTO log (ts, k, v) SELECT $VALUES",
	both => "BEGIN; INSERT INTO events (ts, k, v) SELECT $VALUES; SAVEPOINT a; INSERT INTO log (ts, k, v) SELECT $VALUES; COMMIT",
	update => "UPDATE events SET v = (1000 * random())::int WHERE $SOME",
	update_key => "UPDATE events SET k = 'k' || (7 * random())::int WHERE $SOME",
	update_time => "UPDATE events SET ts = ts + interval '20 s' * (random() - 0.5) WHERE $SOME",
	delete => "DELETE FROM events WHERE $SOME",
	delete_bucket => q{DELETE FROM events WHERE ts >= date_trunc('minute', (SELECT ts FROM events ORDER BY random() LIMIT 1))
		AND ts < date_trunc('minute', (SELECT ts FROM events ORDER BY random() LIMIT 1)) + interval '1 s'},
	rolled_back => "BEGIN; INSERT INTO events (ts, k, v) SELECT $VALUES; INSERT INTO log (ts, k, v) SELECT $VALUES; ROLLBACK",
	savepoints => "BEGIN; SAVEPOINT a; INSERT INTO log (ts, k, v) SELECT $VALUES; ROLLBACK TO a; INSERT INTO log (ts, k, v) SELECT $VALUES;"
	  . " DELETE FROM events WHERE $SOME; ROLLBACK TO a; INSERT INTO events (ts, k, v) SELECT $VALUES; COMMIT",
	long => "BEGIN; INSERT INTO events (ts, k, v) SELECT $VALUES; SELECT pg_sleep(0.3 * random()) \\g /dev/null\nINSERT INTO log (ts, k, v) SELECT $VALUES; COMMIT");

# Deadlock, and a row that somebody else has changed.
my @EXPECTED = qw(40P01 40001);

sub actions { return sort keys %ACTIONS; }

# Options: without => [actions].
sub writer
{
	my ($crew, $session, $result, %options) = @_;
	my %without = map { $_ => 1 } @{ $options{without} // [] };
	my @actions = grep { !$without{$_} } actions();

	push @actions, qw(insert log both) x 4;
	until ($crew->over($session, $result))
	{
		my $action = $actions[ rand @actions ];
		my $answer = $session->run($ACTIONS{$action});

		$session->run('ROLLBACK') if @{ $answer->{errors} };
		$result->{done}{$action}++ if Aggwin::Crew::worked($answer, $result, $action, @EXPECTED);
		sleep rand 0.02;
	}
	return;
}

sub folder
{
	my ($crew, $session, $result) = @_;
	my @rollups = qw(by_second by_second_10s log_by_second log_by_second_10s);

	until ($crew->over($session, $result))
	{
		$result->{folds}++
		  if Aggwin::Crew::worked($session->run("SELECT aggwin.refresh('$rollups[rand @rollups]')"), $result, 'fold');
		sleep rand 0.1;
	}
	return;
}

# Closes windows, and asks in the same transaction whether they are right. Some
# keep writers away, so that all that there is must have been published.
sub stepper
{
	my ($crew, $session, $result, %options) = @_;

	until ($crew->over($session, $result))
	{
		my $locked = rand() < 0.5;
		my $answer;

		$session->run('BEGIN');
		if (!$locked || Aggwin::Crew::worked($session->run('LOCK TABLE events IN SHARE MODE'), $result, 'lock', @EXPECTED))
		{
			my @problems;

			$answer = $session->run('SELECT aggwin.close_windows()');
			$result->{published} += $answer->{rows}[0] if Aggwin::Crew::worked($answer, $result, 'step', @EXPECTED);
			if (!@{ $answer->{errors} })
			{
				$answer = $session->run('SELECT wrong_final()' . ($locked ? ' UNION ALL SELECT wrong_changes()' : ''));
				push @problems, @{ $answer->{rows} } if Aggwin::Crew::worked($answer, $result, 'check');
				$result->{ $locked ? 'checks of all' : 'checks of final windows' }++;
			}
			push @{ $result->{problems} }, @problems;
		}
		$session->run('COMMIT');
		sleep rand 0.2;
	}
	return;
}

# Takes changes as they come, a few at a time; the rows are left in the result.
sub poller
{
	my ($crew, $session, $result, %options) = @_;
	my $rows = $result->{"rows of $options{output}"} = [];

	while (1)
	{
		my $over = $crew->over($session, $result);

		last if !poll($session, $result, $options{output}, $rows) && $over;
		sleep rand 0.05;
	}
	return;
}

sub poll
{
	my ($session, $result, $output, $rows) = @_;
	my $position = @$rows ? $rows->[-1] =~ s/\|.*//sr : 0;
	my $answer = $session->run("SELECT * FROM aggwin.changes_since('$output', $position, " . (1 + int rand 20) . ')');

	return 0 if !Aggwin::Crew::worked($answer, $result, 'poll');
	push @$rows, @{ $answer->{rows} };
	$result->{polls}++;
	return scalar @{ $answer->{rows} };
}

sub reader
{
	my ($crew, $session, $result) = @_;

	until ($crew->over($session, $result))
	{
		my $answer = $session->run('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT wrong_latest() UNION ALL SELECT wrong_emissions(); COMMIT');

		push @{ $result->{problems} }, @{ $answer->{rows} } if Aggwin::Crew::worked($answer, $result, 'read');
		$result->{'reads'}++;
		sleep rand 0.1;
	}
	return;
}

sub deafen
{
	my ($crew) = @_;

	open my $file, '>', "$crew->{folder}/deaf" or die "$crew->{folder}/deaf: $!";
	close $file;
	return;
}

# Listens to all outputs, and leaves what it hears in the result, with the name
# of the connection, until its connection is lost or it is told by deafen() that
# all has been published.
sub listener
{
	my ($crew, $session, $result, %options) = @_;
	my $silent = 0;

	$result->{heard} = [];
	$session->run(join '; ', map { "LISTEN $_" } outputs());
	while (!$session->{lost} && $silent < 2)
	{
		my $over = -e "$crew->{folder}/deaf";
		my @heard = map { /^Asynchronous notification "(\w+)" with payload "(.*)" received from server process with PID \d+\.$/s ? "$options{connection} $2" : () }
		  @{ $session->run('SELECT 1')->{rows} };

		push @{ $result->{heard} }, @heard;
		$silent = $over && !@heard ? $silent + 1 : 0;
		sleep 0.05;
	}
	return;
}

1;
