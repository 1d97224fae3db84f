# The language of metrics. What its functions make of texts stands in the files
# test/promql/*.cases: a text, indented below it the outcome, ␤ for a line feed.
# Regular expressions that were translated for the server match there what Perl
# matches, as far as the languages are the same.
#
#   AGGWIN_REGEX_SEED    what the random numbers follow from
#   AGGWIN_REGEX_COUNT   expressions to compare
use strict;
use warnings;
use utf8;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Promql;

for my $file (sort glob "$Aggwin::Promql::FOLDER/*.cases")
{
	my ($what) = $file =~ m{([^/]+)\.cases$};
	my (@texts, @expected);

	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
	while (defined(my $text = <$in>))
	{
		my $outcome = <$in>;

		chomp($text, $outcome);
		die "$file:$.: no outcome" if $outcome !~ s/^    //;
		push @texts, $text;
		push @expected, $outcome;
	}
	my @found = Aggwin::Promql::outcomes($what, @texts);
	for my $n (0 .. $#texts)
	{
		is(Aggwin::Promql::bytes($found[$n]), Aggwin::Promql::bytes($expected[$n]), Aggwin::Promql::bytes("$what: " . ($texts[$n] =~ s/#/\\#/gr)));
	}
}

# A regular expression at random, of what both languages have.
my $seed = $ENV{AGGWIN_REGEX_SEED} || int rand 1_000_000_000;
my @characters = ('a', 'b', 'A', 'B', '_', '-', ' ', '1', "\n", 'é', '.', ']', '{', '&');
srand $seed;
note "AGGWIN_REGEX_SEED=$seed";

sub any
{
	return $_[ rand @_ ];
}

sub atom
{
	my ($depth) = @_;
	my $kind = rand;

	return any('a', 'b', 'A', '_', '-', ' ', '1', "\n", 'é', '\.', '\x61', '\x{62}', '\n', ']', '}', '\]', '&', ',')
	  if $kind < 0.45;
	return any('.', '\d', '\w', '\D', '\W', '[[:alpha:]]', '[[:^alpha:]]', '[^a]', '[a-b]', '[^a-bé]', '[]a]',
		'[^]a]', '[a-]', '[\d\-]', '[\D]', '[^\W]', '[\]\[]', '[a^]', '[^\n]', '[&a]', '[\D\d]', '[é-ë]', '[[:punct:]]')
	  if $kind < 0.7;
	return any('^', '\b', '\B', '\A', '\z', '(?m:$)') if $kind < 0.8;
	return '(?-i)' if $kind < 0.82;
	return 'a' if $depth == 0;
	return any('(', '(?:', '(?-s:', '(?i:') . branches($depth - 1) . ')';
}

sub branches
{
	my ($depth) = @_;
	my @branches;

	for (1 .. any(1, 1, 1, 2, 3))
	{
		my $branch = '';

		for (1 .. any(0, 1, 1, 2, 2, 3, 4))
		{
			my $atom = atom($depth);

			$branch .= $atom;
			# Perl repeats neither flags nor assertions, and some characters {0} times once.
			$branch .= any('*', '+', '?', '*?', '+?', '??', '{2}', '{0,1}', '{1,3}', '{2,}', '{0,2}?')
			  if rand() < 0.3 && $atom !~ /^(?:\^|\\[bBAz]|\(\?-i\)|\(\?m:\$\))$/;
		}
		push @branches, $branch;
	}
	return join '|', @branches;
}

my @values = ('', @characters);
push @values, join '', map { any(@characters) } 1 .. 2 + int rand 5 while @values < 300;

# Ignoring case is for letters of ASCII, so é is left out there.
my @regexes = map { branches(int rand 4) } 1 .. ($ENV{AGGWIN_REGEX_COUNT} || 1500);
s/[éë]/e/g for grep { /\(\?i/ } @regexes;
my @translated = Aggwin::Promql::outcomes('regex', @regexes);

my $node = PostgreSQL::Test::Cluster->new('promql');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->start;

sub literal
{
	return "E'" . ($_[0] =~ s/([\\'])/\\$1/gr) . "'";
}
my $sql = 'CREATE TABLE value (n int, v text); CREATE TABLE regex (n int, r text);'
  . 'INSERT INTO value VALUES ' . join(',', map { "($_, " . literal($values[$_]) . ')' } 0 .. $#values) . ';'
  . 'INSERT INTO regex VALUES '
  . join(',', map { "($_, " . literal($translated[$_] =~ s/␤/\n/gr) . ')' } 0 .. $#regexes) . ';';
$node->safe_psql('postgres', Aggwin::Promql::bytes($sql));
my @found = split /\n/, $node->safe_psql(
	'postgres', q{
SELECT string_agg(CASE WHEN v ~ r COLLATE "C" THEN '1' ELSE '0' END, '' ORDER BY value.n)
FROM regex CROSS JOIN value GROUP BY regex.n ORDER BY regex.n});
my @different;

for my $n (0 .. $#regexes)
{
	# Perl warns of repeated nothing, which is meant.
	no warnings 'regexp';
	my $perl = qr/\A(?:$regexes[$n])\z/saa;
	my $expected = join '', map { $_ =~ $perl ? 1 : 0 } @values;

	push @different, "$regexes[$n]  as  $translated[$n]" if ($found[$n] // '') ne $expected;
}
is(scalar @found, scalar @regexes, 'the server takes every expression');
is(scalar @different, 0, @regexes . ' regular expressions match in the server what Perl matches')
  or diag(map { Aggwin::Promql::bytes("$_\n") } @different[ 0 .. ($#different > 9 ? 9 : $#different) ]);
$node->stop;

done_testing();
