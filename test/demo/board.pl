#!/usr/bin/perl
# board.pl - shows the ten most played songs of the last ten seconds
#
# Asks the rollups once a second, for the top ten and for the plays of each
# second of the last minute, and says what the answers cost. Every few seconds it
# asks the raw table the same in the same snapshot and stops with an error when
# the answers differ. With --live the board is redrawn in place;
# without, plain boards follow each other. It ends when the generator's progress
# file says that the generator has ended.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use DemoPsql;
use Getopt::Long qw(GetOptions);
use Time::HiRes qw(time sleep);

use constant {
	COMPARE_EVERY => 5,     # seconds between questions to the raw table
	RATE_OVER => 6,         # readings, so five seconds
	PATIENCE => 20,         # seconds without progress of the generator
	TEXT_WIDTH => 44,
	BAR_WIDTH => 19,
};

# A bucket is its first moment, so these are the ten buckets that the clock
# touched last; the newest is still being filled. The raw table is asked for the
# same stretch of time.
my %question = (
	top => {
		rollup => <<'SQL',
SELECT song_id, plays, title || ', ' || band
FROM (SELECT song_id, sum(plays) AS plays
	FROM plays_1s
	WHERE bucket > now() - interval '10 seconds'
	GROUP BY song_id
	ORDER BY plays DESC, song_id
	LIMIT 10) AS top
	JOIN songs USING (song_id)
ORDER BY plays DESC, song_id
SQL
		raw => <<'SQL' },
SELECT song_id, plays, title || ', ' || band
FROM (SELECT song_id, count(*) AS plays
	FROM song_plays
	WHERE ts >= aggwin.time_bucket('1 second', now()) - interval '9 seconds'
	GROUP BY song_id
	ORDER BY plays DESC, song_id
	LIMIT 10) AS top
	JOIN songs USING (song_id)
ORDER BY plays DESC, song_id
SQL
	minute => {
		rollup => <<'SQL',
SELECT extract(epoch FROM aggwin.time_bucket('1 second', now()) - bucket)::integer, plays
FROM plays_per_second
WHERE bucket > now() - interval '1 minute'
ORDER BY bucket
SQL
		raw => <<'SQL' });
SELECT extract(epoch FROM aggwin.time_bucket('1 second', now()) - bucket)::integer, plays
FROM (SELECT aggwin.time_bucket('1 second', ts) AS bucket, count(*) AS plays
	FROM song_plays
	WHERE ts >= aggwin.time_bucket('1 second', now()) - interval '59 seconds'
	GROUP BY 1) AS seconds
ORDER BY bucket
SQL

my $status = <<'SQL';
SELECT extract(epoch FROM clock_timestamp() - (SELECT max(ts) FROM song_plays)),
	sum(pending_deltas), extract(epoch FROM max(lag))
FROM aggwin.rollup_status
SQL

my %opt = (rate => 50_000, duration => 20, psql => 'psql');
GetOptions(\%opt, 'rate=i', 'duration=i', 'psql=s', 'progress=s', 'generator=i',
	'live')
  && defined $opt{progress}
  or die "board: see the options at the top of $0\n";

my $utf8 = (grep { defined && length } @ENV{qw(LC_ALL LC_CTYPE LANG)}, '')[0] =~ /utf-?8/i;
my $colour = $opt{live} && !length($ENV{NO_COLOR} // '');
my $drawn = 0;                # lines of the board that stands on the terminal
my %ms;                       # question => rollup or raw => latencies so far

$| = 1;
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 1 };
print "\e[?25l" if $opt{live};
END { print "\e[?25h" if $opt{live} }

my $psql = DemoPsql->new($opt{psql});
$psql->ask("SET default_transaction_isolation = 'repeatable read'");
watch();
$psql->close or die "board: psql ended badly\n";
print "\n" if $opt{live};
for ([ 'top ten', 'top' ], [ 'last minute', 'minute' ])
{
	my ($name, $what) = @$_;
	my ($rollup, $raw) = map { median(@{ $ms{$what}{$_} }) } qw(rollup raw);
	printf "demo: %s, median read: rollup %.1f ms, raw table %.1f ms (%.1f times)\n",
	  $name, $rollup, $raw, $raw / $rollup;
}

sub watch
{
	my $begin = time;
	my $compare_at = COMPARE_EVERY;
	my @news;

	for (my $tick = 1; ; $tick++)
	{
		my $wait = $begin + $tick - time;
		sleep $wait if $wait > 0;
		$tick = int(time - $begin);    # an answer may have taken longer than a second

		push @news, progress();
		shift @news if @news > RATE_OVER;
		my $last = $news[-1]{state} eq 'done';
		my $compare = $tick >= $compare_at || $last;
		$compare_at = $tick + COMPARE_EVERY if $compare;

		my @board = board(read_all($compare), @news);
		draw(@board) if $opt{live} || $compare;
		return if $last;
	}
}

# What the generator says about itself.
sub progress
{
	# Looked at first: a generator that ends well says so before it goes.
	my $alive = !defined $opt{generator} || kill 0, $opt{generator};
	my ($rows, $seconds, $state) = (0, 0, 'running');
	my $age = time - $^T;

	if (open my $file, '<', $opt{progress})
	{
		($rows, $seconds, $state) = split ' ', scalar <$file>;
		$age = time - (stat $file)[9];
	}
	die "board: the generator failed\n" if $state eq 'failed' || $state eq 'running' && !$alive;
	die "board: no news from the generator for " . PATIENCE . " seconds\n"
	  if $state eq 'running' && $age > PATIENCE;
	return { rows => $rows, seconds => $seconds, state => $state };
}

# Everything on the board, seen by one snapshot.
sub read_all
{
	my ($compare) = @_;
	my %seen;

	$psql->ask('BEGIN READ ONLY');
	$seen{$_} = timed($_, 'rollup') for qw(top minute);
	my ($row) = $psql->ask($status);
	@seen{qw(age pending lag)} = @$row;
	if ($compare)
	{
		compare($_, $seen{$_}, timed($_, 'raw')) for qw(top minute);
	}
	$psql->ask('COMMIT');
	return \%seen;
}

sub timed
{
	my ($what, $where) = @_;
	my $begin = time;
	my @rows = $psql->ask($question{$what}{$where});
	push @{ $ms{$what}{$where} }, (time - $begin) * 1000;
	return \@rows;
}

sub compare
{
	my ($what, @answers) = @_;
	my ($rollup, $raw) = map { join '', map { "  @$_\n" } @$_ } @answers;
	die "board: rollup and raw table answer differently (question \"$what\")\n"
	  . "rollup:\n${rollup}raw table:\n$raw"
	  if $rollup ne $raw;
}

sub board
{
	my ($seen, @news) = @_;
	my ($before, $now) = @news[ 0, -1 ];
	my @top = @{ $seen->{top} };
	my @lines = (heading($now), '');

	for my $i (0 .. 9)
	{
		my $song = $top[$i];
		push @lines, $song
		  ? sprintf(' %2d  %-*s %9s  %s', $i + 1, TEXT_WIDTH,
			substr($song->[2], 0, TEXT_WIDTH),
			grouped($song->[1]), bar($song->[1] / $top[0][1]))
		  : sprintf(' %2d  -', $i + 1);
	}

	my $elapsed = $now->{seconds} - $before->{seconds};
	my $rate = $elapsed > 0 ? ($now->{rows} - $before->{rows}) / $elapsed : 0;
	my $age = $seen->{age} eq '' ? 'no play yet' : sprintf 'newest play %.2f s old', $seen->{age};
	return @lines, '',
	  label('last minute') . sparkline($seen->{minute}),
	  label('events') . sprintf('%s, %s a second of %s asked for',
		grouped($now->{rows}), grouped(int $rate), grouped($opt{rate})),
	  label('freshness') . sprintf('%s; %s deltas pending, %.1f s behind',
		$age, grouped($seen->{pending}), $seen->{lag} || 0),
	  label('read top ten') . latency('top'),
	  label('read minute') . latency('minute');
}

sub heading
{
	my ($now) = @_;
	my $text = sprintf ' %-60s %16s', 'The ten most played songs of the last ten seconds',
	  sprintf('%d s of %d s', $now->{seconds}, $opt{duration});
	return $colour ? "\e[1m$text\e[0m" : $text;
}

sub label
{
	my $text = sprintf ' %-12s ', $_[0];
	return $colour ? "\e[2m$text\e[0m" : $text;
}

sub bar
{
	my ($share) = @_;
	my $eighths = int($share * BAR_WIDTH * 8 + 0.5);
	my $text = '#' x int($eighths / 8 + 0.5);

	if ($utf8)
	{
		my $part = $eighths % 8;
		$text = "\xe2\x96\x88" x int($eighths / 8);
		$text .= "\xe2\x96" . chr(0x90 - $part) if $part;
	}
	return $colour ? "\e[36m$text\e[0m" : $text;
}

sub latency
{
	my ($what) = @_;
	my ($rollup, $raw) = map { $_ ? $_->[-1] : undef } @{ $ms{$what} }{qw(rollup raw)};
	my $text = sprintf 'rollup %.1f ms', $rollup;
	$text .= sprintf ', raw table %.1f ms (%.1f times), same answer', $raw, $raw / $rollup
	  if defined $raw;
	return $text;
}

# The plays of each second of the last minute, the newest at the right.
sub sparkline
{
	my ($seconds) = @_;
	my @levels = $utf8 ? map { "\xe2\x96" . chr } 0x81 .. 0x88 : split //, '.:-=+*%#';
	my ($most) = sort { $b <=> $a } map { $_->[1] } @$seconds;
	my @line = (' ') x 60;

	for (@$seconds)
	{
		my ($age, $plays) = @$_;
		next if $age < 0;    # a second that began after the transaction
		$line[ 59 - $age ] = $levels[ int $plays / $most * $#levels + 0.5 ];
	}
	return $colour ? "\e[36m@{[ join '', @line ]}\e[0m" : join '', @line;
}

# In place: back to the first line of the board before, then over it.
sub draw
{
	my @lines = @_;

	if ($opt{live})
	{
		my $back = $drawn ? "\e[${drawn}A" : '';
		print $back, map { "\r$_\e[K\n" } @lines;
		$drawn = @lines;
	}
	else
	{
		print map { "$_\n" } @lines, '';
	}
}

sub grouped
{
	my $text = reverse $_[0];
	$text =~ s/(\d{3})(?=\d)/$1,/g;
	return scalar reverse $text;
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}
