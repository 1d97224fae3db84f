#!/usr/bin/perl
# copy.pl - COPY of 10,000-row batches into a table with one rollup, and without
use strict;
use warnings;
use Bench;

use constant { BATCH => 10_000, BATCHES => 4 };

my $psql = session();
create_events($psql, qw(plain captured));
create_rollup($psql, 'captured', '1 minute');

my $sent = 0;
my @files;

sub load
{
	my ($table) = @_;
	$psql->send_text("\\copy $table FROM '$_'\n") for @files;
	$psql->ask('SELECT 1');
}

my $result = measure(
	rounds => rounds(40),
	psql => { '' => $psql },
	before => sub {
		@files = map { events("batch$_", $sent + $_ * BATCH, BATCH) } 0 .. BATCHES - 1;
		$sent += BATCH * BATCHES;
	},
	sides => { plain => sub { load('plain') }, captured => sub { load('captured') } },
	after => sub { settle($psql, 'captured_rollup') });

report('rows a second, with a rollup / without',
	[ ratios($result, 's', qw(plain captured)) ], [ ratios($result, 'cpu', qw(plain captured)) ],
	'>= 0.85');
load('captured');
load('plain');
my $rows = same_answers($psql, 'pending', 'TABLE captured_rollup', [ 'plain', '1 minute' ]);
settle($psql, 'captured_rollup');
same_answers($psql, 'folded', 'TABLE captured_rollup', [ 'plain', '1 minute' ]);
note('%.0f rows a second without the rollup; %d groups compared: equal',
	BATCH * BATCHES / median(map { $_->{s} } @{ $result->{plain} }), $rows);
$psql->close or die "bench: psql ended badly\n";
