# Bench - what the cases have in common: sessions, timing, reports, comparison
package Bench;

use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__) . '/../demo';
use DemoPsql;
use Exporter qw(import);
use POSIX qw(strftime sysconf _SC_CLK_TCK);
use Time::HiRes qw(time);

our @EXPORT = qw(session rounds measure ratios report note events create_events
  create_rollup settle same_answers cpu_of children_cpu median start_load end_load);

use constant KEYS => 1000;
use constant START => 1_700_000_400;    # of event time; a full hour

# Rows arrive in the order of their times.
use constant ROWS_PER_SECOND => 1000;

my $work = $ENV{PGHOST};                # the work folder holds the socket

$| = 1;
srand 1;

sub session
{
	my ($database) = @_;
	local $ENV{PGDATABASE} = $database // $ENV{PGDATABASE};
	local $ENV{PGOPTIONS} = "-c client_min_messages=warning";
	return DemoPsql->new('psql');
}

sub rounds
{
	my ($default) = @_;
	return $ENV{ROUNDS} || $default;
}

# Sources and rollups ----------------------------------------------------------

# Rows as a file for COPY: events number $first to $first + $rows - 1. Values
# are multiples of 1/64, so that their sums are exact in any order.
sub events
{
	my ($name, $first, $rows) = @_;
	my $path = "$work/$name";

	open my $file, '>', $path or die "bench: $path: $!\n";
	my ($second, $text) = (-1, '');
	for my $i ($first .. $first + $rows - 1)
	{
		my $s = int($i / ROWS_PER_SECOND);
		$text = strftime('%Y-%m-%d %H:%M:%S', gmtime START + ($second = $s)) if $s != $second;
		printf $file "%s.%03d+00\t%d\t%s\n", $text, $i % ROWS_PER_SECOND,
		  1 + int rand KEYS, int(rand 65_536) / 64;
	}
	close $file or die "bench: $path: $!\n";
	return $path;
}

sub create_events
{
	my ($psql, @tables) = @_;

	$psql->ask("CREATE EXTENSION IF NOT EXISTS aggwin");
	for (@tables)
	{
		$psql->ask("CREATE TABLE $_ (ts timestamptz NOT NULL, key integer NOT NULL, value float8)");
		$psql->ask("CREATE INDEX ON $_ (ts)");
	}
}

sub four_aggregates
{
	my ($table, $bucket) = @_;
	return "SELECT aggwin.time_bucket('$bucket', ts) AS bucket, key, count(*) AS n,
		sum(value) AS sum, min(value) AS min, max(value) AS max FROM $table GROUP BY 1, 2";
}

# The rollup of a table is called TABLE_rollup.
sub create_rollup
{
	my ($psql, $table, $bucket) = @_;
	$psql->ask("SELECT aggwin.create_rollup('${table}_rollup', \$\$"
		  . four_aggregates($table, $bucket) . '$$)');
}

sub settle
{
	my ($psql, @rollups) = @_;
	$psql->ask("SELECT aggwin.refresh('$_')") for @rollups;
}

# Dies unless two queries have the same rows, and some.
sub same_answers
{
	my ($psql, $what, $query, $plain) = @_;
	$plain = four_aggregates(@$plain) if ref $plain;

	my ($row) = $psql->ask("WITH a AS MATERIALIZED ($query), b AS MATERIALIZED ($plain)
		SELECT (SELECT count(*) FROM b),
			(SELECT count(*) FROM (TABLE a EXCEPT ALL TABLE b) AS extra),
			(SELECT count(*) FROM (TABLE b EXCEPT ALL TABLE a) AS missing)");
	my ($rows, $extra, $missing) = @$row;
	die "bench: $what: of $rows rows $missing are missing or wrong, $extra are too many\n"
	  if $rows == 0 || $extra || $missing;
	return $rows;
}

# Load -------------------------------------------------------------------------

# Starts pgbench, which keeps a rate of rows a second as far as it can, by calls of
# burst(), which inserts so many of them. Returns its pid.
sub start_load
{
	my (%arg) = @_;
	my $script = "$work/burst.sql";

	open my $file, '>', $script or die "bench: $script: $!\n";
	printf $file "SELECT burst(%d);\n", $arg{burst};
	close $file or die "bench: $script: $!\n";
	my $pid = fork // die "bench: fork: $!\n";
	return $pid if $pid;

	open STDOUT, '>', "$work/pgbench.out" or die;
	open STDERR, '>&', \*STDOUT or die;
	$ENV{PGOPTIONS} = '-c synchronous_commit=off';
	exec 'pgbench', '-n', '-M', 'prepared', '-f', $script, '-c', $arg{writers}, '-j', $arg{writers},
	  '-R', $arg{rate} / $arg{burst}, '-T', $arg{seconds}, $ENV{PGDATABASE};
	die "bench: pgbench: $!\n";
}

# Waits until it has ended.
sub end_load
{
	my ($pid) = @_;

	waitpid $pid, 0;
	die "bench: pgbench failed, see pgbench.out\n" if $?;
}

# Measuring --------------------------------------------------------------------

# Processor time of a process in nanoseconds, undef if the system does not tell;
# by default the session's.
sub cpu_of
{
	my ($psql, $pid) = @_;
	my ($row) = $psql->ask("SELECT coalesce(split_part(pg_read_file('/proc/"
		  . ($pid // 'self') . "/schedstat', 0, 200, true), ' ', 1), '')");
	return length $row->[0] ? $row->[0] : undef;
}

# The same of all processes of the server that have ended.
sub children_cpu
{
	my ($psql) = @_;
	my ($pid) = map { $_->[0] }
	  $psql->ask("SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)");
	my ($row) = $psql->ask("SELECT coalesce(pg_read_file('/proc/$pid/stat', 0, 1000, true), '')");
	return undef unless $row->[0] =~ /.*\) (.*)/;
	my @field = split ' ', $1;
	return ($field[13] + $field[14]) * 1e9 / sysconf(_SC_CLK_TCK);    # cutime, cstime
}

# Runs all sides once a round, each round in another order. A side is called with
# the round's number and its session, and may return a hash of its own figures.
# With "parallel", the processor time of a session's parallel workers counts, too.
# Returns side => list of { s => seconds, cpu => ... }. The first round only warms up.
sub measure
{
	my (%arg) = @_;
	my @names = sort keys %{ $arg{sides} };
	my %result;

	for my $round (0 .. $arg{rounds})
	{
		$arg{before}->($round) if $arg{before};
		my @order = map { $names[ ($_ + int $round / 2) % @names ] } 0 .. $#names;
		@order = reverse @order if $round % 2;
		for my $name (@order)
		{
			my $figures = run_side(\%arg, $name, $round);
			push @{ $result{$name} }, $figures if $round > 0;
		}
		$arg{after}->($round) if $arg{after};
	}
	return \%result;
}

sub run_side
{
	my ($arg, $name, $round) = @_;
	my $psql = $arg->{psql} && ($arg->{psql}{$name} // $arg->{psql}{''});
	my $cpu = sub {
		my @parts = (cpu_of($psql), $arg->{parallel} ? children_cpu($psql) : 0);
		return (grep { !defined } @parts) ? undef : $parts[0] + $parts[1];
	};

	my $cpu_before = $psql && $cpu->();
	my $begin = time;
	my $own = $arg->{sides}{$name}->($round, $psql);
	my $seconds = time - $begin;

	return $own unless $psql;
	return { s => $seconds, cpu => defined $cpu_before ? $cpu->() - $cpu_before : undef };
}

# One ratio a round: of what one side took to what the other took.
sub ratios
{
	my ($result, $what, $side, $other) = @_;
	my @ratio;

	for my $i (0 .. $#{ $result->{$side} })
	{
		my ($x, $y) = map { $result->{$_}[$i]{$what} } $side, $other;
		push @ratio, $x / $y if defined $x && $y;
	}
	return @ratio;
}

sub median
{
	return (quartiles(@_))[1];
}

sub quartiles
{
	my @sorted = sort { $a <=> $b } @_;
	return map {
		my $rank = $_ / 4 * $#sorted;
		my $low = int $rank;
		$sorted[$low] + ($rank - $low) * (($sorted[ $low + 1 ] // $sorted[$low]) - $sorted[$low]);
	} 1 .. 3;
}

# Reporting --------------------------------------------------------------------

my $FORMAT = "%-8s %-60s %6s %13s  %6s %13s  %-7s %s\n";

sub heading
{
	printf $FORMAT, 'case', 'ratio', 'median', 'quartiles', 'cpu', 'quartiles', 'bar', '';
}

# One line. bar is like ">= 0.85", or undef.
sub report
{
	my ($name, $time, $cpu, $bar) = @_;
	my $verdict = '';

	if (defined $bar)
	{
		my ($sign, $limit) = split ' ', $bar;
		my $median = median(@$time);
		$verdict = ($sign eq '>=' ? $median >= $limit : $median <= $limit) ? 'met' : 'missed';
	}
	printf $FORMAT, $ENV{BENCH_CASE}, $name, column(@$time), column(@$cpu), $bar // '-', $verdict;
}

sub column
{
	return ('-', '') unless @_;
	my ($low, $median, $high) = quartiles(@_);
	return (sprintf('%.2f', $median), sprintf('%.2f - %.2f', $low, $high));
}

sub note
{
	printf "%-8s %s\n", $ENV{BENCH_CASE}, sprintf shift, @_;
}

1;
