# The workflow of doc/gitops.md does what the document says. Its steps are run as GitHub
# runs them, in a repository that is made of the document's own files, against a server on
# which the role of the workflow needs its password. What installs packages is left out.
use strict;
use warnings;
use CPAN::Meta::YAML;
use Cwd qw(abs_path);
use FindBin;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tree = abs_path("$FindBin::RealBin/../..");
my $document = slurp_file("$tree/doc/gitops.md");
my $folder = PostgreSQL::Test::Utils::tempdir();

# The document -----------------------------------------------------------------

# Files of the repository begin with their names.
my %file;
while ($document =~ /^```yaml\n(# (\S+)\n.*?)^```$/msg)
{
	$file{$2} = $1;
}
my $workflow_file = '.github/workflows/pipelines.yml';
is_deeply([ sort keys %file ], [ $workflow_file, 'rules/push.yaml', 'tests/push.yaml' ], 'files of the repository');
my ($broken_report) = $document =~ /^```console\n\$ aggwin check rules\/push\.yaml\n(.*?)^```$/ms;
ok($broken_report, 'the report of a broken rule');

my $workflow = CPAN::Meta::YAML->read_string($file{$workflow_file})->[0];
is_deeply([ sort keys %{ $workflow->{jobs} } ], [ 'check', 'database' ], 'jobs of the workflow');

# The server -------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('gitops');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE DATABASE metrics');
# What the document tells to do, but for the example that applies.
my ($setup) = $document =~ /^```sql\n(CREATE ROLE metrics_owner.*?)^SET ROLE pipelines;$/ms;
$node->safe_psql('metrics', "$setup; ALTER ROLE pipelines PASSWORD 'the secret'");
$node->safe_psql('metrics', <<'SQL');
SELECT * FROM aggwin.apply_pipelines('- {promql: "sum(m[1m])", as: "other:1m"}', source => 'another repository');
SQL
{
	my $hba = $node->data_dir . '/pg_hba.conf';
	my $lines = slurp_file($hba);
	unlink $hba;
	append_to_file($hba, "local all pipelines scram-sha-256\nhost all pipelines all scram-sha-256\n$lines");
	$node->reload;
}

# What the database has of the source.
sub pipelines
{
	return $node->safe_psql('metrics',
		q{SELECT "as", grace FROM aggwin.pipelines JOIN aggwin.pipeline AS p ON p.metric = "as"
			WHERE p.source = 'push' ORDER BY 1});
}

# git --------------------------------------------------------------------------

$ENV{GIT_CONFIG_GLOBAL} = $ENV{GIT_CONFIG_SYSTEM} = '/dev/null';
$ENV{"GIT_${_}_NAME"} = 'somebody', $ENV{"GIT_${_}_EMAIL"} = 'somebody@example.org' for 'AUTHOR', 'COMMITTER';

my $clone = "$folder/clone";

sub git
{
	my (@arguments) = @_;
	my $log = '';
	IPC::Run::run([ 'git', '-C', $clone, @arguments ], '<', \undef, '>&', \$log) or die "git @arguments: $log";
}

sub write_files
{
	my (%texts) = @_;
	for my $name (sort keys %texts)
	{
		my $path = "$clone/$name";
		system('mkdir', '-p', $path =~ s{/[^/]*$}{}r) == 0 or die;
		unlink $path;
		append_to_file($path, $texts{$name});
	}
}

# A branch of main, with other texts of files.
sub branch
{
	my ($name, %texts) = @_;
	git('checkout', '-q', '-b', $name, 'main');
	write_files(%texts);
	git('add', '-A');
	git('commit', '-q', '-m', $name);
}

sub merge
{
	my ($name) = @_;
	git('checkout', '-q', 'main');
	git('merge', '-q', '--no-ff', '-m', "Merge $name", $name);
}

# GitHub -----------------------------------------------------------------------

# "${{ … }}" in a text, or an expression as a whole.
sub expression
{
	my ($text, $context) = @_;
	my $perl = '';

	while ($text =~ /\G\s*(?:('[^']*')|(==|&&|\|\||[()])|([\w.]+))\s*/gc)
	{
		die "there is no $3" if defined $3 && !exists $context->{$3};
		$perl .= defined $1 ? " $1" : defined $3 ? " \$context->{'$3'}" : $2 eq '==' ? ' eq' : " $2";
	}
	die "cannot read $text" if (pos $text // 0) < length $text;
	my $value = eval $perl;
	die "$text: $@" if $@;
	return $value;
}

sub filled
{
	my ($text, $context) = @_;
	return $text =~ s/\$\{\{\s*(.*?)\s*\}\}/expression($1, $context)/ger;
}

# The event of a pull request or a push, with what is checked out. Returns of each step
# that was run its name, what it ended with, and what it printed.
sub run_workflow
{
	my ($event, $branch, $head) = @_;
	my (%good, @steps);
	my $repository = 'team/rules';
	my %context = (
		'github.event_name' => $event,
		'github.repository' => $repository,
		'github.event.pull_request.head.repo.full_name' => $event eq 'push' ? '' : $head // $repository,
		'vars.AGGWIN_REPOSITORY' => 'somebody/aggwin',
		'vars.AGGWIN_REF' => 'v0.1',
		'vars.PGHOST' => $node->host,
		'vars.PGPORT' => $node->port,
		'vars.PGDATABASE' => 'metrics',
		'vars.PGUSER' => 'pipelines',
		'vars.PGSSLMODE' => 'prefer',
		'secrets.PGPASSWORD' => 'the secret');

	die "nothing is done on $event" unless exists $workflow->{on}{$event};
	git('checkout', '-q', $branch);
	for my $name (sort { ($a eq 'database') <=> ($b eq 'database') } keys %{ $workflow->{jobs} })
	{
		my $job = $workflow->{jobs}{$name};
		my $work = "$folder/work";

		next if $job->{needs} && !$good{ $job->{needs} };
		next if $job->{if} && !expression($job->{if}, \%context);
		system('rm', '-rf', $work);
		$good{$name} = 1;
		for my $step (@{ $job->{steps} })
		{
			next if $step->{if} && !expression($step->{if}, \%context);
			if (my $uses = $step->{uses})
			{
				die "what is $uses?" if $uses ne 'actions/checkout@v4';
				my $other = $step->{with} && filled($step->{with}{repository}, \%context);
				die "what is $other?" if $other && $other ne $context{'vars.AGGWIN_REPOSITORY'};
				IPC::Run::run([ 'git', 'clone', '-q', '-b', $branch, $clone, $work ]) or die unless $other;
				next;
			}
			my %env = (%{ $workflow->{env} // {} }, %{ $job->{env} // {} }, %{ $step->{env} // {} });
			$_ = filled($_, \%context) for values %env;
			if ($step->{name} =~ /^Install/)
			{
				push @steps, [ $step->{name}, 0, $step->{run} ];
				next;
			}
			# The server of a runner is that of the socket's default.
			local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port,
				PATH => "$tree:$ENV{PATH}", USER => scalar getpwuid($<), %env);
			my $output = '';
			IPC::Run::run([ 'bash', '-e', '-c', filled($step->{run}, \%context) ],
				'<', \undef, '>&', \$output, init => sub { chdir $work or die });
			push @steps, [ $step->{name}, $? >> 8, $output ];
			if ($? != 0)
			{
				$good{$name} = 0;
				last;
			}
		}
	}
	return @steps;
}

sub names
{
	return [ map { "$_->[0]: $_->[1]" } @_ ];
}

# What the last step printed.
sub last_output
{
	return @_ ? $_[-1][2] : '';
}

# The repository is made ---------------------------------------------------------

mkdir $clone;
git('init', '-q', '-b', 'main');
write_files(%file);
git('add', '-A');
git('commit', '-q', '-m', 'Rules, tests and the workflow');

my @steps = run_workflow('push', 'main');
is_deeply(
	names(@steps),
	[ 'Install aggwin and a server: 0', 'Check the rules: 0', 'Test the rules: 0', 'Install aggwin: 0', 'Apply: 0' ],
	'a push to main is checked, tested and applied')
  or diag explain \@steps;
my $first = join "\n", map { "$_|00:00:00" } 'push_requests:2m', 'push_seconds:1m_bucket', 'push_seconds:1m_count', 'push_seconds:1m_sum';
is(pipelines(), $first, 'the pipelines are there');
is($node->safe_psql('postgres', q{SELECT count(*) FROM pg_database WHERE datname LIKE 'aggwin\_test%'}), '0', 'databases of tests are gone');

# The commands that were left out name what is needed.
for my $install (grep { $_->[0] =~ /^Install/ } @steps)
{
	like($install->[2], qr/apt-get install .*\b$_\b/, "$install->[0]: $_")
	  for qw(gcc make flex bison libyaml-dev libpq-dev postgresql-server-dev-16);
}

# A broken rule ------------------------------------------------------------------

branch('broken', 'rules/push.yaml' => <<'YAML');
# requests by stack
- promql: 'sum by (stack) (push_requests_total[2m]) / 2'
  as: push_requests:2m

- promql: 'max by (stack) (irate(push_requests_total[2m]))'
  as: push_max:2m
YAML
@steps = run_workflow('pull_request', 'broken');
is_deeply(names(@steps), [ 'Install aggwin and a server: 0', 'Check the rules: 1' ], 'a broken rule: nothing else is run');
like(last_output(@steps), qr{^::error file=rules/push\.yaml,line=2,col=53::operator "/" is not supported}m, 'it is told where');
like(last_output(@steps), qr{^::error file=rules/push\.yaml,line=5,col=28::function "irate" is not supported}m, 'and the other one, too');
{
	my $output = '';
	IPC::Run::run([ "$tree/aggwin", 'check', 'rules/push.yaml' ], '<', \undef, '>&', \$output,
		init => sub { chdir "$folder/work" or die });
	is($output, $broken_report, 'the report of the document');
}

# A rule that is not what its test expects ---------------------------------------

branch('wrong', 'rules/push.yaml' => $file{'rules/push.yaml'} =~ s/sum by \(stack\) \(increase/max by (stack) (increase/r);
@steps = run_workflow('pull_request', 'wrong');
is_deeply(names(@steps), [ 'Install aggwin and a server: 0', 'Check the rules: 0', 'Test the rules: 1' ], 'a wrong rule fails its test');
like(last_output(@steps), qr/push_requests:2m/, 'which names it');

is(pipelines(), $first, 'the database was not touched');

# A change -----------------------------------------------------------------------

branch('change', 'rules/push.yaml' => <<'YAML', 'rules/more.yaml' => <<'MORE');
- promql: 'sum by (stack) (increase(push_requests_total[2m]))'
  as: push_requests:2m
  grace: 30s
YAML
- promql: 'count by (stack) (push_requests_total[1m])'
  as: push_samples:1m
MORE
@steps = run_workflow('pull_request', 'change', 'fork/rules');
is_deeply(names(@steps), [ 'Install aggwin and a server: 0', 'Check the rules: 0', 'Test the rules: 0' ],
	'a fork is checked, and does not see the database');
@steps = run_workflow('pull_request', 'change');
is_deeply(
	names(@steps),
	[ 'Install aggwin and a server: 0', 'Check the rules: 0', 'Test the rules: 0', 'Install aggwin: 0', 'Plan: 0' ],
	'a pull request is planned')
  or diag explain \@steps;
like(last_output(@steps), qr/\Q$_\E/, "the plan: $_")
  for 'create push_samples:1m', 'change push_requests:2m', 'grace was 0s',
  map { "remove push_seconds:1m_$_" } qw(bucket sum count);
is(pipelines(), $first, 'and nothing is done yet');

merge('change');
@steps = run_workflow('push', 'main');
is_deeply(
	names(@steps),
	[ 'Install aggwin and a server: 0', 'Check the rules: 0', 'Test the rules: 0', 'Install aggwin: 0', 'Apply: 0' ],
	'merging applies');
is(pipelines(), "push_requests:2m|00:00:30\npush_samples:1m|00:00:00", 'the database has what main has');
is($node->safe_psql('metrics', q{SELECT "as" FROM aggwin.pipelines WHERE source <> 'push'}), 'other:1m', 'and others what they had');

# Once more, and back --------------------------------------------------------------

my $numbers = q{SELECT string_agg(p::text, ' ' ORDER BY pipeline_id) FROM aggwin.pipeline AS p};
my $before = $node->safe_psql('metrics', $numbers);
is((run_workflow('push', 'main'))[-1][1], 0, 'to apply again');
is($node->safe_psql('metrics', $numbers), $before, 'does nothing');

git('revert', '--no-edit', '-m', '1', 'HEAD');
is((run_workflow('push', 'main'))[-1][1], 0, 'a revert');
is(pipelines(), $first, 'takes the change back');

# What was applied works ------------------------------------------------------------

$node->safe_psql('metrics', <<'SQL');
SET aggwin.max_past = 0;
INSERT INTO aggwin.sample_input
SELECT 'push_requests_total', jsonb_build_object('stack', 'eu', 'pod', p::text), timestamptz '2026-03-01 12:00Z' + n * interval '10 s', n * p
FROM generate_series(1, 2) AS p, generate_series(0, 30) AS n;
SELECT aggwin.close_windows();
SQL
is($node->safe_psql('metrics', q{SELECT ts, labels, value FROM aggwin.sample_input
	WHERE metric = 'push_requests:2m' AND ts <= '2026-03-01 12:04Z' ORDER BY ts}),
	qq{2026-03-01 12:02:00+00|{"stack": "eu"}|33\n2026-03-01 12:04:00+00|{"stack": "eu"}|36},
	'the pipelines compute');

# A secret that is wrong --------------------------------------------------------------

$node->safe_psql('metrics', q{ALTER ROLE pipelines PASSWORD 'another one'});
@steps = run_workflow('push', 'main');
is($steps[-1][0], 'Apply', 'without the right password');
isnt($steps[-1][1], 0, 'applying fails');
unlike(last_output(@steps), qr/the secret/, 'and does not tell what was tried');

$node->stop;
done_testing();
