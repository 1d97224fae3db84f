#!/usr/bin/perl
# soak.pl - the load, the samples and the verdict; see run
use strict;
use warnings;
use Aggwin::Session;
use List::Util qw(max sum0);
use POSIX qw(_exit);
use Time::HiRes qw(sleep time);

my ($connstr) = @ARGV;
my $SECONDS = 60 * $ENV{MINUTES};
my $RATE = $ENV{RATE};
my $KEYS = 200;

# What is sampled => by how much the last third may exceed the middle third: the
# factor, and what is added to that.
my %MARGIN = (
	'delta, kB' => [ 1.2, 256 ],
	'state, kB' => [ 1.2, 256 ],
	'indexes, kB' => [ 1.2, 256 ],
	'invalid spans, kB' => [ 1.2, 64 ],
	'fold of the base, ms' => [ 1.5, 10 ],
	'fold of the tiers, ms' => [ 1.5, 10 ],
	'read of a tier, ms' => [ 1.5, 5 ]);

# Buckets, and for how long they are kept: view => [ width, retention ], seconds.
my %TIER = (plays => [ 1, 20 ], plays_5s => [ 5, 30 ], plays_15s => [ 15, 45 ]);
my $SOURCE_KEPT = 90;
my $LATEST = 30;    # how late rows are

$| = 1;

sub connect_as
{
	my ($name) = @_;
	return Aggwin::Session->new($connstr, $name);
}

# Calls a step of a process of its own again and again, at most so often, until
# the time is over. Its exit code says whether anything went wrong.
sub employ
{
	my ($name, $pause, $step) = @_;
	my $begin = time;
	my $pid = fork // die "soak: fork: $!\n";

	return $pid if $pid;
	srand $$;
	my $done = eval {
		my $session = connect_as($name);

		for (my $i = 1; time < $begin + $SECONDS; $i++)
		{
			$step->($session);
			my $rest = $begin + $i * $pause - time;
			sleep $rest if $rest > 0;
		}
		$session->close;
		1;
	};
	print STDERR "soak: $name: $@" unless $done;
	_exit($done ? 0 : 1);
}

sub plain
{
	my ($width) = @_;
	return "SELECT aggwin.time_bucket('$width seconds', ts) AS bucket, song, count(*) AS plays, sum(seconds) AS seconds, max(seconds) AS longest"
	  . ' FROM song_plays GROUP BY 1, 2';
}

# The number of rows that view and plain query do not have in common, where both
# still have everything.
sub differences
{
	my ($session) = @_;
	my @parts;

	for my $view (sort keys %TIER)
	{
		my ($width, $kept) = @{ $TIER{$view} };
		my $newer = "bucket > now() - interval '@{[ $kept - 1 ]} seconds'";
		my $from_view = "SELECT * FROM $view WHERE $newer";
		my $from_rows = "SELECT * FROM (" . plain($width) . ") AS p WHERE $newer";
		push @parts, "(SELECT count(*) FROM (($from_view EXCEPT ALL $from_rows) UNION ALL ($from_rows EXCEPT ALL $from_view)) AS d)";
	}
	return $session->value('SELECT ' . join ' + ', @parts);
}

# Half of the rows one by one.
sub write_rows
{
	my ($session) = @_;
	my $rows = $RATE / 20;
	my $one = "INSERT INTO song_plays VALUES (clock_timestamp(), random() * $KEYS, random() * 300);\n";

	$session->rows($one x ($rows / 2)
		  . "INSERT INTO song_plays SELECT clock_timestamp(), random() * $KEYS, random() * 300"
		  . " FROM generate_series(1, $rows / 2)");
	return;
}

sub write_late_rows
{
	my ($session) = @_;
	$session->rows("INSERT INTO song_plays SELECT clock_timestamp() - random() * interval '$LATEST seconds',"
		  . " random() * $KEYS, random() * 300 FROM generate_series(1, 20)");
	return;
}

# Some rows of late; and all that is beyond source_retention.
sub delete_rows
{
	my ($session) = @_;
	$session->rows("DELETE FROM song_plays WHERE ctid = ANY (ARRAY(SELECT ctid FROM song_plays"
		  . " WHERE ts > clock_timestamp() - random() * interval '15 seconds' ORDER BY ts LIMIT 3));"
		  . " DELETE FROM song_plays WHERE ts < clock_timestamp() - interval '$SOURCE_KEPT seconds'");
	return;
}

# Twice in each third.
sub hold_snapshot
{
	my ($session) = @_;
	my $held = $SECONDS / 24;
	my $sum = 'SELECT sum(plays) FROM plays_15s';
	my $before;

	sleep $held;
	$session->rows('BEGIN ISOLATION LEVEL REPEATABLE READ');
	$before = $session->value($sum);
	sleep $held;
	die "an old snapshot does not read what it did\n" if $session->value($sum) ne $before;
	$session->rows('COMMIT');
	return;
}

sub compare
{
	my ($session) = @_;
	my $differences = differences($session);

	die "views and plain queries differ in $differences rows\n" if $differences;
	return;
}

# Samples ------------------------------------------------------------------------

my %SIZE = (
	'delta, kB' => q{pg_relation_size(coalesce(t.delta, r.delta)) / 1024.0},
	'state, kB' => q{pg_relation_size(coalesce(t.state, r.state)) / 1024.0},
	'indexes, kB' => q{(pg_indexes_size(coalesce(t.state, r.state)) + pg_indexes_size(coalesce(t.delta, r.delta))) / 1024.0},
	'invalid spans, kB' => q{CASE WHEN t.level = 0 THEN pg_total_relation_size(r.invalid) / 1024.0 ELSE 0 END},
	'fold of the base, ms' => q{CASE WHEN t.level = 0 THEN t.last_fold_ms ELSE 0 END},
	'fold of the tiers, ms' => q{CASE WHEN t.level > 0 THEN t.last_fold_ms ELSE 0 END});

sub sample
{
	my ($session) = @_;
	my @names = sort keys %SIZE;
	my $columns = join ', ', map { "sum($SIZE{$_})" } @names;
	my %sample;

	@sample{@names} = split /\|/,
	  $session->value("SELECT $columns FROM aggwin.rollup AS r JOIN aggwin.tier AS t USING (rollup_id)");
	my $begin = time;
	$session->rows('SELECT * FROM plays_5s WHERE song = ' . int rand $KEYS);
	$sample{'read of a tier, ms'} = 1000 * (time - $begin);
	return \%sample;
}

sub average
{
	my ($name, @samples) = @_;
	return @samples ? sum0(map { $_->{$name} // 0 } @samples) / @samples : 0;
}

# Prints the table; returns how many things grew.
sub verdict
{
	my (@samples) = @_;
	my $third = int(@samples / 3);
	my $grown = 0;

	printf "%-24s %12s %12s %12s %12s  %s\n", '', 'first third', 'middle', 'last', 'limit', '';
	for my $name (sort keys %MARGIN)
	{
		my ($first, $middle, $last) =
		  map { average($name, @samples[ $_ * $third .. ($_ + 1) * $third - 1 ]) } 0 .. 2;
		my ($factor, $added) = @{ $MARGIN{$name} };
		my $limit = $factor * $middle + $added;

		$grown++ if $last > $limit;
		printf "%-24s %12.1f %12.1f %12.1f %12.1f  %s\n", $name, $first, $middle, $last, $limit,
		  $last > $limit ? 'grows' : 'flat';
	}
	return $grown;
}

# The test -----------------------------------------------------------------------

my $session = connect_as('soak');
$session->rows('CREATE TABLE song_plays (ts timestamptz NOT NULL, song integer NOT NULL, seconds integer)');
$session->rows('CREATE INDEX ON song_plays (ts)');
$session->rows("SELECT aggwin.create_rollup('plays', \$\$" . plain(1) . "\$\$, tiers => '{5 seconds, 15 seconds}',"
	  . " retention => '$TIER{plays}[1] seconds', source_retention => '@{[ $SOURCE_KEPT - 15 ]} seconds')");
$session->rows("SELECT aggwin.set_tier('$_', retention => '$TIER{$_}[1] seconds')") foreach qw(plays_5s plays_15s);

my $begin = time;
my @crew = (
	employ('writer', 0.05, \&write_rows),
	employ('late writer', 0.5, \&write_late_rows),
	employ('deleter', 1, \&delete_rows),
	employ('holder', $SECONDS / 6, \&hold_snapshot),
	employ('comparer', 5, \&compare));
my @samples;

while (time < $begin + $SECONDS)
{
	my $next = time + 1;

	push @samples, sample($session);
	sleep max($next - time, 0);
}
my $failed = 0;
for my $pid (@crew)
{
	waitpid $pid, 0;
	$failed++ if $?;
}
die "soak: $failed of the processes failed\n" if $failed;

my $until = time + 60;
until ($session->value('SELECT sum(pending_deltas) = 0 AND bool_and(invalid_buckets IS NOT DISTINCT FROM 0) FROM aggwin.rollup_status') eq 't')
{
	die "soak: the worker does not get done\n" if time > $until;
	sleep 0.5;
}
compare($session);
die "soak: folds have failed\n" if $session->value('SELECT sum(failures) FROM aggwin.rollup_status') > 0;
print 'soak: ', $session->value(q{SELECT concat(
	(SELECT rows_folded FROM aggwin.rollup_status WHERE rollup = 'plays'::regclass), ' rows folded, ',
	(SELECT sum(repairs) FROM aggwin.rollup_status), ' repairs, ',
	(SELECT sum(pg_stat_get_vacuum_count(relid)) FROM pg_stat_user_tables WHERE schemaname = 'aggwin'), ' vacuums by the worker, ',
	(SELECT sum(pg_stat_get_autovacuum_count(relid)) FROM pg_stat_user_tables WHERE schemaname = 'aggwin'), ' by autovacuum')}), "\n";
my $grown = verdict(@samples);
$session->close;
die "soak: what is not flat grew beyond its limit\n" if $grown;
print "soak: views equal plain queries, sizes and times are flat: yes\n";
