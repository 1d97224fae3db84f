#!/usr/bin/perl
# generator.pl - streams song plays into the table song_plays
#
# Popularity follows Zipf's law: the song at rank r is played in proportion to
# 1 / r ** exponent. Who holds which rank drifts, so that the board moves. A play
# reaches the server a fraction of a second after it happened, a few per cent
# seconds to a minute later (a telephone that was off line).
#
# Rows go in through COPY, some batches a second, at the rate asked for; when
# the server cannot keep up the rate falls, memory does not grow. The progress
# file holds "rows seconds state", state being running, done or failed.
#
# With --print the rows go to standard output instead, as fast as possible and
# with the clock starting at --start: the same options give the same rows.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use DemoPsql;
use Getopt::Long qw(GetOptions);
use POSIX qw(strftime);
use Time::HiRes qw(time sleep);

use constant {
	BATCHES_PER_SECOND => 5,
	MAX_BATCH => 50_000,      # rows
	MAX_JITTER => 0.25,       # seconds between a play and its arrival
	LATE_SHARE => 0.03,       # plays that arrive later than that
	MIN_LATE => 2,            # seconds
	MAX_LATE => 60,
	CONTENDED_RANKS => 15,    # ranks near the top that change hands
	SWAPS_PER_SECOND => 2,
	NEWCOMER_EVERY => 4,      # seconds between songs that rise from nowhere
};

my %opt = (
	rate => 50_000, duration => 20, songs => 300_000, exponent => 1.0,
	seed => 1, psql => 'psql', start => 0);
GetOptions(\%opt, 'rate=i', 'duration=i', 'songs=i', 'exponent=f', 'seed=i',
	'start=f', 'psql=s', 'progress=s', 'print')
  or die "generator: see the options at the top of $0\n";
die "generator: --rate, --duration and --songs must be positive\n"
  if grep { $opt{$_} < 1 } qw(rate duration songs);

my $total = $opt{rate} * $opt{duration};
my $batch_rows = int($opt{rate} / BATCHES_PER_SECOND) || 1;
$batch_rows = MAX_BATCH if $batch_rows > MAX_BATCH;
my $interval = $batch_rows / $opt{rate};    # seconds from batch to batch

srand $opt{seed};
my ($chance, $alias) = alias_table($opt{songs}, $opt{exponent});
my @song_at_rank = shuffled(1 .. $opt{songs});
my %second_text;    # seconds since 1970 => its text, without the fraction

if ($opt{print})
{
	print_rows();
	exit 0;
}

my $state = 'running';
my ($rows, $begin) = (0, time);
$SIG{TERM} = $SIG{INT} = sub { exit 1 };
END { report('failed') if defined $state && $state eq 'running' }

stream();
report($state = 'done');

# Walker's alias method: any discrete distribution in one random number a draw.
sub alias_table
{
	my ($n, $exponent) = @_;
	my @weight = map { 1 / $_**$exponent } 1 .. $n;
	my $sum = 0;
	$sum += $_ for @weight;

	my @chance = map { $_ * $n / $sum } @weight;
	my @alias = (0 .. $n - 1);
	my (@small, @large);
	push @{ $chance[$_] < 1 ? \@small : \@large }, $_ for 0 .. $n - 1;
	while (@small && @large)
	{
		my ($poor, $rich) = (pop @small, $large[-1]);
		$alias[$poor] = $rich;
		$chance[$rich] -= 1 - $chance[$poor];
		push @small, pop @large if $chance[$rich] < 1;
	}
	# What is left differs from 1 by rounding alone.
	$chance[$_] = 1 for @small, @large;
	return (\@chance, \@alias);
}

sub shuffled
{
	my @list = @_;
	for my $i (reverse 1 .. $#list)
	{
		my $j = int rand $i + 1;
		@list[ $i, $j ] = @list[ $j, $i ];
	}
	return @list;
}

# Lets neighbours near the top change places, and now and then a newcomer in.
sub drift
{
	my $top = CONTENDED_RANKS < $opt{songs} ? CONTENDED_RANKS : $opt{songs};

	if ($top > 1 && rand() < SWAPS_PER_SECOND * $interval)
	{
		my $r = 1 + int rand($top - 1);
		@song_at_rank[ $r - 1, $r ] = @song_at_rank[ $r, $r - 1 ];
	}
	if (rand() < $interval / NEWCOMER_EVERY)
	{
		my ($newcomer) = splice @song_at_rank, int rand $opt{songs}, 1;
		splice @song_at_rank, int rand $top, 0, $newcomer;
	}
}

# COPY text of $n plays that arrive at $now, the play times spread over the
# $interval seconds since the batch before.
sub batch
{
	my ($n, $now, $interval) = @_;
	my $text = '';

	for (1 .. $n)
	{
		my $u = rand $opt{songs};
		my $rank = int $u;
		$rank = $alias->[$rank] if $u - $rank >= $chance->[$rank];

		my $delay = rand($interval) + rand(MAX_JITTER);
		$delay += MIN_LATE + rand(MAX_LATE - MIN_LATE) if rand() < LATE_SHARE;
		my $ts = $now - $delay;
		my $second = int $ts;
		my $second_text = $second_text{$second} //=
		  strftime('%Y-%m-%d %H:%M:%S', gmtime $second);
		$text .= sprintf "%s.%06d+00\t%d\n", $second_text,
		  ($ts - $second) * 1e6, $song_at_rank[$rank];
	}
	return $text;
}

# Sends the batches. The next one is made while psql loads the last.
sub stream
{
	my $psql = DemoPsql->new($opt{psql});
	my ($made, $in_flight, $last) = (0, 0, $begin);

	while ($made < $total)
	{
		my $n = next_size($made);
		my $wait = $begin + ($made + $n) / $opt{rate} - time;
		sleep $wait if $wait > 0;
		my $now = time;
		last if $now - $begin > $opt{duration} + $interval;

		drift();
		my $text = batch($n, $now, $now - $last);
		confirm($psql, $in_flight) if $in_flight;
		$psql->send_text("COPY song_plays (ts, song_id) FROM STDIN;\n$text\\.\n");
		$psql->send_mark;
		($made, $in_flight, $last) = ($made + $n, $n, $now);
	}
	confirm($psql, $in_flight) if $in_flight;
	$psql->close or die "generator: psql ended badly\n";
}

sub next_size
{
	my ($made) = @_;
	return $batch_rows < $total - $made ? $batch_rows : $total - $made;
}

# Counts a batch when its transaction has committed.
sub confirm
{
	my ($psql, $n) = @_;

	$psql->wait_for_mark;
	$rows += $n;
	report('running');
}

# Written aside and renamed, so that a reader never sees half a line.
sub report
{
	my ($what) = @_;
	return unless defined $opt{progress};

	open my $file, '>', "$opt{progress}.new" or die "generator: $opt{progress}.new: $!\n";
	printf $file "%d %.3f %s\n", $rows, time - $begin, $what;
	close $file or die "generator: $opt{progress}.new: $!\n";
	rename "$opt{progress}.new", $opt{progress} or die "generator: $opt{progress}: $!\n";
}

sub print_rows
{
	for (my $made = 0; $made < $total;)
	{
		my $n = next_size($made);
		$made += $n;
		drift();
		print batch($n, $opt{start} + $made / $opt{rate}, $n / $opt{rate});
	}
}
