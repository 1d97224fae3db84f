#!/usr/bin/perl
# tiers.pl - loading into a table with a rollup of three tiers, and of one
use strict;
use warnings;
use Bench;

my %tiers = (one => [], three => [ '1 hour', '1 day' ]);
my %top = (one => 'one_rollup', three => 'three_rollup_1d');

# One batch of 100,000 rows and a fold, as in ingest.pl; or four of 10,000 rows
# and none, as in copy.pl.
for ([ 'capture of 10,000 rows', 10_000, 4, 0 ], [ 'fold each 100,000 rows', 100_000, 1, 1 ])
{
	my ($name, $batch, $batches, $folds) = @$_;
	my $psql = session();
	my $sent = 0;
	my @files;

	$psql->ask('DROP TABLE IF EXISTS plain, one, three CASCADE');
	create_events($psql, qw(plain one three));
	for my $table (sort keys %tiers)
	{
		create_rollup($psql, $table, '1 minute');
		$psql->ask("SELECT aggwin.add_tier('${table}_rollup', interval '$_')") for @{ $tiers{$table} };
		settle($psql, $top{$table});
	}
	my $result = measure(
		rounds => rounds($folds ? 24 : 40),
		psql => { '' => $psql },
		before => sub {
			@files = map { events("batch$_", $sent + $_ * $batch, $batch) } 0 .. $batches - 1;
			$sent += $batch * $batches;
		},
		sides => {
			map {
				my $table = $_;
				$table => sub {
					for my $file (@files)
					{
						$psql->send_text("\\copy $table FROM '$file'\n");
						$psql->send_text("SELECT aggwin.refresh('$top{$table}') \\g /dev/null\n")
						  if $folds && $top{$table};
					}
					$psql->ask('SELECT 1');
				}
			} qw(plain one three)
		},
		after => sub { settle($psql, values %top) unless $folds });

	my %ratio;
	for my $what (qw(s cpu))
	{
		$ratio{$what}{$_} = [ ratios($result, $what, 'plain', $_) ] for keys %tiers;
		my ($one, $three) = @{ $ratio{$what} }{qw(one three)};
		$ratio{$what}{difference} = [ map { $three->[$_] - $one->[$_] } 0 .. $#$three ];
	}
	report("$name, rows a second: $_ / without a rollup", $ratio{s}{$_}, $ratio{cpu}{$_}, undef)
	  for ('one', 'three');
	report("$name: ratio of three less ratio of one", $ratio{s}{difference}, $ratio{cpu}{difference}, '>= -0.03');

	my %width = (one_rollup => '1 minute', three_rollup => '1 minute', three_rollup_1h => '1 hour', three_rollup_1d => '1 day');
	my $rows = 0;
	$rows += same_answers($psql, $_, "TABLE $_", [ 'plain', $width{$_} ]) for sort keys %width;
	note('%d groups compared: equal', $rows);
	$psql->close or die "bench: psql ended badly\n";
}
