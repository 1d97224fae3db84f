#!/usr/bin/perl
# fuzz.pl - fuzz the summary types on the server that PGHOST and PGPORT name
#
#   FUZZ_SEED    what the random numbers follow from; default: a new one each time
#   FUZZ_CASES   mutants of each type; default: 20000
#   FUZZ_TYPES   which types; default: all
#
# Exits non-zero when there was something to find.
use strict;
use warnings;
use File::Basename qw(dirname);
use lib dirname(__FILE__);
use Fuzz;
use Fuzz::Protocol;
use Fuzz::Types qw(%TYPES);
use Time::HiRes qw(sleep time);

my $seed = $ENV{FUZZ_SEED} || int rand 1_000_000_000;
my $cases = $ENV{FUZZ_CASES} || 20_000;
my $failed = 0;

# After a crash the server takes a moment.
sub connect_to_it
{
	for (1 .. 600)
	{
		my $server = eval { Fuzz::Protocol->new(@ENV{qw(PGHOST PGPORT PGUSER PGDATABASE)}) };
		return $server if $server;
		sleep 0.1;
	}
	die "fuzz: $@";
}

$| = 1;
print "FUZZ_SEED=$seed FUZZ_CASES=$cases\n";
for my $type ($ENV{FUZZ_TYPES} ? split ' ', $ENV{FUZZ_TYPES} : sort keys %TYPES)
{
	my $begin = time;
	my $fuzz = Fuzz->new(type => $type, seed => $seed, connect => \&connect_to_it);
	$fuzz->seeds;
	$fuzz->refusals;
	$fuzz->mutants($cases);

	my $count = $fuzz->{count};
	printf "%s: text %d accepted, %d refused; binary %d accepted, %d refused; %d different values checked; %.1f s\n",
	  $type, @$count{qw(text_accepted text_refused binary_accepted binary_refused checked)}, time - $begin;
	print "$_\n" for $fuzz->findings;
	$failed ||= $fuzz->findings > 0;
}
exit $failed;
