# What the language takes, Prometheus 2 takes, and the other way round but for
# what is refused on purpose: expressions at random, most of them damaged.
#
#   AGGWIN_PROMQL_SEED    what the random numbers follow from
#   AGGWIN_PROMQL_COUNT   expressions
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Promql;
use Aggwin::Promtool;

my $promtool = Aggwin::Promtool->new($PostgreSQL::Test::Utils::tmp_check);

plan skip_all => 'no promtool here (Debian: package prometheus)' unless $promtool;
plan skip_all => 'Prometheus 3 takes more than Prometheus 2' if $promtool->version !~ /^2\./;

my $seed = $ENV{AGGWIN_PROMQL_SEED} || int rand 1_000_000_000;
my $count = $ENV{AGGWIN_PROMQL_COUNT} || 3000;
srand $seed;
note 'promtool ' . $promtool->version . " AGGWIN_PROMQL_SEED=$seed";

my @originals = (
	'sum by (a, b) (increase(m{x="y",z=~"a|b.*"}[1m]))',
	'topk by (a) (3, sum without (b) (rate(m:x_bucket{a!="b"}[1h30m])))',
	'histogram_quantile(0.9, sum by (le) (rate(m[5m])))',
	'quantile_over_time(.5, {__name__="x",a!~`\d+`,}[1d2h3m4s5ms]) # c',
	'count(last_over_time(offset{by="on"}[2w]))',
	'max(avg_over_time(sum[1y])) by (le,)',
	q(quantile(1e-1, rate(m{a='\'b\u00e4\x41\101'}[1m]))),
	'min(rate(m{a=~"(?i:a)[^[:alpha:]\\\\d]{2,3}(?P<n>b)?\\\\b"}[1m]))');
my @characters = split //, "{}[]()\"'`=!~,:#+-\\|?^\$. \n123456789abmsdhwyeExQ_by";

sub damaged
{
	my $text = $originals[ rand @originals ];

	for (1 .. (0, 1, 1, 2, 3)[ rand 5 ])
	{
		my $at = int rand length $text;
		my $way = rand;

		substr($text, $at, $way < 0.35 ? 1 : 0) = $characters[ rand @characters ] if $way < 0.65;
		substr($text, $at, 1) = '' if $way >= 0.65 && $way < 0.9;
		substr($text, $at, 0) = substr $text, $at, 1 + int rand 8 if $way >= 0.9;
	}
	return $text;
}

# What pipelines do not take, though Prometheus does.
my $refused = qr/(?:is|are)\ not\ supported(?!\ by\ RE2)|nothing\ is\ computed|has\ to\ be\ a\ whole\ number|needs\ the\ label\ "le"
	|a\ fraction\ has\ to\ be|stands\ where\ samples|cannot\ stand\ inside|has\ no\ range
	|grouped\ by\ the\ name\ of|bad\ number|is\ not\ UTF-8|the\ character\ NUL|more\ than\ \d+\ labels/x;

# And what Prometheus 2 does not: aggregations of samples themselves, and groups
# with names as they are written since its version 3.
my $ours = qr/in aggregation expression, got range vector|unsupported Perl syntax: `\(\?<`/;

# In brackets, Prometheus 2 takes any letter behind a blank for the colon of a subquery.
my @texts = grep { !/\[[^\]]*\s/ } map { damaged() } 1 .. $count;
my @outcomes = Aggwin::Promql::outcomes('expr', @texts);
my $file = "$PostgreSQL::Test::Utils::tmp_check/promql_rules.yml";

# Prometheus reads YAML, which JSON is a part of; it tells all errors at once.
open my $out, '>', $file or die "$file: $!";
print $out JSON::PP->new->utf8->encode(
	{ groups => [ { name => 'g', rules => [ map { { record => "r$_", expr => $texts[$_] } } 0 .. $#texts ] } ] });
close $out or die "$file: $!";
my $report = qx('$promtool->{program}' check rules '$file' 2>&1);
my %errors = $report =~ /rule \d+, "r(\d+)": (.*)/g;

my (%seen, @different);
for my $n (0 .. $#texts)
{
	my $taken = $outcomes[$n] !~ $Aggwin::Promql::ERROR;
	my $error = $errors{$n};

	$seen{ ($taken ? 'taken' : 'refused') . (defined $error ? ', refused' : ', taken') }++;
	next if $taken ? !defined $error || $error =~ $ours : defined $error || $outcomes[$n] =~ $refused;
	push @different, Aggwin::Promql::bytes("$texts[$n]\n  here: $outcomes[$n]\n  Prometheus: " . ($error // 'takes it'));
}
is(scalar @different, 0, @texts . ' expressions are taken or refused as by Prometheus')
  or diag(join "\n", @different[ 0 .. ($#different > 9 ? 9 : $#different) ]);
cmp_ok($seen{'taken, taken'} // 0, '>', $count / 20, 'many are taken by both');
cmp_ok($seen{'refused, refused'} // 0, '>', $count / 20, 'many are refused by both');

done_testing();
