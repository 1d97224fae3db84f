# What a writer does to the table of events: one random transaction after the
# other, of every kind that PostgreSQL has. Many are checked from within.
#
# TRUNCATE is not MVCC-safe in PostgreSQL itself: a transaction whose snapshot
# is older than it finds the table empty, without being able to know why. So
# whoever keeps a snapshot and compares holds the advisory lock below, shared,
# and whoever truncates holds it alone.
package Aggwin::Writer;

use strict;
use warnings;
use Aggwin::Workload qw(view_names compare_sql differences);

our $TRUNCATE_LOCK = 1;

my $COLUMNS = 'ts, k, t, i, big, n, f, b';

# Errors that a writer among others has to live with: serialization failure,
# deadlock, lock timeout, a foreign key that lost its batch, and a MERGE that
# inserts again what another one deleted and somebody else has brought back.
my %EXPECTED = map { $_ => 1 } qw(40001 40P01 55P03 23503 23505);

my $LOCK_TIMEOUT = "SET lock_timeout = '500ms';\n";

# name => how often, relative to the others
my %ACTIONS = (
	single_rows => 6,
	batch => 6,
	copy => 4,
	rolled_back => 3,
	savepoints => 4,
	many_subtransactions => 1,
	update => 3,
	update_time => 2,
	update_unrelated => 2,
	delete => 3,
	upsert => 2,
	merge => 2,
	several_in_one => 2,
	cascade => 2,
	own_changes => 3,
	own_changes_repeatable_read => 3,
	old_repeatable_read => 2,
	serializable => 2,
	cursor => 2,
	in_function => 2,
	long => 1,
	prepare => 3,
	finish_prepared => 1,
	truncate => 1);

sub actions
{
	return sort keys %ACTIONS;
}

# session: an Aggwin::Session. Options: without => [actions], first => [actions
# to begin with], largest_batch, and folder, where files may be put.
sub new
{
	my ($class, $session, %options) = @_;
	my %without = map { $_ => 1 } @{ $options{without} // [] };
	my @names = grep { !$without{$_} } actions();

	# A prepared transaction may hold a row that its own session wants next.
	$session->run($LOCK_TIMEOUT);
	my $self = bless {
		session => $session,
		name => $session->{name},
		folder => $options{folder},
		largest_batch => $options{largest_batch} // 2000,
		weighted => [ map { ($_) x $ACTIONS{$_} } @names ],
		first => [ @{ $options{first} // [] } ],
		prepared => [],
		serial => 0,
		count => {},
		failed => {},
		checks => 0,
		compared => 0,
		problems => [],
	}, $class;
	return $self;
}

sub shuffled
{
	my (@list) = @_;

	for my $i (reverse 1 .. $#list)
	{
		my $j = int rand($i + 1);
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

# One random transaction. False when the session was lost.
sub step
{
	my ($self) = @_;
	my $action = shift @{ $self->{first} } // $self->{weighted}[ rand @{ $self->{weighted} } ];

	# While one is prepared, nobody gets a stronger lock on the table.
	$action = 'finish_prepared' if @{ $self->{prepared} } && rand() < 0.4;

	$self->{action} = $action;
	$self->{errors} = 0;
	$self->$action();
	return 0 if $self->{session}{lost};
	if ($self->{errors})
	{
		$self->{failed}{$action}++;
		push @{ $self->{first} }, $action if !$self->{count}{$action};
	}
	else
	{
		$self->{count}{$action}++;
	}
	return 1;
}

# Runs statements; errors that nobody expects are problems.
sub sql
{
	my ($self, $sql) = @_;
	my $answer = $self->{session}->run($sql);

	return $answer if $answer->{lost};
	foreach my $error (@{ $answer->{errors} })
	{
		# Later ones of an action follow from its first.
		next if $self->{errors}++ > 0;
		push @{ $self->{problems} }, "$self->{action}: $error->[0] $error->[1]\nin: " . substr($sql, 0, 500)
		  if !$EXPECTED{ $error->[0] };
	}
	return $answer;
}

# Some rollups, compared in one statement.
sub some_comparison
{
	my ($self) = @_;
	my @names = shuffled(view_names());

	return compare_sql(@names[ 0 .. int rand 2 ]);
}

sub check
{
	my ($self, $sql) = @_;
	my $answer = $self->sql($sql // $self->some_comparison);

	return if $answer->{lost} || @{ $answer->{errors} };
	my ($differences, $compared, $text) = differences(@{ $answer->{rows} });
	$self->{checks}++;
	$self->{compared} += $compared;
	push @{ $self->{problems} }, "check within $self->{action}: $text" if $differences > 0;
	return;
}

# The lock about TRUNCATE; without it the action has to be left out.
sub lock
{
	my ($self, $function) = @_;

	$self->sql("SET lock_timeout = '10s';\nSELECT $function($TRUNCATE_LOCK) \\g /dev/null\n");
	return 0 if $self->{errors} || $self->{session}{lost};
	$self->sql($LOCK_TIMEOUT);
	return 1;
}

sub unlock
{
	my ($self, $function) = @_;

	$self->sql("SELECT $function($TRUNCATE_LOCK) \\g /dev/null\n");
	return;
}

# Pieces of SQL ------------------------------------------------------------

# Small statements and large ones take different ways through capture.
sub random_size
{
	my ($self) = @_;

	my $kind = rand;

	return 1 + int rand 40 if $kind < 0.6;
	return 1 + int rand 300 if $kind < 0.9;
	return 1 + int rand $self->{largest_batch};
}

sub insert
{
	my ($self, $size) = @_;

	$size //= $self->random_size;
	return "INSERT INTO events ($COLUMNS) SELECT "
	  . Aggwin::Workload::random_events() . " FROM generate_series(1, $size);\n";
}

# Rows of late: a few neighbours, or some spread over the table.
sub some_rows
{
	my ($self) = @_;
	my $at = 'id > (SELECT max(id) FROM events) - ' . int rand 2000;

	return "$at AND id % 97 = " . int rand 97 if rand() < 0.5;
	return "id IN (SELECT id FROM events WHERE $at ORDER BY id LIMIT " . (1 + int rand 30) . ')';
}

sub delete_sql
{
	my ($self) = @_;

	return 'DELETE FROM events WHERE ' . $self->some_rows . ";\n";
}

sub update_sql
{
	my ($self) = @_;
	my @changes = (
		'i = i + 1', 'n = -n, big = NULL', 'k = coalesce(k, 0) + 1, t = NULL',
		'b = NOT b, f = f + 0.25');

	return 'UPDATE events SET ' . $changes[ rand @changes ] . ' WHERE ' . $self->some_rows . ";\n";
}

sub change
{
	my ($self) = @_;
	my $kind = rand;

	return $kind < 0.5 ? $self->insert : $kind < 0.75 ? $self->update_sql : $self->delete_sql;
}

sub ending
{
	return rand() < 0.75 ? "COMMIT;\n" : "ROLLBACK;\n";
}

sub pause
{
	my ($longest) = @_;

	return sprintf "SELECT pg_sleep(%.3f) \\g /dev/null\n", rand $longest;
}

# Actions ------------------------------------------------------------------

sub single_rows
{
	my ($self) = @_;

	$self->sql(join '', map { $self->insert(1) } 1 .. 5 + rand 40);
	return;
}

sub batch
{
	my ($self) = @_;

	$self->sql($self->insert);
	return;
}

sub copy
{
	my ($self) = @_;
	my $file = "$self->{folder}/$self->{name}.copy";
	my $size = $self->random_size;

	# The bounds of the copied columns are those of the table's.
	$self->sql('\copy (SELECT '
		  . (Aggwin::Workload::random_events() =~ s/\s+/ /gr)
		  . " FROM generate_series(1, $size)) TO '$file'");
	$self->sql("\\copy events ($COLUMNS) FROM '$file'");
	return;
}

sub rolled_back
{
	my ($self) = @_;

	$self->sql("BEGIN;\n" . $self->insert . $self->change . pause(0.1) . "ROLLBACK;\n");
	return;
}

sub savepoints
{
	my ($self) = @_;

	$self->sql("BEGIN;\n"
		  . $self->change
		  . "SAVEPOINT a;\n"
		  . $self->insert
		  . $self->change
		  . "SAVEPOINT b;\n"
		  . $self->change
		  . (rand() < 0.5 ? "RELEASE b;\n" : "ROLLBACK TO b;\n")
		  . $self->insert);
	$self->check;
	$self->sql((rand() < 0.6 ? "ROLLBACK TO a;\n" : "RELEASE a;\n") . $self->change);
	$self->check;
	$self->sql($self->ending);
	return;
}

# More of them than a backend advertises in shared memory.
sub many_subtransactions
{
	my ($self) = @_;
	my $insert = $self->insert(1);

	$self->sql(qq{BEGIN;
		DO \$do\$ BEGIN
			FOR step IN 1 .. 90 LOOP
				BEGIN
					$insert
					IF step % 7 = 0 THEN RAISE division_by_zero; END IF;
				EXCEPTION WHEN division_by_zero THEN NULL;
				END;
			END LOOP;
		END \$do\$;
	} . pause(0.2));
	$self->check;
	$self->sql($self->ending);
	return;
}

sub update
{
	my ($self) = @_;

	$self->sql($self->update_sql);
	return;
}

sub update_time
{
	my ($self) = @_;

	$self->sql("UPDATE events SET ts = ts + interval '37 minutes' WHERE " . $self->some_rows . ';');
	return;
}

# Columns that no rollup reads, and a column that only some read.
sub update_unrelated
{
	my ($self) = @_;
	my $set = rand() < 0.5 ? "note = 'seen'" : 'f = f + 0.5';

	$self->sql("UPDATE events SET $set WHERE " . $self->some_rows . ';');
	return;
}

sub delete
{
	my ($self) = @_;

	$self->sql($self->delete_sql);
	return;
}

# Inserts some rows and updates others, both in one statement.
sub upsert
{
	my ($self) = @_;
	my $offset = int rand 100;

	$self->sql(qq{
		INSERT INTO events (id, $COLUMNS)
		SELECT c.id, r.*
		FROM ((SELECT id FROM events WHERE id > (SELECT max(id) FROM events) - $offset LIMIT 25)
				UNION ALL SELECT nextval('events_id_seq') FROM generate_series(1, 25)) AS c,
			LATERAL (SELECT } . Aggwin::Workload::random_events() . qq{ WHERE c.id > 0) AS r
		ON CONFLICT (id) DO UPDATE SET i = excluded.i, ts = excluded.ts
			WHERE events.k IS DISTINCT FROM 4;});
	return;
}

sub merge
{
	my ($self) = @_;
	my $modulus = 2 + int rand 20;

	$self->sql(qq{
		MERGE INTO events AS e
		USING (SELECT id, 0 AS fresh FROM events
				WHERE id > (SELECT max(id) FROM events) - 400 AND id % $modulus = 0
			UNION ALL SELECT nextval('events_id_seq'), g FROM generate_series(1, 60) AS g) AS s
		ON e.id = s.id
		WHEN MATCHED AND e.k = 2 THEN DELETE
		WHEN MATCHED AND e.k > 2 THEN UPDATE SET n = n + 1, ts = ts + interval '1 second'
		WHEN NOT MATCHED THEN INSERT (id, ts, k, i, n, f)
			VALUES (s.id, '$Aggwin::Workload::EPOCH'::timestamptz + s.fresh * interval '1 second',
				s.fresh % 6, s.fresh, s.fresh, 1);});
	return;
}

# Several commands on the table within one statement.
sub several_in_one
{
	my ($self) = @_;
	my $rows = $self->some_rows;

	$self->sql(qq{
		WITH moved AS (DELETE FROM events WHERE $rows RETURNING $COLUMNS),
			copied AS (INSERT INTO events ($COLUMNS)
				SELECT ts + interval '1 minute', k + 1, t, i, big, n, f, b FROM moved RETURNING id),
			fresh AS (INSERT INTO events ($COLUMNS)
				SELECT } . Aggwin::Workload::random_events() . qq{ FROM generate_series(1, 45) RETURNING id)
		UPDATE events SET i = 7 WHERE id IN (SELECT max(id) - 1 FROM events);});
	return;
}

# Rows that come, change and go by a foreign key.
sub cascade
{
	my ($self) = @_;
	my $batch = int rand 2_000_000_000;
	my $change =
	  rand() < 0.5 ? "DELETE FROM batches WHERE batch = $batch" : "UPDATE batches SET batch = -batch WHERE batch = $batch";

	$self->sql("INSERT INTO batches VALUES ($batch), ($batch + 1);\n"
		  . "INSERT INTO events ($COLUMNS, batch) SELECT r.*, $batch + g % 2"
		  . " FROM generate_series(1, 40) AS g, LATERAL (SELECT "
		  . Aggwin::Workload::random_events()
		  . " WHERE g > 0) AS r;\n"
		  . "BEGIN;\n$change;\nDELETE FROM batches WHERE batch = $batch + 1;\n");
	$self->check;
	$self->sql($self->ending);
	return;
}

sub own_changes
{
	my ($self) = @_;

	$self->sql("BEGIN;\n" . $self->change . $self->insert);
	$self->check;
	$self->sql($self->change);
	$self->check;
	$self->sql($self->ending);
	return;
}

sub own_changes_repeatable_read
{
	my ($self) = @_;

	return if !$self->lock('pg_advisory_lock_shared');
	$self->sql("BEGIN ISOLATION LEVEL REPEATABLE READ;\n" . $self->change);
	$self->check;
	$self->sql(pause(0.3) . $self->change);
	$self->check;
	$self->sql($self->ending);
	$self->unlock('pg_advisory_unlock_shared');
	return;
}

# A snapshot that is old when the first row is written, TRUNCATE or not.
sub old_repeatable_read
{
	my ($self) = @_;

	$self->sql("BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT txid_current_snapshot() \\g /dev/null\n"
		  . pause(0.4)
		  . $self->insert
		  . $self->insert(1)
		  . $self->ending);
	return;
}

sub serializable
{
	my ($self) = @_;

	return if !$self->lock('pg_advisory_lock_shared');
	$self->sql("BEGIN ISOLATION LEVEL SERIALIZABLE;\n" . $self->insert);
	$self->check;
	$self->sql("COMMIT;\n");
	$self->unlock('pg_advisory_unlock_shared');
	return;
}

# A cursor shows what was there when it was declared.
sub cursor
{
	my ($self) = @_;
	my $comparison = $self->some_comparison;
	my $hold = rand() < 0.3;

	$self->sql("BEGIN;\n"
		  . $self->insert
		  . 'DECLARE earlier CURSOR '
		  . ($hold ? 'WITH HOLD ' : '')
		  . "FOR $comparison\n"
		  . $self->change
		  . pause(0.2));
	$self->sql("COMMIT;\n") if $hold;
	$self->check("FETCH ALL FROM earlier;\n");
	$self->sql($hold ? "CLOSE earlier;\n" : $self->ending);
	return;
}

# Writes and reads within one statement of the client.
sub in_function
{
	my ($self) = @_;
	my $comparison = $self->some_comparison;
	my $first = $self->insert;
	my $second = $self->change;

	$comparison =~ s/;\s*$//;
	$self->sql(qq{DO \$do\$ DECLARE
			answer text;
		BEGIN
			$first
			SELECT string_agg(concat_ws('|', c.*), E'\\n') INTO answer FROM ($comparison) AS c WHERE c.differences > 0;
			IF answer IS NOT NULL THEN RAISE 'differs: %', answer; END IF;
			$second
			SELECT string_agg(concat_ws('|', c.*), E'\\n') INTO answer FROM ($comparison) AS c WHERE c.differences > 0;
			IF answer IS NOT NULL THEN RAISE 'differs: %', answer; END IF;
		END \$do\$;});
	$self->{checks} += 2 if !$self->{errors};
	return;
}

# Others begin and end many times, and folds pass, while this one runs.
sub long
{
	my ($self) = @_;

	$self->sql("BEGIN;\n" . $self->insert . pause(1.5) . $self->change);
	$self->check;
	$self->sql($self->ending);
	return;
}

# Several may be waiting at a time.
sub prepare
{
	my ($self) = @_;
	my $gid = sprintf '%s-%d-%d', $self->{name}, $$, ++$self->{serial};
	my $answer;

	if (@{ $self->{prepared} } > 1)
	{
		return $self->finish_prepared;
	}
	$self->sql("BEGIN;\n" . $self->change . "SAVEPOINT a;\n" . $self->insert . "ROLLBACK TO a;\n" . $self->insert);
	$answer = $self->sql("PREPARE TRANSACTION '$gid';\n");
	push @{ $self->{prepared} }, $gid if !$self->{errors} && !$answer->{lost};
	return;
}

sub finish_prepared
{
	my ($self) = @_;
	my $gid = shift @{ $self->{prepared} };

	return if !defined $gid;
	$self->sql((rand() < 0.7 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$gid';\n");
	return;
}

sub finish_all_prepared
{
	my ($self) = @_;

	$self->{action} = 'finish_prepared';
	$self->finish_prepared while @{ $self->{prepared} } && !$self->{session}{lost};
	return;
}

sub truncate
{
	my ($self) = @_;

	# A prepared transaction keeps the table for as long as it likes.
	$self->finish_all_prepared;
	$self->{action} = 'truncate';
	return if !$self->lock('pg_advisory_lock');
	$self->sql("BEGIN;\n" . $self->change . "TRUNCATE events;\n" . $self->insert);
	$self->check;
	$self->sql($self->ending);
	$self->unlock('pg_advisory_unlock');
	return;
}

1;
