# Malformed values of the summary types, in text and in binary form: refused, or
# as good as real ones. See test/fuzz/Fuzz.pm.
#
#   FUZZ_SEED    what the random numbers follow from; default: a new one each time
#   FUZZ_CASES   changed values of each type; default: 20000
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../fuzz";
use Fuzz;
use Fuzz::Protocol;
use Fuzz::Types qw(%TYPES);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'reaches the server through a Unix socket' unless $use_unix_sockets;

my $seed = $ENV{FUZZ_SEED} || int rand 1_000_000_000;
my $cases = $ENV{FUZZ_CASES} || 20_000;
note "FUZZ_SEED=$seed FUZZ_CASES=$cases";

my $node = PostgreSQL::Test::Cluster->new('fuzz');
$node->init;
# A crash is one finding, not the end.
$node->append_conf('postgresql.conf', 'restart_after_crash = on');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION aggwin');

# A type that is not fuzzed would not be missed.
is( $node->safe_psql('postgres', q{
		SELECT string_agg(typname, ' ' ORDER BY typname COLLATE "C") FROM pg_type
		WHERE typnamespace = 'aggwin'::regnamespace AND typtype = 'b' AND typcategory <> 'A'}),
	join(' ', sort keys %TYPES), 'every type is fuzzed');

my ($role) = map { s/\s//gr } $node->safe_psql('postgres', 'SELECT current_user');

sub connect_to_it
{
	# After a crash the server takes a moment.
	$node->poll_query_until('postgres', 'SELECT true');
	return Fuzz::Protocol->new($node->host, $node->port, $role, 'postgres');
}

for my $type (sort keys %TYPES)
{
	my $fuzz = Fuzz->new(type => $type, seed => $seed, connect => \&connect_to_it);
	my $shown = 0;

	for my $step (
		[ seeds => 'values that aggregates make' ],
		[ refusals => 'values to be refused' ],
		[ mutants => 'changed values', $cases ])
	{
		my ($method, $what, @arguments) = @$step;
		$fuzz->$method(@arguments);
		my @findings = $fuzz->findings;
		is(@findings - $shown, 0, "$type: $what")
		  or diag join "\n", "FUZZ_SEED=$seed FUZZ_CASES=$cases", map { substr $_, 0, 5000 } @findings[ $shown .. $#findings ];
		$shown = @findings;
	}

	# Without many of each it would have tested little.
	my $count = $fuzz->{count};
	my $enough = $cases / 1000;
	my @little = grep { $count->{$_} < $enough } sort keys %$count;
	note join ', ', map { "$count->{$_} $_" } sort keys %$count;
	is("@little", '', "$type: there were enough of all");
}

$node->stop;
done_testing();
