#!/usr/bin/perl
# worker.pl - loading while the background worker folds, against the plain load
#
# Both tables are loaded in batches of 10,000 rows as fast as they go in, while
# another session watches how far the rollup is behind.
use strict;
use warnings;
use Bench;
use IO::Select;
use Time::HiRes qw(sleep);

use constant { BATCH => 10_000, BATCHES => 60, SAMPLE_EVERY => 0.1 };

my ($psql, $watcher) = (session(), session());
create_events($psql, qw(plain captured));
create_rollup($psql, 'captured', '1 minute');
my ($worker) = map { $_->[0] } $psql->ask('SELECT aggwin.start_worker()');

my $sent = 0;
my $samples = 0;
my $largest = 0;
my @files;

sub status
{
	my ($row) = $watcher->ask('SELECT pending_deltas, extract(epoch FROM lag), failures
		FROM aggwin.rollup_status');
	die "bench: the worker failed\n" if $row->[2] > 0;
	$largest = $row->[1] if $row->[1] > $largest;
	return $row->[0];
}

# Waiting for the last fold is not part of the load, its processor time is.
sub load
{
	my ($table) = @_;
	my $clock = 'SELECT extract(epoch FROM clock_timestamp())';
	my $all_cpu = sub {
		my ($own, $workers) = (cpu_of($psql), cpu_of($psql, $worker));
		return defined $own && defined $workers ? $own + $workers : undef;
	};
	my $cpu = $all_cpu->();

	# Nothing comes back before the end.
	$psql->send_text(join "\n", "$clock AS begin \\gset",
		(map { "\\copy $table FROM '$_'" } @files), "$clock - :begin;\n");
	$psql->send_mark;
	my $done = IO::Select->new($psql->{out});
	until ($done->can_read(SAMPLE_EVERY))
	{
		status();
		$samples++ if $table eq 'captured';
	}
	my ($seconds) = map { $_->[0] } $psql->wait_for_mark;
	if ($table eq 'captured')
	{
		sleep SAMPLE_EVERY while status() > 0;
	}
	return { s => $seconds, cpu => defined $cpu ? $all_cpu->() - $cpu : undef };
}

my $result = measure(
	rounds => rounds(5),
	before => sub {
		@files = map { events("batch$_", $sent + $_ * BATCH, BATCH) } 0 .. BATCHES - 1;
		$sent += BATCH * BATCHES;
	},
	sides => { plain => sub { load('plain') }, captured => sub { load('captured') } });

report('load beside the worker / plain load',
	[ ratios($result, 's', qw(captured plain)) ], [ ratios($result, 'cpu', qw(captured plain)) ],
	'<= 1.3');
my ($folds) = map { $_->[0] } $psql->ask('SELECT round(last_fold_ms::numeric) FROM aggwin.rollup_status');
my $rows = same_answers($psql, 'worker', 'TABLE captured_rollup', [ 'plain', '1 minute' ]);
note('largest lag of %d samples %.2f s, last fold %d ms; %d groups compared: equal',
	$samples, $largest, $folds, $rows);
$psql->ask('SELECT aggwin.stop_worker()');
$_->close or die "bench: psql ended badly\n" for $psql, $watcher;
