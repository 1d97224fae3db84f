#!/usr/bin/perl
# 090_demo_generator.pl - the demo's events: repeatable, Zipf, in the past, some late
use strict;
use warnings;
use File::Basename qw(dirname);
use POSIX qw(strftime);
use Test::More;

my $generator = dirname(__FILE__) . '/../demo/generator.pl';
my $start = 1_700_000_000;
my ($rate, $duration, $songs) = (20_000, 5, 1_000);

sub rows
{
	my (@options) = @_;
	open my $pipe, '-|', $^X, $generator, '--print', '--start', $start,
	  '--rate', $rate, '--duration', $duration, '--songs', $songs, @options
	  or die "cannot run $generator: $!";
	my @rows = <$pipe>;
	close $pipe or die "generator failed";
	return @rows;
}

my @rows = rows('--seed', 7);
is(scalar @rows, $rate * $duration, 'as many rows as asked for');
is(join('', rows('--seed', 7)), join('', @rows), 'the same seed gives the same rows');
isnt(join('', rows('--seed', 8)), join('', @rows), 'another seed gives other rows');

my $end = strftime('%Y-%m-%d %H:%M:%S', gmtime $start + $duration);
my $begin = strftime('%Y-%m-%d %H:%M:%S', gmtime $start - 1);
my (%plays, $malformed, $late, $future, $out_of_range);
for (@rows)
{
	my ($ts, $song) = /^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6})\+00\t(\d+)$/
	  or $malformed++, next;
	$late++ if $ts lt $begin;
	$future++ if $ts gt "$end.000000";
	$out_of_range++ if $song < 1 || $song > $songs;
	$plays{$song}++;
}
ok(!$malformed, 'every row is a timestamp and a song');
ok(!$future, 'no play is in the future');
ok(!$out_of_range, 'songs are 1 to --songs');
cmp_ok($late / @rows, '>', 0.02, 'some plays are late');
cmp_ok($late / @rows, '<', 0.04, 'but few');

# Over 1,000 songs rank 1 gets 1 / H(1000) = 13.4 % of the plays, the first ten
# ranks get 39.1 %. Ranks change hands, which takes some from the leader.
my @sorted = sort { $b <=> $a } values %plays;
my $first_ten = 0;
$first_ten += $_ for @sorted[ 0 .. 9 ];
cmp_ok($first_ten / @rows, '>', 0.33, 'the first ten songs get their share');
cmp_ok($first_ten / @rows, '<', 0.40, 'and no more');
my %flat;
$flat{ (split /\t/)[1] }++ for rows('--exponent', 0, '--seed', 7);
my ($most) = sort { $b <=> $a } values %flat;
cmp_ok($most / @rows, '<', 0.002, 'exponent 0 makes all songs alike');

done_testing();
