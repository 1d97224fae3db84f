# 002_docs.pl - what README.md and doc/*.md say is so
#
# Every document gets a fresh database and one psql session, into which its
# ```sql blocks are pasted in order, as a reader would paste them. A ```text
# block right behind one is what psql prints: first the results, then notices
# and errors. A block without one prints whatever it prints, but no message.
# Spaces at the ends of lines do not count.
#
# Beyond that: `make …` names targets that exist, links lead somewhere, and
# doc/reference.md has every function, view, column and setting for users.
use strict;
use warnings;
use File::Basename qw(dirname);
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $top = dirname(__FILE__) . '/../..';

# Documents ------------------------------------------------------------------

sub slurp
{
	my ($name) = @_;
	open my $in, '<:encoding(UTF-8)', "$top/$name" or die "$name: $!";
	local $/;
	return <$in>;
}

# The fenced blocks of a document: language, first line's number, text, and
# whether nothing but empty lines stands between it and the block before.
sub blocks
{
	my ($text) = @_;
	my (@blocks, $open);
	my $number = 0;
	my $adjacent = 0;

	for my $line (split /\n/, $text, -1)
	{
		$number++;
		if ($open)
		{
			if ($line =~ /^```\s*$/)
			{
				push @blocks, $open;
				undef $open;
				$adjacent = 1;
			}
			else
			{
				$open->{text} .= "$line\n";
			}
		}
		elsif ($line =~ /^```(\w*)\s*$/)
		{
			$open = { language => $1, line => $number + 1, text => '', adjacent => $adjacent };
		}
		elsif ($line =~ /\S/)
		{
			$adjacent = 0;
		}
	}
	die "a block that begins at line $open->{line} has no end\n" if $open;
	return @blocks;
}

# Its examples: SQL with the output that it is to have, if one is shown.
sub examples
{
	my ($text) = @_;
	my @examples;
	my $previous = '';

	for my $block (blocks($text))
	{
		if ($block->{language} eq 'sql')
		{
			push @examples, { line => $block->{line}, sql => $block->{text} };
		}
		elsif ($block->{language} eq 'text' && $block->{adjacent} && $previous eq 'sql')
		{
			$examples[-1]{output} = $block->{text};
		}
		$previous = $block->{language};
	}
	return @examples;
}

sub prose
{
	my ($text) = @_;
	$text =~ s/^```.*?^```\s*?$//msg;
	return $text;
}

# SQL ------------------------------------------------------------------------

sub trimmed
{
	my ($text) = @_;
	$text =~ s/[ \t]+$//mg;
	$text =~ s/\A\n+|\n+\z//g;
	return $text;
}

# What psql prints to stdout and stderr for each example, all in one session.
sub run_examples
{
	my ($connstr, @examples) = @_;
	my ($stdout, $stderr) = ('', '');
	my $mark = "-- end of example";
	my $input = '';

	for my $i (0 .. $#examples)
	{
		$input .= "$examples[$i]{sql}\n\\echo $mark $i\n\\warn $mark $i\n";
	}
	utf8::encode($input);
	IPC::Run::run([ 'psql', '-X', '-d', $connstr ],
		'<', \$input, '>', \$stdout, '2>', \$stderr);
	utf8::decode($_) for $stdout, $stderr;

	my @results;
	for my $i (0 .. $#examples)
	{
		my %result;
		$result{complete} = $stdout =~ s/\A(.*?)^\Q$mark\E $i\n//ms;
		$result{stdout} = trimmed($1 // '');
		$stderr =~ s/\A(.*?)^\Q$mark\E $i\n//ms and $result{stderr} = trimmed($1);
		push @results, \%result;
		last unless $result{complete} && defined $result{stderr};
	}
	return @results;
}

# What is wrong with a document's examples, as a list of texts. What an optional
# function makes of the output is compared instead of it.
sub wrong_examples
{
	my ($node, $database, $text, $seen) = @_;
	my @examples = examples($text);
	my @wrong;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	my @results = run_examples($node->connstr($database), @examples);
	for my $i (0 .. $#examples)
	{
		my ($example, $result) = ($examples[$i], $results[$i]);
		my $where = "line $example->{line}";

		if (!$result || !$result->{complete} || !defined $result->{stderr})
		{
			push @wrong, "$where: psql did not reach the end of the example";
			last;
		}
		if (!defined $example->{output})
		{
			push @wrong, "$where: shows no output, but has a message\n$result->{stderr}"
			  if $result->{stderr} ne '';
			next;
		}
		my $output = trimmed("$result->{stdout}\n$result->{stderr}");
		$output = $seen->($output) if $seen;
		push @wrong, "$where: the output is\n$output"
		  if $output ne trimmed($example->{output});
	}
	return @wrong;
}

# make -----------------------------------------------------------------------

# Does the Makefile know the target? What it would run is not run.
sub target_exists
{
	my ($target) = @_;
	local @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};
	delete @ENV{qw(MAKEFLAGS MFLAGS MAKELEVEL)};
	my @make = ('make', '-n', '-C', $top);
	push @make, "PG_CONFIG=$ENV{PG_CONFIG}" if $ENV{PG_CONFIG};
	my $log = '';
	my $known = IPC::Run::run([ @make, $target ], '>&', \$log);

	# What a private target hands over to
	if ($known && $log =~ m{test/run \Q$target\E\b})
	{
		$known = -f "$top/test/$target/run";
	}
	return $known;
}

# Words after "make" in code; options and variables are none.
sub make_targets
{
	my ($text) = @_;
	my %targets;
	my @code = map { $_->{text} } grep { $_->{language} =~ /^(sh|bash|console|)$/ } blocks($text);

	push @code, prose($text) =~ /`([^`]+)`/g;
	for (map { split /\n/ } @code)
	{
		next unless /^\s*(?:\$ |sudo )*make\b(.*)/;
		(my $words = $1) =~ s/(#|&&|;).*//;
		for my $word (split ' ', $words)
		{
			$targets{$word} = 1 unless $word =~ /^-|=/;
		}
	}
	return sort keys %targets;
}

# Links ----------------------------------------------------------------------

# The name that a heading can be linked by, as GitHub forms it
sub anchor
{
	my ($heading) = @_;
	$heading = lc $heading;
	$heading =~ s/[^\w\- ]//g;
	$heading =~ tr/ /-/;
	return $heading;
}

sub dead_links
{
	my ($name, $text) = @_;
	my @dead;

	for my $link (prose($text) =~ /\]\(([^)\s]+)\)/g)
	{
		next if $link =~ /^\w+:/;
		my ($file, $anchor) = split /#/, $link, 2;
		my $path = $file eq '' ? $name : $name =~ m{^(.*/)} ? "$1$file" : $file;

		if (!-e "$top/$path")
		{
			push @dead, $link;
		}
		elsif (defined $anchor)
		{
			my %anchors = map { anchor($_) => 1 } prose($file eq '' ? $text : slurp($path)) =~ /^#+ (.*?)\s*$/mg;
			push @dead, $link unless $anchors{$anchor};
		}
	}
	return @dead;
}

# The server -----------------------------------------------------------------

# Settings that a reader's server may well have, and examples must not lean on.
my $node = PostgreSQL::Test::Cluster->new('docs');
$node->init(extra => [ '--encoding=UTF8', '--no-locale' ]);
$node->append_conf('postgresql.conf', "timezone = 'Pacific/Chatham'");
$node->start;

# This test can fail ---------------------------------------------------------

my $good = <<'DOC';
```sql
CREATE TABLE t (a int);
```
```sql
SELECT 1 AS a;
INSERT INTO t VALUES (2);
```
```text
 a
---
 1
(1 row)

INSERT 0 1
```
```sql
SELECT nothing;
```

```text
ERROR:  column "nothing" does not exist
LINE 1: SELECT nothing;
               ^
```
`make check`, `make install PG_CONFIG=/x`, [the top](#the-top)
# The `top`
DOC
my %planted = (
	'another value' => [ qr/^line 5: the output is\n a\n---\n 1$/m, 's/^ 1$/ 2/m' ],
	'another tag' => [ qr/^line 5: the output is/m, 's/INSERT 0 1/INSERT 0 2/' ],
	'output that is left out' => [ qr/^line 17: shows no output, but has a message\nERROR/m, 's/```text\nERROR.*?```//s' ],
	'an error that does not come' => [ qr/^line 17: the output is/m, 's/SELECT nothing/SELECT 1/' ],
	'another error' => [ qr/^line 17: the output is/m, 's/"nothing" does/"something" does/' ],
	'SQL without an end' => [ qr/^line 5: psql did not reach/m, q{s/VALUES \(2\)/VALUES ('2)/} ],
	'too much SQL' => [ qr/^line 5: the output is/m, 's/SELECT 1 AS a;/SELECT 1 AS a; SELECT 2 AS a;/' ]);
my $planted = 0;

is_deeply([ wrong_examples($node, 'planted', $good) ], [], 'a faultless document is accepted');
for my $fault (sort keys %planted)
{
	my ($message, $change) = @{ $planted{$fault} };
	local $_ = $good;
	eval $change;
	isnt($_, $good, "planted: $fault");
	like(join("\n", wrong_examples($node, 'planted' . ++$planted, $_)), $message, "found: $fault");
}
is_deeply([ make_targets($good) ], [ 'check', 'install' ], 'targets are found');
ok(target_exists('install'), 'a target that exists');
ok(!target_exists('instal'), 'a target that does not');
is_deeply([ dead_links('README.md', $good) ], [], 'a link that leads somewhere');
is_deeply([ dead_links('README.md', "$good\n[a](doc/none.md) [b](#bottom) [c](https://example.org)") ],
	[ 'doc/none.md', '#bottom' ], 'links that do not');

# The documents --------------------------------------------------------------

my @documents = ('README.md', map { substr $_, length "$top/" } sort glob "$top/doc/*.md");
my $number = 0;

cmp_ok(scalar @documents, '>=', 3, 'there are documents');
for my $name (@documents)
{
	my $text = slurp($name);
	my $examples = () = examples($text);

	is(join("\n\n", wrong_examples($node, 'docs' . ++$number, $text)), '', "$name: $examples examples");
	is_deeply([ grep { !target_exists($_) } make_targets($text) ], [], "$name: targets of make");
	is_deeply([ dead_links($name, $text) ], [], "$name: links");
}
cmp_ok(scalar examples(slurp('README.md')), '>=', 4, 'README.md has examples');
ok((grep { $_ eq 'demo' } make_targets(slurp('README.md'))), 'README.md shows the demo');

# The reference is complete --------------------------------------------------

my $reference = slurp('doc/reference.md');
$node->safe_psql('postgres', 'CREATE EXTENSION aggwin');

sub undocumented
{
	my ($query, $pattern) = @_;
	my @names = split /\n/, $node->safe_psql('postgres', $query);
	cmp_ok(scalar @names, '>', 0, 'something to look for');
	return [ grep { my $p = $pattern->($_); $reference !~ $p } @names ];
}

is_deeply(
	undocumented(
		"SELECT DISTINCT proname FROM pg_proc AS p
			WHERE pronamespace = 'aggwin'::regnamespace
				AND obj_description(oid, 'pg_proc') NOT LIKE 'private:%' ORDER BY 1",
		sub { my ($name) = @_; qr/`aggwin\.\Q$name\E\(/ }),
	[], 'doc/reference.md has every function');
is_deeply(
	undocumented(
		"SELECT format('%s %s', relname, attname) FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
			WHERE relnamespace = 'aggwin'::regnamespace AND relkind = 'v' AND attnum > 0 ORDER BY relname, attnum",
		sub {
			my ($view, $column) = split ' ', $_[0];
			qr/^#+ aggwin\.$view$(?:(?!^#).)*^\| `$column` \|/ms;
		}),
	[], 'and every view with its columns');
is_deeply(
	undocumented(
		"LOAD 'aggwin'; SELECT name || ' ' || current_setting(name) FROM pg_settings WHERE name LIKE 'aggwin.%' ORDER BY 1",
		sub {
			my ($name, $value) = split ' ', $_[0];
			qr/^\| `\Q$name\E` \| `\Q$value\E`/m;
		}),
	[], 'and every setting with its default');

# As the README says to set it up, with a worker, which may fold first -------

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'aggwin'");
$node->restart;
is( join(
		"\n\n",
		wrong_examples(
			$node,
			'preloaded',
			slurp('README.md'),
			sub { $_[0] =~ s/^( refresh\n-+\n) f$/$1 t/mr })),
	'',
	'README.md: the same with a worker');

$node->stop;
done_testing();
