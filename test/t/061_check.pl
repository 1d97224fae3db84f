# The command-line tool: aggwin check. What it says of the files in test/pipeline
# stands beside them; hostile files are made here. It needs no server.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $tree = abs_path("$FindBin::RealBin/../..");
my $tool = "$tree/aggwin";
my $folder = PostgreSQL::Test::Utils::tempdir();

# Names of files are in the reports, so the tool runs where they are short.
sub run_tool
{
	my ($where, @arguments) = @_;
	my ($output, $error) = ('', '');

	IPC::Run::run([ $tool, @arguments ],
		'<', \undef, '>', \$output, '2>', \$error,
		init => sub { chdir $where or die "$where: $!" });
	return ($? >> 8, $output, $error);
}

sub write_file
{
	my ($name, $text) = @_;
	open my $out, '>:raw', "$folder/$name" or die "$folder/$name: $!";
	print $out $text;
	close $out or die "$folder/$name: $!";
}

# What is said of a file of this text, by its place.
sub first_error
{
	my ($text) = @_;
	write_file('rules.yaml', $text);
	my ($status, $output, $error) = run_tool($folder, 'check', 'rules.yaml');
	return "exit $status: $output$error" if $status != 1 || $error ne '';
	return $output =~ /^rules\.yaml:(.*)$/m ? $1 : $output;
}

# Reports, and what the tool ends with -------------------------------------

for my $case ([ 'good', 0 ], [ 'bad', 1 ], [ 'circle', 1, 'circle_a.yaml', 'circle_b.yaml' ])
{
	my ($name, $expected, @files) = @$case;
	@files = ("$name.yaml") unless @files;
	my ($status, $output, $error) = run_tool("$tree/test/pipeline", 'check', @files);

	is($status, $expected, "$name: exit status");
	is($output, slurp_file("$tree/test/pipeline/$name.out"), "$name: report");
	is($error, '', "$name: nothing else");
}

my ($status, $output, $error) =
  run_tool("$tree/test/pipeline", 'check', '--format=json', 'good.yaml', 'circle_b.yaml');
my $json = decode_json($output);
is($status, 1, 'json: exit status');
is($json->{files}, 2, 'json: files');
is_deeply(
	$json->{pipelines}[1],
	{
		file => 'good.yaml',
		line => 4,
		column => 3,
		writes => {
			'd:2m_bucket' => 'sum2 by (le, stack) (http_requests_duration_seconds_bucket[2m])',
			'd:2m_sum' => 'sum2 by (stack) (http_requests_duration_seconds_sum[2m])',
			'd:2m_count' => 'sum2 by (stack) (http_requests_duration_seconds_count[2m])'
		}
	},
	'json: a histogram is three metrics');
is_deeply(
	$json->{errors},
	[
		{
			file => 'circle_b.yaml',
			line => 14,
			column => 7,
			message => 'two pipelines write "writing_count"',
			hint => 'The other one is at circle_b.yaml:11:7.'
		}
	],
	'json: errors');
($status, $output) = run_tool("$tree/test/pipeline", 'check', '--format', 'json', 'good.yaml');
is_deeply([ $status, decode_json($output)->{errors} ], [ 0, [] ], 'json: no errors');

write_file("a,b:c%.yaml", "- promql: sum(m[1m]) % 2\n  as: b\n");
($status, $output) = run_tool($folder, 'check', '--format=github', 'a,b:c%.yaml');
is($status, 1, 'github: exit status');
is($output,
	'::error file=a%2Cb%3Ac%25.yaml,line=1,col=22::operator "%25" is not supported%0A'
	  . "Make each side a pipeline of its own, and compute with their results where they are read.\n",
	'github: escapes');
($status, $output) = run_tool("$tree/test/pipeline", 'check', '--format=github', 'good.yaml');
is("$status$output", '0', 'github: no errors');

# Usage --------------------------------------------------------------------

my ($version) = slurp_file("$tree/aggwin.control") =~ /^default_version *= *'(.*)'/m;
is(join('|', run_tool($folder, '--version')), "0|aggwin $version\n|", 'version');
like(join('|', run_tool($folder, '--help')), qr/^0\|.*Usage:.*check.*\|$/s, 'help');
like(join('|', run_tool($folder, 'check', '--help')), qr/^0\|.*--format=json.*\|$/s, 'help of check');
for my $wrong (
	[ [], qr/a command is missing/ ],
	[ ['chekc'], qr/there is no command "chekc"/ ],
	[ ['check'], qr/a file is missing/ ],
	[ [ 'check', '--format' ], qr/option "--format" needs a value/ ],
	[ [ 'check', '--format=xml', 'x' ], qr/there is no format "xml"/ ],
	[ [ 'check', '--loud', 'x' ], qr/there is no option "--loud"/ ],
	[ [ 'check', 'missing.yaml' ], qr/could not read file "missing\.yaml": No such file/ ],
	[ [ 'check', '.' ], qr/could not read file "\.": Is a directory/ ])
{
	my ($arguments, $expected) = @$wrong;
	($status, $output, $error) = run_tool($folder, @$arguments);
	is($status, 2, "exit status of: aggwin @$arguments");
	like($error, $expected, 'it is said why');
}
($status, $output, $error) = run_tool("$tree/test/pipeline", 'check', 'missing.yaml', 'bad.yaml');
is($status, 2, 'a file that cannot be read, beside one that has faults');
like($output, qr/^bad\.yaml:2:7: error:/m, 'whose faults are told all the same');

SKIP:
{
	skip 'no /dev/full here', 1 unless -c '/dev/full';
	my $full = '';
	IPC::Run::run([ $tool, 'check', "$tree/test/pipeline/bad.yaml" ], '>', '/dev/full', '2>', \$full);
	is(($? >> 8) . ($full =~ /could not write/ ? ' said' : $full), '2 said', 'a report that cannot be written');
}

# script(1) runs a program on a terminal of its own.
SKIP:
{
	skip 'no script(1) here', 3 if system('script -qec true /dev/null >/dev/null 2>&1') != 0;
	my $on_terminal = sub {
		my (%environment) = @_;
		local %ENV = (%ENV, TERM => 'xterm', %environment);
		my $seen = '';
		IPC::Run::run([ 'script', '-qec', "$tool check $tree/test/pipeline/bad.yaml", '/dev/null' ],
			'<', \undef, '>', \$seen, '2>&1');
		return $seen;
	};
	like($on_terminal->(NO_COLOR => ''), qr/\e\[1;31merror:\e\[0m/, 'colours on a terminal');
	unlike($on_terminal->(NO_COLOR => 1), qr/\e/, 'none with NO_COLOR');
	unlike($on_terminal->(NO_COLOR => '', TERM => 'dumb'), qr/\e/, 'none on a dumb terminal');
}

# Files that are no rules --------------------------------------------------

my $pipeline = "- promql: sum(m[1m])\n  as: b\n";
for my $case (
	[ 'a tab', "- promql: sum(m[1m])\n\tas: b\n", '2:1: error: invalid YAML: found a tab character' ],
	[ 'a tab before a key', "-\tpromql: x\n \tas: b\n", '1:' ],
	[ 'keys beside each other', "- promql: a as: b\n", '1:15: error: invalid YAML: mapping values are not allowed' ],
	[ 'a quote that is not closed', "- promql: 'sum(m[1m])\n  as: b\n", '3:1: error: invalid YAML: found unexpected end of stream' ],
	[ 'an anchor', "- promql: &a sum(m[1m])\n  as: b\n", '1:11: error: anchors are not supported' ],
	[ 'an alias', "- promql: *a\n  as: b\n", '1:11: error: aliases are not supported' ],
	[ 'a merge', "$pipeline  <<: {as: b}\n", '3:3: error: unknown key "<<"' ],
	[ 'a tag', "- promql: !!str sum(m[1m])\n  as: b\n", '1:11: error: tags are not supported' ],
	[ 'two documents', "$pipeline---\n$pipeline", '3:1: error: there is more than one document' ],
	[ 'a map', "groups:\n- name: a\n", '1:1: error: a list of pipelines is expected' ],
	[ 'a key that is a list', "- ? [a]\n  : b\n", '1:5: error: a key has to be a word' ],
	[ 'Latin 1', "$pipeline- promql: sum(m{a=\"\xe4\"}[1m])\n", '3:20: error: the file is not UTF-8' ],
	[ 'UTF-16', "\xff\xfe-\0 \0", '1:1: error: the file is not UTF-8' ],
	[ 'NUL', "- promql: \0", '1:11: error: the file holds the character NUL' ],
	[ 'NUL as an escape', "- promql: \"\\0\"\n", '1:11: error: the character NUL is not allowed' ],
	[ 'too large', '# ' . ('x' x 10_000_000), '1:1: error: the file is too large' ],
	[ 'many brackets', '[' x 1_000_000, '1:11: error: lists and maps are too deep' ],
	[ 'many dashes', '- ' x 500_000, '1:21: error: lists and maps are too deep' ],
	[ 'many maps', '{a: ' x 250_000, '1:41: error: lists and maps are too deep' ],
	[ 'bombs', "a: &a [x,x]\n" . join('', map { "a$_: &b$_ [*a, *a]\n" } 1 .. 100), '1:4: error: anchors are not supported' ],
	[ 'a regular expression', "- promql: sum(m{a=~\"((a?){30}){30}\"}[1m])\n  as: b\n", '1:21: error: invalid regular expression: too many parts' ],
	[ 'many parentheses', '- promql: ' . ('(' x 60_000) . "\n  as: b\n", '1:75: error: parentheses are too deep' ],
	[ 'a byte order mark', "\xef\xbb\xbf- promql: sum(m[1m)\n  as: b\n", '1:19: error:' ],
	[ 'carriage returns', "- promql: sum(m[1m]\r\n  as: b\r\n", '1:20: error: syntax error at the end' ])
{
	my ($name, $text, $expected) = @$case;
	my $begin = time;
	my $found = first_error($text);

	is(substr($found, 0, length $expected), $expected, "refused: $name");
	cmp_ok(time - $begin, '<', 5, 'quickly');
}

for my $empty ('', "# nothing\n", "---\n", "[]\n")
{
	write_file('empty.yaml', $empty);
	is((run_tool($folder, 'check', 'empty.yaml'))[1], "1 file, 0 pipelines: no errors\n", 'an empty file');
}

# Size ---------------------------------------------------------------------

write_file('many.yaml', join '', map { "- promql: sum(m$_\[1m])\n  as: m" . ($_ + 1) . "\n" } 1 .. 25_000);
is((run_tool($folder, 'check', 'many.yaml'))[1], "1 file, 25000 pipelines: no errors\n", 'a long chain of pipelines');
like(first_error(join '', map { "- promql: sum(m$_\[1m])\n  as: m" . ($_ + 1) % 20_000 . "\n" } 0 .. 19_999),
	qr/^1:11: error: pipelines feed each other in a circle: m1 <- m0 <- m19999 .* \.\.\.$/, 'a long circle');
write_file('faults.yaml', "- promql: sum(m)\n  as: b\n" x 300);
like((run_tool($folder, 'check', 'faults.yaml'))[1], qr/^1 file: 100 errors; there may be more$/m, 'many faults');

done_testing();
