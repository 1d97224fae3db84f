#!/usr/bin/perl
# read.pl - the top ten of the last ten seconds: rollup against raw table
#
# The demo's stream: 50,000 plays a second of 300,000 songs, buckets of one
# second. Two databases get the same rows and folds; in one of them a snapshot
# is held open meanwhile.
use strict;
use warnings;
use Bench;
use File::Basename qw(dirname);
use Time::HiRes qw(time);

use constant {
	RATE => 50_000,
	START => 1_700_000_000,
	HISTORY => 12,           # seconds
	FOLDS => 200,            # over ten seconds
};

my %psql = (free => session());
$psql{free}->ask("CREATE DATABASE $ENV{PGDATABASE}_held");
$psql{held} = session("$ENV{PGDATABASE}_held");
for (values %psql)
{
	$_->ask('CREATE EXTENSION aggwin');
	$_->ask("SET work_mem = '64MB'");    # as the demo has it, for hash tables of 100,000 songs
	$_->ask('CREATE TABLE song_plays (ts timestamptz NOT NULL, song_id bigint NOT NULL)');
	$_->ask('CREATE INDEX ON song_plays (ts)');
	$_->ask(q{SELECT aggwin.create_rollup('plays_1s', $$
		SELECT aggwin.time_bucket('1 second', ts) AS bucket, song_id, count(*) AS plays
		FROM song_plays GROUP BY 1, 2 $$)});
}

my $generator = dirname(__FILE__) . '/../demo/generator.pl';
my $duration = HISTORY + 1 + 10;
open my $stream, '-|', 'perl', $generator, '--print', '--rate', RATE, '--duration', $duration,
  '--start', START
  or die "bench: $generator: $!\n";

my @order = keys %psql;

# The next plays, into both; returns how long the folds took, if asked for.
sub load
{
	my ($rows, $fold) = @_;
	my $path = "$ENV{PGHOST}/plays";
	my %seconds;

	@order = reverse @order;

	open my $file, '>', $path or die "bench: $path: $!\n";
	for (1 .. $rows)
	{
		my $line = <$stream>;
		die "bench: $generator ended early\n" unless defined $line;
		print $file $line;
	}
	close $file or die "bench: $path: $!\n";
	for my $name (@order)
	{
		$psql{$name}->send_text("\\copy song_plays FROM '$path'\n");
		$psql{$name}->ask('SELECT 1');
		next unless $fold;
		my $begin = time;
		settle($psql{$name}, 'plays_1s');
		$seconds{$name} = time - $begin;
	}
	return \%seconds;
}

# Ten full buckets before a second of the stream.
sub top_ten
{
	my ($second, $raw) = @_;
	my $from = 'to_timestamp(' . (START + $second - 10) . ')';
	return $raw
	  ? "SELECT song_id, count(*) AS plays FROM song_plays WHERE ts >= $from
		GROUP BY song_id ORDER BY plays DESC, song_id LIMIT 10"
	  : "SELECT song_id, sum(plays) AS plays FROM plays_1s WHERE bucket >= $from
		GROUP BY song_id ORDER BY plays DESC, song_id LIMIT 10";
}

sub compare_reads
{
	my ($name, $second) = @_;
	my $psql = $psql{free};
	my $result = measure(
		rounds => rounds(10),
		psql => { '' => $psql },
		parallel => 1,
		sides => {
			raw => sub { $psql->ask(top_ten($second, 1)) },
			view => sub { $psql->ask(top_ten($second, 0)) },
		});

	report("top ten: rollup / raw table, $name",
		[ ratios($result, 's', qw(view raw)) ], [ ratios($result, 'cpu', qw(view raw)) ], undef);
	same_answers($psql, "top ten, $name", top_ten($second, 0), top_ten($second, 1));
	note('%.1f ms from the rollup, %.1f ms from the raw table, same answer',
		map { my $side = $_; 1000 * median(map { $_->{s} } @{ $result->{$side} }) } qw(view raw));
}

for (1 .. HISTORY)
{
	load(RATE / 5, $_ == 5) for 1 .. 5;
}
$_->ask('ANALYZE') for values %psql;
compare_reads('all folded', HISTORY);

load(RATE / 5, 0) for 1 .. 5;
compare_reads('last second pending', HISTORY + 1);
settle($_, 'plays_1s') for values %psql;

my $holder = session("$ENV{PGDATABASE}_held");
$holder->ask('BEGIN ISOLATION LEVEL REPEATABLE READ');
$holder->ask('SELECT count(*) FROM plays_1s');
my %fold;
for (1 .. FOLDS)
{
	my $seconds = load(10 * RATE / FOLDS, 1);
	push @{ $fold{$_} }, { s => $seconds->{$_} } for keys %$seconds;
}
report("each of @{[ FOLDS ]} folds, old snapshot open / none",
	[ ratios(\%fold, 's', qw(held free)) ], [], undef);

my $result = measure(
	rounds => rounds(10),
	psql => \%psql,
	parallel => 1,
	sides => {
		map { $_ => sub { $_[1]->ask(top_ten($duration, 0)) } } keys %psql
	});
report("top ten after them, old snapshot open / none",
	[ ratios($result, 's', qw(held free)) ], [ ratios($result, 'cpu', qw(held free)) ], undef);
for my $name (sort keys %psql)
{
	same_answers($psql{$name}, "top ten, $name", top_ten($duration, 0), top_ten($duration, 1));
	same_answers($psql{$name}, $name, 'TABLE plays_1s',
		"SELECT aggwin.time_bucket('1 second', ts), song_id, count(*) FROM song_plays GROUP BY 1, 2");
}
note('%.1f ms with it, %.1f ms without; all buckets compared: equal',
	map { my $name = $_; 1000 * median(map { $_->{s} } @{ $result->{$name} }) } qw(held free));

$holder->ask('COMMIT');
$_->close or die "bench: psql ended badly\n" for $holder, $psql{held};
$psql{free}->ask("DROP DATABASE $ENV{PGDATABASE}_held WITH (FORCE)");
$psql{free}->close or die "bench: psql ended badly\n";
