#!/usr/bin/perl
# freshness.pl - a window output under load: what reading it costs, how soon it tells
#
# Plays come in statements of 100 rows, sent by functions, and a worker folds and
# closes the top ten of ten seconds each second. The view of the newest window is
# read in turns with a plain table of ten rows. Meanwhile single probes are
# committed, and a listener notes when it is told of the window that they are in.
use strict;
use warnings;
use Bench;
use Time::HiRes qw(sleep time);

use constant { RATE => 20_000, BURST => 100, SONGS => 100_000, SETTLE => 5, SECONDS => 30 };

my $psql = session();
$psql->ask('CREATE EXTENSION aggwin');
$psql->ask('CREATE TABLE plays (ts timestamptz NOT NULL, song_id int NOT NULL)');
$psql->ask('CREATE INDEX ON plays (ts)');
$psql->ask(q{SELECT aggwin.create_rollup('plays_1s', 'SELECT aggwin.time_bucket(''1 second'', ts) AS bucket, song_id, count(*) AS plays
	FROM plays GROUP BY 1, 2')});
$psql->ask(q{SELECT aggwin.create_window('top', 'SELECT song_id, sum(plays) AS plays FROM plays_1s
	GROUP BY song_id ORDER BY plays DESC, song_id LIMIT 10', '10 seconds', '1 second')});
$psql->ask(q{SELECT aggwin.create_window('probes', 'SELECT sum(plays) AS plays FROM plays_1s WHERE song_id = 0 HAVING sum(plays) > 0', '1 second')});
$psql->ask('CREATE FUNCTION burst(rows int) RETURNS void LANGUAGE sql AS $$
	INSERT INTO plays SELECT clock_timestamp(), 1 + (' . SONGS . ' * random() ^ 3)::int FROM generate_series(1, rows) $$');
my ($worker) = map { $_->[0] } $psql->ask('SELECT aggwin.start_worker()');

my $load = start_load(burst => BURST, writers => 1, rate => RATE, seconds => SECONDS);
my $begin = time;
my $listener = session();
$listener->ask('LISTEN top');
$listener->ask('LISTEN probes');
sleep SETTLE;
$psql->ask('CREATE TABLE ten AS SELECT * FROM top_latest');
die "bench: there are no ten songs\n" if ($psql->ask('SELECT count(*) FROM ten'))[0][0] != 10;

# What began before the load was steady does not count.
$listener->ask('SELECT');
() = $listener->heard;

# Probes at random times; what is heard, when it is.
my (%sent, @after_commit, @after_end, %read);
my $next_probe = time;
my ($windows, $rounds) = (0, 0);

sub hear
{
	$listener->ask('SELECT');
	my $now = time;

	for ($listener->heard)
	{
		my ($name, $end) = /"window": "public\.(\w+)".*"window_end": "([^"]+)"/ or die "bench: $_ is no message\n";
		if ($name eq 'top')
		{
			my $seconds = ($psql->ask("SELECT extract(epoch FROM timestamptz '$end')"))[0][0];
			push @after_end, $now - $seconds;
			$windows++;
		}
		else
		{
			push @after_commit, map { $now - $_ } @{ delete $sent{$end} // [] };
		}
	}
}

while (time < $begin + SECONDS - 1)
{
	if (time > $next_probe)
	{
		my ($end) = map { $_->[0] } $psql->ask(q{INSERT INTO plays VALUES (clock_timestamp(), 0)
			RETURNING to_jsonb(aggwin.time_bucket('1 second', ts) + '1 second') #>> '{}'});

		push @{ $sent{$end} }, time;
		$next_probe = time + 0.05 + rand 0.2;
	}
	for my $side ($rounds++ % 2 ? qw(window table) : qw(table window))
	{
		my $start = time;
		$psql->ask($side eq 'window' ? 'SELECT song_id, plays FROM top_latest' : 'SELECT song_id, plays FROM ten ORDER BY rank');
		push @{ $read{$side} }, { s => time - $start };
	}
	hear();
	sleep 0.005;
}
end_load($load);

sub percentile
{
	my ($share, @times) = @_;
	my @sorted = sort { $a <=> $b } @times;
	return $sorted[ int $share * $#sorted ];
}

die "bench: nothing was heard\n" if !@after_commit || !$windows;
report('read, while rows come: newest window / table of ten rows', [ ratios(\%read, 's', 'window', 'table') ], [], undef);
note('view of the newest window %.2f ms, table of ten rows %.2f ms in the median; %d reads of each',
	1000 * median(map { $_->{s} } @{ $read{window} }), 1000 * median(map { $_->{s} } @{ $read{table} }), scalar @{ $read{window} });
note('from commit to NOTIFY heard, of windows of one second: %.2f s in the median, %.2f s for 99 of 100; %d events',
	percentile(0.5, @after_commit), percentile(0.99, @after_commit), scalar @after_commit);
note('from the end of a window of ten seconds to NOTIFY heard: %.2f s in the median, %.2f s for 99 of 100; %d windows',
	percentile(0.5, @after_end), percentile(0.99, @after_end), $windows);
note('%d rows a second of the %d asked for; a step takes %.0f ms', ($psql->ask('SELECT count(*) FROM plays'))[0][0] / SECONDS, RATE,
	($psql->ask(q{SELECT last_duration_ms FROM aggwin.windows WHERE "window" = 'top'::regclass}))[0][0]);
my ($failures) = map { $_->[0] } $psql->ask('SELECT sum(failures) FROM aggwin.windows');
die "bench: the worker failed\n" if $failures > 0;
$psql->ask('SELECT aggwin.stop_worker()');
$listener->close or die "bench: psql ended badly\n";
$psql->close or die "bench: psql ended badly\n";
