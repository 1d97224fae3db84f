# The command-line tool with a server: aggwin plan, apply, export and test, what they
# end with, and what they say when something is wrong.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/../lib";
use Aggwin::Session;
use IPC::Run;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

my $tool = abs_path("$FindBin::RealBin/../..") . '/aggwin';
my $folder = abs_path(PostgreSQL::Test::Utils::tempdir());
my $node = PostgreSQL::Test::Cluster->new('tool');

$node->init;
$node->append_conf('postgresql.conf', join "\n", q{shared_preload_libraries = 'aggwin'}, 'fsync = off',
	'max_worker_processes = 16', 'aggwin.max_past = 0', q{timezone = 'UTC'}, '');
$node->start;
delete @ENV{grep { /^PG(?!_|CTLTIMEOUT)/ } keys %ENV};

sub ask
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'main', $sql);
}

sub write_file
{
	my ($name, $text) = @_;
	open my $out, '>', "$folder/$name" or die "$folder/$name: $!";
	print $out $text;
	close $out or die "$folder/$name: $!";
	return;
}

# Status, output, errors. A signal that ended the tool is 256 and its number.
sub run_tool
{
	my (@arguments) = @_;
	my ($output, $error) = ('', '');

	IPC::Run::run([ $tool, @arguments ],
		'<', \undef, '>', \$output, '2>', \$error,
		init => sub { chdir $folder or die "$folder: $!" });
	return ($? & 127 ? 256 + ($? & 127) : $? >> 8, $output, $error);
}

# One that is to succeed, or to end with a status: what it printed.
sub tool_gives
{
	my ($expected, $name, @arguments) = @_;
	my ($status, $output, $error) = run_tool(@arguments);

	is($status, $expected, "$name: exit status") or diag "$output$error";
	is($error, '', "$name: nothing on stderr");
	return $output;
}

# One that cannot work: it says why, and prints nothing.
sub tool_fails
{
	my ($pattern, $name, @arguments) = @_;
	my ($status, $output, $error) = run_tool(@arguments);

	is($status, 2, "$name: exit status");
	is($output, '', "$name: nothing on stdout");
	like($error, $pattern, $name);
	return $error;
}

sub connection
{
	my ($database, $user) = @_;
	return $node->connstr($database) . ($user ? " user=$user" : '');
}

my $main = connection('main');

write_file('good.yaml', <<'YAML');
- promql: 'sum by (env) (requests_total[1m])'
  as: env_requests:1m
- promql: 'sum by (env) (increase(requests_total[1m]))'
  as: env_increase:1m
YAML
write_file('indented.yaml', <<'YAML');
    # another style
    - {as: 'env_total:1m', promql: 'sum2 by (env) (requests_total[1m])', labels: {team: "a\"\\ \u00e9\x7f"}, grace: 90s}
    - promql: >
        max by (env)
        (requests_total[2m])
      as: env_max:2m
      limit: 1000
      max_series: 77
      retention: 30d
      paused: true
YAML
write_file('broken.yaml', "- promql: 'sum(m)'\n  as: x\n");
write_file('good_test.yaml', <<'YAML');
rule_files: ['g*d.yaml']
evaluation_interval: 15s
tests:
  - name: sums
    input_series:
      - {series: 'requests_total{env="a",host="1"}', values: '0+10x3 100-10x3'}
      - {series: 'requests_total{env="a",host="2"}', values: '1 _ 2 _x2 3 stale'}
      - {series: 'requests_total{env="b"}', values: '.5x3 NaN 1e1'}
      - {series: 'others_total{env="b"}', values: '1x3'}
    expect:
      - {as: 'env_requests:1m', labels: {env: a}, samples: [{at: 1m, value: 63}, {at: 2m, value: 343}]}
      - {as: 'env_requests:1m', labels: '{env="b"}', at: 1m, value: 2}
      - {as: 'env_requests:1m', labels: '{env="b"}', at: 2m, value: NaN}
      - {as: 'env_increase:1m', labels: {env: a}, at: 1m, value: 31}
      - {as: 'env_increase:1m', labels: {env: b}, at: 1m, value: 0}
      - {as: 'env_requests:1m', at: 1h, value: none}
  - name: "hours \u00e9 <&>"
    interval: 1h
    input_series:
      - {series: 'requests_total{env="a\"é\n"}', values: '1x1'}
    expect:
      - {as: 'env_requests:1m', labels: {env: "a\"é\n"}, at: 1m, value: 1.0000001, tolerance: 1e-6}
      - {as: 'env_requests:1m', labels: {env: "a\"é\n"}, at: 61m, value: 1}
YAML

# Use, and no server -------------------------------------------------------------

for my $command (qw(plan apply test export))
{
	like(tool_gives(0, "$command --help", $command, '--help'), qr/^aggwin $command /, "$command: help");
	tool_fails(qr/there is no option "--nothing"\nTry "aggwin $command --help"/, "$command: unknown option", $command, '--nothing');
	tool_fails(qr/option "-d" needs a value/, "$command: no value", $command, '-d');
	next if $command eq 'export';
	tool_fails(qr/a file is missing/, "$command: no file", $command);
	tool_fails(qr/there is no format "xml"/, "$command: unknown format", $command, '--format=xml', 'good.yaml');
	tool_fails(qr/could not read file "nothing.yaml": No such file/, "$command: no such file", $command, 'nothing.yaml');
}
tool_fails(qr/files are not read/, 'export: a file', 'export', 'good.yaml');
tool_fails(qr/name of a source must not be empty/, 'empty source', 'plan', '--source=', 'good.yaml');

my %file = (plan => 'good.yaml', apply => 'good.yaml', test => 'good_test.yaml');
for my $command (qw(plan apply test export))
{
	my @file = $file{$command} // ();

	for my $connection ("host=$folder port=1 user=u password=s3cret", "postgresql://u:s3cret\@localhost:1/x")
	{
		my $error = tool_fails(qr/^aggwin: connection to server .* failed/, "$command: no server", $command, '-d', $connection, @file);
		unlike($error, qr/s3cret/, "$command: no server: the password is not said");
	}
	for my $connection ('host=x password=a s3cret=1', 'postgresql://u:s3cret@[::1/x', 'password=s3cret nothing')
	{
		my $error = tool_fails(qr/invalid connection string/, "$command: connection string", $command, '-d', $connection, @file);
		unlike($error, qr/s3cret/, "$command: connection string: the password is not said");
	}
	tool_fails(qr/database "nothing" does not exist/, "$command: no database", $command, '-d', connection('nothing'), @file);
}

# Databases that are not ready, roles that may not ----------------------------------

ask('CREATE DATABASE main', 'postgres');
tool_fails(qr/database "main" does not have the extension aggwin\n  hint: .*CREATE EXTENSION aggwin/,
	"$_: no extension", $_, '-d', $main, $file{$_} // ())
  for qw(plan apply export);
ask('CREATE EXTENSION aggwin');
tool_fails(qr/metrics are not enabled.*\n.*enable_metrics/s, "$_: no metrics", $_, '-d', $main, $file{$_})
  for qw(plan apply);
ask('SELECT aggwin.enable_metrics()');
ask('CREATE ROLE stranger LOGIN; CREATE ROLE maker LOGIN CREATEDB');
tool_fails(qr/only the owner of aggwin.samples may apply pipelines\n  detail: .*\n  hint: /, "$_: no rights", $_, '-d',
	connection('main', 'stranger'), $file{$_})
  for qw(plan apply);
tool_fails(qr/permission denied to create database/, 'test: no rights', 'test', '-d', connection('main', 'stranger'), 'good_test.yaml');
tool_fails(qr/permission denied to create extension/, 'test: half the rights', 'test', '-d', connection('main', 'maker'), 'good_test.yaml');

# Broken rules: no server is asked ---------------------------------------------------

for my $command (qw(plan apply))
{
	my @arguments = ($command, '-d', 'host=/nowhere', 'good.yaml', 'broken.yaml');

	like(tool_gives(1, "$command: broken", @arguments), qr/^broken\.yaml:1:\d+: error: /, "$command: broken: the place");
	is(decode_json(tool_gives(1, "$command: broken, json", @arguments, '--format=json'))->{errors}[0]{file},
		'broken.yaml', "$command: broken, json: the place");
	like(tool_gives(1, "$command: broken, github", @arguments, '--format', 'github'),
		qr/^::error file=broken\.yaml,line=1,/, "$command: broken, github: the place");
}

# Plan and apply ---------------------------------------------------------------------

ask(q{SELECT aggwin.ingest('requests_total', '{"env": "a"}', '2026-03-01 10:00Z', 1)});

my @both = ('-d', $main, 'good.yaml', 'indented.yaml');
is(tool_gives(0, 'plan', 'plan', @both), <<'TEXT', 'plan: text');
Source "default":
  + create env_requests:1m  (good.yaml:1)
      sum by (env) (sum_over_time(requests_total[1m]))
  + create env_increase:1m  (good.yaml:3)
      sum by (env) (increase(requests_total[1m]))
  + create env_total:1m  (indented.yaml:2)
      sum2 by (env) (requests_total[1m])
  + create env_max:2m  (indented.yaml:3)
      max by (env) (max_over_time(requests_total[2m]))
4 to create, 0 to change, 0 to remove, 0 to keep.
TEXT
is(ask(q{SELECT to_regclass('aggwin.pipeline') IS NULL}), 't', 'plan: nothing is made');
tool_gives(3, 'plan: changes', 'plan', '--detailed-exitcode', @both);

my $applied = decode_json(tool_gives(0, 'apply', 'apply', '--format=json', @both));
is_deeply($applied->{count}, { create => 4, change => 0, remove => 0, keep => 0 }, 'apply: json: counts');
ok($applied->{applied} && $applied->{source} eq 'default', 'apply: json: done');
is_deeply($applied->{pipelines}[2],
	{ action => 'create', as => 'env_total:1m', promql => 'sum2 by (env) (requests_total[1m])', file => 'indented.yaml', line => 2, column => 7 },
	'apply: json: a pipeline');
is(ask(q{SELECT string_agg("as", ' ' ORDER BY "as") FROM aggwin.pipelines}),
	'env_increase:1m env_max:2m env_requests:1m env_total:1m', 'apply: pipelines are there');
is(ask(q{SELECT labels, grace, max_series, result_limit, retention, paused FROM aggwin.pipeline WHERE metric IN ('env_total:1m', 'env_max:2m') ORDER BY place}),
	qq({"team": "a\\"\\\\ \xc3\xa9\x7f"}|00:01:30|100000|3000000|87600:00:00|f\n{}|00:00:00|77|1000|720:00:00|t), 'apply: their options');
like(tool_gives(0, 'apply again', 'apply', @both), qr/^0 created, 0 changed, 0 removed, 4 kept\.$/m, 'apply again: nothing');
tool_gives(0, 'plan: no changes', 'plan', '--detailed-exitcode', @both);
is(tool_gives(0, 'plan: no annotations', 'plan', '--format=github', @both), '', 'plan: github: nothing to tell');

my $exported = tool_gives(0, 'export', 'export', '-d', $main);
write_file('exported.yaml', $exported);
is(tool_gives(0, 'export: source', 'export', '-d', $main, '--source=default'), $exported, 'export: of a source');
tool_gives(0, 'export: checks', 'check', 'exported.yaml');
tool_gives(0, 'export: is what there is', 'plan', '-d', $main, '--detailed-exitcode', 'exported.yaml');

write_file('changed.yaml', <<'YAML');
- promql: 'sum by (env) (requests_total[2m])'
  as: env_requests:1m
YAML
is(tool_gives(0, 'plan: change', 'plan', '-d', $main, '--format=github', 'changed.yaml') =~ s/::sum.*%0A/::/r, <<'TEXT', 'plan: github');
::notice file=changed.yaml,line=1,title=change env_requests%3A1m::promql was sum by (env) (sum_over_time(requests_total[1m]))
::notice title=remove env_increase%3A1m::sum by (env) (increase(requests_total[1m]))%0Ait is not in the rules any more
::notice title=remove env_total%3A1m::sum2 by (env) (requests_total[1m])%0Ait is not in the rules any more
::notice title=remove env_max%3A2m::max by (env) (max_over_time(requests_total[2m]))%0Ait is not in the rules any more
TEXT
like(tool_gives(0, 'plan: keep', 'plan', '-d', $main, '--no-prune', 'changed.yaml'),
	qr/^0 to create, 1 to change, 0 to remove, 0 to keep\.$/m, 'plan: nothing is removed');
like(tool_gives(0, 'apply: keep', 'apply', '-d', $main, '--no-prune', 'changed.yaml'),
	qr/^0 created, 1 changed, 0 removed, 0 kept\.$/m, 'apply: nothing is removed');
is(ask('SELECT count(*) FROM aggwin.pipelines'), 4, 'apply: nothing was');

# What only the database knows -----------------------------------------------------------

write_file('taken.yaml', <<'YAML');
- {promql: 'sum(requests_total[1m])', as: 'all:1m'}
-   promql: 'sum(others_total[1m])'
    as:   requests_total
YAML
for my $command (qw(plan apply))
{
	like(tool_gives(1, "$command: name of a metric", $command, '-d', $main, 'good.yaml', 'taken.yaml'), qr{^taken\.yaml:3:11: error: metric "requests_total" is there already, and is not of a pipeline
     3 \|     as:   requests_total
       \|           \^
  hint: Results .*\. Choose another name for as\.\n2 files: 1 error$}m, "$command: name of a metric: the place");
}
is(ask(q{SELECT count(*) FROM aggwin.pipelines WHERE "as" = 'all:1m'}), 0, 'apply: all or nothing');

like(tool_gives(1, 'two sources', 'plan', '-d', $main, '--source=team-a', 'good.yaml'),
	qr/^good\.yaml:2:7: error: pipeline "env_requests:1m" is in source "default"/, 'two sources: the place');
write_file('a.yaml', "- {promql: 'sum by (env) (env_b[1m])', as: env_a}\n");
write_file('b.yaml', "# b\n- {promql: 'sum by (env) (env_a[1m])', as: env_b}\n");
tool_gives(0, 'source a', 'apply', '-d', $main, '--source=a', 'a.yaml');
like(tool_gives(1, 'circle', 'apply', '-d', $main, '--source=b', 'b.yaml'),
	qr/^b\.yaml:2:1\d: error: pipeline "env_b" would read its own results/, 'circle through two sources: the place');
is(tool_gives(0, 'export', 'export', '-d', $main, '--source=a') =~ tr/-//, 1, 'export: one source of two');

ask(q{SELECT format('GRANT %I TO maker', (SELECT relowner::regrole::text FROM pg_class WHERE oid = 'aggwin.samples'::regclass)) \gexec});
ask(q{CREATE ROLE other LOGIN; SELECT format('GRANT %I TO other', (SELECT relowner::regrole::text FROM pg_class WHERE oid = 'aggwin.samples'::regclass)) \gexec});
write_file('c.yaml', "- {promql: 'sum(requests_total[1m])', as: c}\n");
tool_gives(0, 'source of a role', 'apply', '-d', connection('main', 'maker'), '--source=c', 'c.yaml');
tool_fails(qr/source "c" belongs to role maker\n  hint: Apply your pipelines as another source\./,
	'source of another role', 'apply', '-d', connection('main', 'other'), '--source=c', 'c.yaml');
ask(q{ALTER ROLE maker SET default_transaction_isolation = 'serializable'});
tool_gives(0, 'isolation', 'apply', '-d', connection('main', 'maker'), '--source=c', 'c.yaml');

# Interrupted --------------------------------------------------------------------------------

sub start_tool
{
	my ($streams, @arguments) = @_;
	@$streams = ('', '');
	return IPC::Run::start([ $tool, @arguments ],
		'<', \undef, '>', \$streams->[0], '2>', \$streams->[1],
		init => sub { chdir $folder or die "$folder: $!" });
}

my @streams;
my $locker = Aggwin::Session->new($main, 'locker');
$locker->run('BEGIN; LOCK TABLE aggwin.pipeline');
my $handle = start_tool(\@streams, 'apply', '-d', "$main application_name=waiting", @both[2, 3]);
ok($node->poll_query_until('main', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'waiting' AND wait_event_type = 'Lock')}),
	'interrupt: it waits');
$handle->signal('INT');
$handle->finish;
is($? & 127, 2, 'interrupt: ends by the signal') or diag "@streams";
is($streams[1], "aggwin: interrupted\n", 'interrupt: is said');
ok($node->poll_query_until('main', q{SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'waiting')}),
	'interrupt: nothing goes on in the server');
$locker->run('ROLLBACK');
$locker->close;

# Tests of rules ---------------------------------------------------------------------------------

my $databases = ask('SELECT count(*) FROM pg_database');
my $told = tool_gives(0, 'test', 'test', '-d', $main, '--junit=junit.xml', 'good_test.yaml');
$told =~ s/\(\d+\.\d\d s\)/(...)/g;
is($told, <<"TEXT", 'test: text');
ok   good_test.yaml:4: sums (...)
ok   good_test.yaml:17: hours \xc3\xa9 <&> (...)
2 tests: 2 passed, 0 failed
TEXT
my $junit = slurp_file("$folder/junit.xml");
like($junit, qr{<testsuite name="good_test\.yaml" tests="2" failures="0">}, 'test: junit');
like($junit, qr{<testcase classname="good_test\.yaml" name="hours \xc3\xa9 &lt;&amp;&gt;" file="good_test\.yaml" line="17" time="[\d.]+"/>}, 'test: junit: a test');

(my $wrong = slurp_file("$folder/good_test.yaml")) =~ s/at: 1m, value: 31/at: 1m, value: 32/;
$wrong =~ s/      - \{as: 'env_requests:1m', labels: '\{env="b"\}', at: 1m, value: 2\}\n//;
$wrong =~ s/\{at: 1m, value: 63\}, //;
$wrong =~ s/at: 1h, value: none/at: 1h, value: Inf/;
write_file('wrong_test.yaml', $wrong);
$told = tool_gives(1, 'test: wrong', 'test', '-d', $main, 'wrong_test.yaml', '--junit', 'junit.xml', 'good_test.yaml');
$told =~ s/\(\d+\.\d\d s\)/(...)/g;
is($told, <<"TEXT", 'test: wrong: text');
FAIL wrong_test.yaml:4: sums (...)
  wrong_test.yaml:13: env_increase:1m{env="a"} at 1m
    expected 32
    got      31
  wrong_test.yaml:15: env_requests:1m at 1h
    expected Infinity
    got      nothing
  wrong_test.yaml:11: env_requests:1m{env="a"} at 1m
    expected nothing
    got      63
ok   wrong_test.yaml:16: hours \xc3\xa9 <&> (...)
ok   good_test.yaml:4: sums (...)
ok   good_test.yaml:17: hours \xc3\xa9 <&> (...)
4 tests: 3 passed, 1 failed
TEXT
like(slurp_file("$folder/junit.xml"), qr{<failure message="3 differences">wrong_test\.yaml:13: env_increase:1m\{env=&quot;a&quot;\} at 1m: expected 32, got 31\n},
	'test: wrong: junit');
my $json = decode_json(tool_gives(1, 'test: wrong, json', 'test', '-d', $main, '--format=json', 'wrong_test.yaml'));
is_deeply([ @$json{qw(passed failed)} ], [ 1, 1 ], 'test: json: counts');
is_deeply($json->{tests}[0]{differences}[1],
	{ line => 15, column => 9, as => 'env_requests:1m', labels => '{}', at => '1h', expected => 'Infinity', got => undef },
	'test: json: a difference');
like(tool_gives(1, 'test: wrong, github', 'test', '-d', $main, '--format=github', 'wrong_test.yaml'),
	qr/^::error file=wrong_test\.yaml,line=13::sums: env_increase:1m\{env="a"\} at 1m: expected 32, got 31$/m, 'test: github');
tool_fails(qr/could not write file "nowhere\/junit\.xml"/, 'test: no report', 'test', '-d', $main, '--junit=nowhere/junit.xml', '--format=github', 'good_test.yaml');

# Faults in files of tests, by a change of one that is good.
for my $case (
	[ "'g*d.yaml'", "'nothing*.yaml'", qr/:1:14: error: there is no such file: "nothing\*\.yaml"/ ],
	[ "'g*d.yaml'", "broken.yaml", qr/^broken\.yaml:1:\d+: error: /m ],
	[ 'tests:', "rules: []\ntests:", qr/:3:1: error: unknown key "rules"/ ],
	[ 'tests:', "alert_rule_test: []\ntests:", qr/:3:1: error: unknown key "alert_rule_test"/ ],
	[ '15s', '15', qr/:2:\d+: error: invalid duration "15"/ ],
	[ 'host="1"', 'host=~"1"', qr/:6:\d+: error: only labels with their values/ ],
	[ 'host="2"', 'host="1"', qr/:7:18: error: this series is there twice/ ],
	[ '0+10x3', '0+10', qr/:6:67: error: x and a number are expected/ ],
	[ '0+10x3', '0x', qr/:6:65: error: a number is expected/ ],
	[ '0+10x3', '0x100000000000000000', qr/:6:63: error: there are too many samples/ ],
	[ '0+10x3', 'abc', qr/:6:63: error: a sample is expected/ ],
	[ '0+10x3', '0x3_', qr/:6:66: error: a blank is expected/ ],
	[ '0+10x3', '{{schema:1}}', qr/:6:63: error: native histograms/ ],
	[ 'env_increase', 'env_decrease', qr/:14:\d+: error: no pipeline writes "env_decrease:1m"/ ],
	[ 'at: 1h', 'at: 90s', qr/:16:\d+: error: no window of "env_requests:1m" ends at this time/ ],
	[ 'value: 31', 'value: x', qr/:14:\d+: error: the value of "value" has to be a number/ ],
	[ 'tolerance: 1e-6', 'tolerance: 2', qr/:22:\d+: error: the value of "tolerance"/ ],
	[ 'interval: 1h', "interval: 10y", qr/:20:\d+: error: samples must not go over/ ],
	[ 'labels: {env: b}', 'labels: b', qr/:15:\d+: error: there is a name of a metric among labels/ ])
{
	my ($from, $to, $pattern) = @$case;
	my $text = slurp_file("$folder/good_test.yaml");

	die "no $from" if $text !~ s/\Q$from\E/$to/;
	write_file('case_test.yaml', $text);
	like(tool_gives(1, "test: $to", 'test', '-d', 'host=/nowhere', 'case_test.yaml'), $pattern, "test: $to: the place");
}

# A test whose samples the server refuses is one that failed, and the next one is run.
my $long = 'm' x 2000;
write_file('refused_test.yaml', <<"YAML");
rule_files: [good.yaml]
tests:
  - input_series: [{series: '$long', values: '1'}]
    expect: [{as: 'env_requests:1m', at: 1m, value: 1}]
  - input_series: [{series: requests_total, values: '1'}]
    expect: [{as: 'env_requests:1m', at: 1m, value: 1}]
YAML
$json = decode_json(tool_gives(1, 'test: refused', 'test', '-d', $main, '--format=json', '--junit=junit.xml', 'refused_test.yaml'));
like($json->{tests}[0]{error}, qr/^name of a metric is too long: /, 'test: refused: why');
is_deeply([ @$json{qw(passed failed)} ], [ 1, 1 ], 'test: refused: the next one');
like(slurp_file("$folder/junit.xml"), qr/<error message="name of a metric is too long: /, 'test: refused: junit');

# A signal in any of its steps leaves nothing behind.
for my $signal ('INT', 'TERM')
{
	for my $wait (0.05, 0.3, 0.8, 1.5)
	{
		my $running = start_tool(\@streams, 'test', '-d', $main, ('good_test.yaml') x 5);

		sleep $wait;
		$running->signal($signal);
		$running->finish;
		isnt($? & 127, 0, "test: SIG$signal after $wait s ends it") or diag "@streams";
		is(ask('SELECT count(*) FROM pg_database'), $databases, "test: SIG$signal after $wait s leaves no database");
	}
}
is(ask('SELECT count(*) FROM pg_database'), $databases, 'test: no database is left');

# Colours ------------------------------------------------------------------------------------------

SKIP:
{
	skip 'script is not there', 2 if system('script --version >/dev/null 2>&1') != 0;
	local $ENV{TERM} = 'xterm';
	local $ENV{NO_COLOR};
	my $command = "cd $folder && $tool plan -d '$main' good.yaml";

	delete $ENV{NO_COLOR};
	like(scalar `script -qec "$command" /dev/null </dev/null`, qr/\e\[/, 'colours on a terminal');
	unlike(scalar `$command`, qr/\e\[/, 'no colours in a pipe');
}

$node->stop;
done_testing();
