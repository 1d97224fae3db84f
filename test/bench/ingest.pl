#!/usr/bin/perl
# ingest.pl - loading with a fold after each batch, against the plain load
#
# Batches of 100,000 rows are what a plain COPY loads in about a third of a
# second, so a fold after each means less than a second of staleness at full
# speed. Batches of 10,000 rows ask for ten times as many folds.
use strict;
use warnings;
use Bench;

my %bucket = (minute => '1 minute', hour => '1 hour');

for ([ '100,000', 1, 24, '<= 1.3' ], [ '10,000', 4, 24, undef ])
{
	my ($size, $batches, $rounds, $bar) = @$_;
	my $batch = $size =~ tr/,//dr;
	my $psql = session();
	my $sent = 0;
	my @files;

	$psql->ask('DROP TABLE IF EXISTS plain, minute, hour CASCADE');
	create_events($psql, qw(plain minute hour));
	create_rollup($psql, $_, $bucket{$_}) for sort keys %bucket;

	my $load = sub {
		my ($table) = @_;
		for (@files)
		{
			$psql->send_text("\\copy $table FROM '$_'\n");
			$psql->send_text("SELECT aggwin.refresh('${table}_rollup') \\g /dev/null\n")
			  if $bucket{$table};
		}
		$psql->ask('SELECT 1');
	};
	my $result = measure(
		rounds => rounds($rounds),
		psql => { '' => $psql },
		before => sub {
			@files = map { events("batch$_", $sent + $_ * $batch, $batch) } 0 .. $batches - 1;
			$sent += $batch * $batches;
		},
		sides => { map { my $table = $_; $table => sub { $load->($table) } } qw(plain minute hour) });

	# No dearer: more than that the measurement cannot tell.
	for ([ 'minute', 'plain', $bar ], [ 'hour', 'plain', $bar ],
		[ 'hour', 'minute', $bar && '<= 1.05' ])
	{
		my ($side, $other, $limit) = @$_;
		report("fold each $size rows, 1-$side buckets / " . ($other eq 'plain' ? 'plain load' : "1-$other"),
			[ ratios($result, 's', $side, $other) ], [ ratios($result, 'cpu', $side, $other) ], $limit);
	}
	my %rows = map {
		$_ => same_answers($psql, $_, "TABLE ${_}_rollup", [ 'plain', $bucket{$_} ])
	} keys %bucket;
	note('plain load of a batch %.0f ms; %d and %d groups compared: equal',
		1000 / $batches * median(map { $_->{s} } @{ $result->{plain} }), @rows{qw(minute hour)});
	$psql->close or die "bench: psql ended badly\n";
}
