#!/usr/bin/perl
# insert.pl - single-row INSERTs of two clients, with one rollup and without
#
# With synchronous_commit on most of the time goes into waiting for the disk,
# which hides what capture costs; so they are run with it off, too.
use strict;
use warnings;
use Bench;
use Time::HiRes qw(sleep);

use constant { CLIENTS => 2, SECONDS => 2 };

my $psql = session();
create_events($psql, qw(plain captured));
create_rollup($psql, 'captured', '1 minute');

# pgbench with one INSERT a transaction; figures for one transaction.
sub pgbench
{
	my ($table, $synchronous_commit) = @_;
	my $script = "$ENV{PGHOST}/$table.sql";

	open my $file, '>', $script or die "bench: $script: $!\n";
	print $file "\\set key random(1, 1000)\n\\set value random(0, 65535)\n",
	  "INSERT INTO $table VALUES (now(), :key, :value);\n";
	close $file or die "bench: $script: $!\n";

	my $cpu = children_cpu($psql);
	local $ENV{PGOPTIONS} = "-c synchronous_commit=$synchronous_commit";
	my $output = qx(pgbench -n -M prepared -c @{[ CLIENTS ]} -j @{[ CLIENTS ]} -T @{[ SECONDS ]} -f '$script' 2>&1);
	my ($done) = $output =~ /actually processed: (\d+)/;
	my ($tps) = $output =~ /^tps = ([\d.]+)/m;
	die "bench: pgbench failed:\n$output" if $? != 0 || !$done || !$tps;

	# Its processor time is known when the server has taken note of its end.
	my $others = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
	sleep 0.05 while ($psql->ask($others))[0][0] > 0;
	sleep 0.1;
	return {
		s => 1 / $tps,
		cpu => defined $cpu ? (children_cpu($psql) - $cpu) / $done : undef
	};
}

for my $commit (qw(on off))
{
	my $result = measure(
		rounds => rounds(8),
		sides => { map { my $table = $_; $table => sub { pgbench($table, $commit) } } qw(plain captured) },
		after => sub { settle($psql, 'captured_rollup') });

	report("single rows a second, synchronous_commit $commit",
		[ ratios($result, 's', qw(plain captured)) ], [ ratios($result, 'cpu', qw(plain captured)) ],
		$commit eq 'on' ? '>= 0.85' : undef);
	note('%.0f rows a second without the rollup', 1 / median(map { $_->{s} } @{ $result->{plain} }));
}

pgbench('captured', 'off');
my $rows = same_answers($psql, 'pending', 'TABLE captured_rollup', [ 'captured', '1 minute' ]);
settle($psql, 'captured_rollup');
same_answers($psql, 'folded', 'TABLE captured_rollup', [ 'captured', '1 minute' ]);
note('%d groups compared: equal', $rows);
$psql->close or die "bench: psql ended badly\n";
