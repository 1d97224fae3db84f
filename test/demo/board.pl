#!/usr/bin/perl
# board.pl - shows the ten most played songs of the last ten seconds
#
# The top ten is not asked for: the board listens to the window output top_songs,
# and applies to the windows that it has seen what it is told of each. It asks a
# rollup for the plays of each second of the last minute, once a second, and says
# what reading costs. Every few seconds it asks the raw table the same; it stops
# with an error when the answers differ, or when it was not told of something. At
# the end it compares all windows that it has with the raw table. With --live the
# board is redrawn in place; without, plain boards follow each other. It ends when
# the generator's progress file says that the generator has ended.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use DemoBoard;
use DemoPsql;
use Getopt::Long qw(GetOptions);
use JSON::PP qw(decode_json);
use Time::HiRes qw(time sleep);
use Time::Local qw(timegm);

use constant {
	COMPARE_EVERY => 5,     # seconds between questions to the raw table
	RATE_OVER => 6,         # readings, so five seconds
	PATIENCE => 20,         # seconds without progress of the generator
	LISTEN_EVERY => 0.1,    # seconds
	KEEP => 15,             # seconds for which windows are kept; the output keeps twenty
	TEXT_WIDTH => 44,
	BAR_WIDTH => 19,
};

# The newest window as it is read, and what a reader of the raw table would ask.
# Of the minute both are asked in one snapshot, about the same stretch of time: a
# bucket is its first moment, and the newest is still being filled.
my %question = (
	top => {
		window => 'SELECT song_id, plays, song FROM top_songs_latest ORDER BY rank',
		raw => raw_top('now()') },
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

# The top ten of the ten seconds before a time.
sub raw_top
{
	my ($end) = @_;

	return <<"SQL";
SELECT song_id, plays, title || ', ' || band
FROM (SELECT song_id, count(*) AS plays
	FROM song_plays
	WHERE ts >= aggwin.time_bucket('1 second', $end) - interval '10 seconds'
		AND ts < aggwin.time_bucket('1 second', $end)
	GROUP BY song_id
	ORDER BY plays DESC, song_id
	LIMIT 10) AS top
	JOIN songs USING (song_id)
ORDER BY plays DESC, song_id
SQL
}

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

my %ms;                       # question => rollup, window or raw => latencies so far

# What the board was told of.
my %window;                   # seconds since 1970 at its end => song_id => rank, plays, song
my $newest;                   # the greatest of those
my $position;                 # of the last message
my ($windows, $corrections) = (0, 0);
my ($delay, $correction);     # of the last new window, seconds; text

$| = 1;
$SIG{INT} = $SIG{TERM} = $SIG{HUP} = sub { exit 1 };
my $board = DemoBoard->new(live => $opt{live});

my $psql = DemoPsql->new($opt{psql});
$psql->ask("SET default_transaction_isolation = 'repeatable read'");
$psql->ask('LISTEN top_songs');
watch();
my $compared = compare_windows();
$psql->close or die "board: psql ended badly\n";
print "\n" if $opt{live};
for ([ 'top ten', 'top', 'window' ], [ 'last minute', 'minute', 'rollup' ])
{
	my ($name, $what, $where) = @$_;
	my ($fast, $raw) = map { median(@{ $ms{$what}{$_} }) } $where, 'raw';
	printf "demo: %s, median read: %s %.1f ms, raw table %.1f ms (%.1f times)\n",
	  $name, $where, $fast, $raw, $raw / $fast;
}
print "demo: told of $windows windows and $corrections corrections of late plays,",
  " $compared windows compared, as told equals raw table: yes\n";

# Listens until a time.
sub listen_until
{
	my ($until) = @_;

	do
	{
		my $wait = $until - time;
		$wait = LISTEN_EVERY if $wait > LISTEN_EVERY;
		sleep $wait if $wait > 0;
		$psql->ask('SELECT');
		learn($_) for $psql->heard;
	} while (time < $until);
}

# Applies one message: a new window, or changes of one. Of some windows that change the
# board knows nothing, as they were published before it listened, or too long ago.
sub learn
{
	my $message = decode_json($_[0]);
	my $end = $message->{window_end} =~ /^(\d+)-(\d+)-(\d+)T(\d+):(\d+):(\d+)/
	  ? timegm($6, $5, $4, $3, $2 - 1, $1) : die "board: \"$message->{window_end}\" is no time\n";
	die "board: message $message->{position} came after message $position\n"
	  if defined $position && $message->{position} != $position + 1;
	$position = $message->{position};
	die "board: the rows of a top ten do not fit into a message\n" if !$message->{rows};
	$window{$end} = {} if $message->{revision} == 0;
	learn_rows($window{$end}, $message) if $window{$end};
	if ($message->{revision} == 0)
	{
		$windows++;
		$delay = time - $end;
	}
	else
	{
		$corrections++;
		$correction = sprintf 'the window to %s: revision %d, %d rows changed',
		  clock($end), $message->{revision}, scalar @{ $message->{rows} };
	}
	$newest = $end if !defined $newest || $end > $newest;
	delete @window{ grep { $_ < $newest - KEEP } keys %window };
}

sub learn_rows
{
	my ($songs, $message) = @_;

	for my $row (@{ $message->{rows} })
	{
		die "board: a row to $row->{op} that is ", exists $songs->{ $row->{song_id} } ? '' : 'not ', "there\n"
		  if ($row->{op} eq 'insert') == exists $songs->{ $row->{song_id} };
		$songs->{ $row->{song_id} } = [ @$row{qw(song_id plays song rank)} ];
		delete $songs->{ $row->{song_id} } if $row->{op} eq 'delete';
	}
	die "board: a window has $message->{count} rows, but was told of ", scalar(keys %$songs), "\n"
	  if keys %$songs != $message->{count};
}

# The rows of a window that the board was told of, in order.
sub rows_of
{
	my ($end) = @_;
	my $songs = defined $end ? $window{$end} : {};

	return map { [ @$_[ 0 .. 2 ] ] } sort { $a->[3] <=> $b->[3] } values %$songs;
}

# All windows as the board was told of them against the raw table. What came last
# takes a moment to be published. Returns how many there were.
sub compare_windows
{
	my $until = time + PATIENCE;
	my @ends = sort { $b <=> $a } keys %window;
	my $compared = 0;

	while (@ends)
	{
		my $end = $ends[0];
		my @rows = $psql->ask(raw_top("to_timestamp($end)"));
		my ($raw, $told) = map { join '', map { "  @$_\n" } @$_ } \@rows, [ rows_of($end) ];

		if (!$window{$end} || $raw eq $told)
		{
			$compared++ if $window{$end};
			shift @ends;
		}
		elsif (time > $until)
		{
			die "board: the window to " . clock($end) . " was told otherwise than the raw table has it\n"
			  . "told:\n${told}raw table:\n$raw";
		}
		else
		{
			listen_until(time + 0.5);
		}
	}
	return $compared;
}

sub watch
{
	my $begin = time;
	my $compare_at = COMPARE_EVERY;
	my @news;

	for (my $tick = 1; ; $tick++)
	{
		listen_until($begin + $tick);
		$tick = int(time - $begin);    # an answer may have taken longer than a second

		push @news, progress();
		shift @news if @news > RATE_OVER;
		my $last = $news[-1]{state} eq 'done';
		my $compare = $tick >= $compare_at || $last;
		$compare_at = $tick + COMPARE_EVERY if $compare;

		my @lines = lines_of(read_all($compare), @news);
		$board->draw(@lines) if $opt{live} || $compare;
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
	timed('top', 'window');
	$seen{minute} = timed('minute', 'rollup');
	my ($row) = $psql->ask($status);
	@seen{qw(age pending lag)} = @$row;
	if ($compare)
	{
		timed('top', 'raw');
		compare('minute', $seen{minute}, timed('minute', 'raw'));
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

sub lines_of
{
	my ($seen, @news) = @_;
	my ($before, $now) = @news[ 0, -1 ];
	my @top = rows_of($newest);
	my @lines = (heading($now), '');

	for my $i (0 .. 9)
	{
		my $song = $top[$i];
		push @lines, $song
		  ? sprintf(' %2d  %-*s %9s  %s', $i + 1, TEXT_WIDTH,
			substr($song->[2], 0, TEXT_WIDTH),
			grouped($song->[1]), $board->bar($song->[1] / $top[0][1], BAR_WIDTH))
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
	  label('told of') . ($windows ? sprintf '%d windows, the newest %.2f s after its end', $windows, $delay : 'no window yet'),
	  label('corrected') . ($corrections ? sprintf '%s times; %s', grouped($corrections), $correction : 'nothing yet'),
	  label('read top ten') . latency('top', 'window'),
	  label('read minute') . latency('minute', 'rollup') . (defined $ms{minute}{raw} ? ', same answer' : '');
}

sub heading
{
	my ($now) = @_;

	return $board->heading('The ten most played songs of the ten seconds to ' . (defined $newest ? clock($newest) : '-'),
		sprintf('%d s of %d s', $now->{seconds}, $opt{duration}));
}

sub label
{
	return $board->label($_[0]);
}

sub grouped
{
	return $board->grouped($_[0]);
}

sub latency
{
	my ($what, $where) = @_;
	my ($fast, $raw) = map { $_ ? $_->[-1] : undef } @{ $ms{$what} }{ $where, 'raw' };
	my $text = sprintf '%s %.1f ms', $where, $fast;
	$text .= sprintf ', raw table %.1f ms (%.1f times)', $raw, $raw / $fast if defined $raw;
	return $text;
}

sub clock
{
	my ($s, $m, $h) = gmtime $_[0];

	return sprintf '%02d:%02d:%02d', $h, $m, $s;
}

# The plays of each second of the last minute, the newest at the right.
sub sparkline
{
	my ($seconds) = @_;
	my @plays = (undef) x 60;

	for (@$seconds)
	{
		my ($age, $plays) = @$_;
		$plays[ 59 - $age ] = $plays if $age >= 0;    # not of a second that began after the transaction
	}
	return $board->sparkline(@plays);
}

sub median
{
	my @sorted = sort { $a <=> $b } @_;
	return ($sorted[ $#sorted / 2 ] + $sorted[ @sorted / 2 ]) / 2;
}
