#!/usr/bin/perl
# window.pl - a step of a hopping window, against computing the window anew, and
# against the plain query; and of a long window against that of a short one
#
# The ten songs that were played most in ten seconds, each second. Songs are as
# popular as Zipf's law says.
use strict;
use warnings;
use Bench;

use constant { SONGS => 100_000, PLAYS_PER_SECOND => 50_000, SIZE => 10 };
use constant { LONG => 3600, LONG_SONGS => 5_000, LONG_PLAYS_PER_SECOND => 1_000 };

my $psql = session();
my $second = 0;

$psql->ask('CREATE EXTENSION aggwin');
$psql->ask("ALTER DATABASE $ENV{PGDATABASE} SET timezone = 'UTC'");

sub time_of
{
	my ($s) = @_;
	return "to_timestamp(@{[ Bench::START + $s ]})";
}

sub play
{
	my ($table, $songs, $rate, $from, $to) = @_;
	$psql->ask("INSERT INTO $table SELECT " . time_of(0) . " + i / $rate.0 * interval '1 second', floor($songs ^ random())
		FROM generate_series($from * $rate, $to * $rate - 1) AS i");
}

# The source has its rows already.
sub create_window
{
	my ($source, $name, $size) = @_;
	$psql->ask("SELECT aggwin.create_rollup('${name}_rollup', \$\$SELECT aggwin.time_bucket('1 second', ts) AS bucket,
		song, count(*) AS plays FROM $source GROUP BY 1, 2\$\$)");
	settle($psql, "${name}_rollup");
	$psql->ask("SELECT aggwin.create_window('$name', \$\$SELECT song, sum(plays) AS plays FROM ${name}_rollup
		GROUP BY song ORDER BY plays DESC, song LIMIT 10\$\$, '$size seconds', '1 second', idle_timeout => '1000 days')");
}

sub create_source
{
	my ($table, $songs, $rate, $seconds) = @_;
	$psql->ask("CREATE TABLE $table (ts timestamptz NOT NULL, song integer NOT NULL)");
	$psql->ask("CREATE INDEX ON $table (ts)");
	play($table, $songs, $rate, 0, $seconds);
	$psql->ask("VACUUM ANALYZE $table");
}

sub plain
{
	my ($table, $seconds, $end) = @_;
	return "SELECT song, count(*) AS plays FROM $table WHERE ts >= " . time_of($end - $seconds) . " AND ts < "
	  . time_of($end) . ' GROUP BY song ORDER BY plays DESC, song LIMIT 10';
}

# A new second, folded. It is over when the first play of the next one is there.
sub next_second
{
	my ($table, $songs, $rate, @windows) = @_;
	play($table, $songs, $rate, $second, $second + 1);
	$second++;
	$psql->ask("INSERT INTO $table VALUES (" . time_of($second) . ", 1)");
	settle($psql, map { "${_}_rollup" } @windows);
}

sub close_window
{
	my ($window, $session) = @_;
	my ($row) = $session->ask("SELECT aggwin.close_windows('$window')");
	die "bench: $row->[0] windows were closed instead of one\n" if $row->[0] != 1;
	return;
}

# Ten seconds ------------------------------------------------------------------

my %session = map { $_ => session() } qw(step panes plain);
$second = 2 * SIZE;
create_source('plays', SONGS, PLAYS_PER_SECOND, $second);
create_window('plays', 'top', SIZE);
$psql->ask("SELECT aggwin.close_windows('top')");
next_second('plays', SONGS, PLAYS_PER_SECOND, 'top');
# from now on this session knows the window
$session{step}->ask("SELECT aggwin.close_windows('top')");

my $result = measure(
	rounds => rounds(9),
	before => sub { next_second('plays', SONGS, PLAYS_PER_SECOND, 'top') },
	psql => \%session,
	parallel => 1,
	sides => {
		step => sub { close_window('top', $_[1]) },
		panes => sub { $_[1]->ask("SELECT song, plays FROM aggwin.window_at(NULL::top, " . time_of($second) . ')') },
		plain => sub { $_[1]->ask(plain('plays', SIZE, $second)) },
	});
report('step of a window / computing it from panes',
	[ ratios($result, 's', qw(step panes)) ], [ ratios($result, 'cpu', qw(step panes)) ], '<= 0.25');
report('step of a window / GROUP BY over the rows',
	[ ratios($result, 's', qw(step plain)) ], [ ratios($result, 'cpu', qw(step plain)) ], '<= 0.12');
same_answers($psql, 'top', 'SELECT song, plays::bigint AS plays FROM top_latest', plain('plays', SIZE, $second));
note('step %.0f ms, from panes %.0f ms, plain query %.0f ms; the ten songs are equal',
	map { 1000 * median(map { $_->{s} } @{ $result->{$_} }) } qw(step panes plain));

# One hour ---------------------------------------------------------------------

$second = LONG;
create_source('calm', LONG_SONGS, LONG_PLAYS_PER_SECOND, $second);
create_window('calm', 'short', SIZE);
create_window('calm', 'long', LONG);
%session = map { $_ => session() } qw(short long);
$psql->ask("SELECT aggwin.close_windows('$_')") foreach qw(short long);
next_second('calm', LONG_SONGS, LONG_PLAYS_PER_SECOND, qw(short long));
$session{$_}->ask("SELECT aggwin.close_windows('$_')") foreach qw(short long);

$result = measure(
	rounds => rounds(15),
	before => sub { next_second('calm', LONG_SONGS, LONG_PLAYS_PER_SECOND, qw(short long)) },
	psql => \%session,
	sides => {
		short => sub { close_window('short', $_[1]) },
		long => sub { close_window('long', $_[1]) },
	});
report('step of a window of one hour / of ten seconds',
	[ ratios($result, 's', qw(long short)) ], [ ratios($result, 'cpu', qw(long short)) ], '<= 1.25');
same_answers($psql, 'long', 'SELECT song, plays::bigint AS plays FROM long_latest', plain('calm', LONG, $second));
note('steps of one hour %.1f ms, of ten seconds %.1f ms; the ten songs are equal',
	map { 1000 * median(map { $_->{s} } @{ $result->{$_} }) } qw(long short));
$_->close or die "bench: psql ended badly\n" for $psql, values %session;
