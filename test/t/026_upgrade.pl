# pg_upgrade to a later major version: rollups are there as they were, with what
# was pending, and work on. Needs the programs of a second, later version of
# PostgreSQL in which aggwin is installed, too.
#
#   AGGWIN_NEW_BINDIR    the folder of its programs; else the latest that stands
#                        beside this one's
#   AGGWIN_UPGRADE_SEED  what the random numbers follow from
use strict;
use warnings;
use File::Basename;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Carried;
use Aggwin::Session;
use Aggwin::Workload qw(view_names);
use Aggwin::Writer;

# Where there is a pg_config: the major version, and whether aggwin is there.
sub asked
{
	my ($config) = @_;
	my ($bindir, $version, $share, $library) =
	  map { my $answer = `'$config' --$_ 2>/dev/null` // ''; chomp $answer; $answer } qw(bindir version sharedir pkglibdir);

	return if $version !~ /^PostgreSQL (\d+)/;
	return { bindir => $bindir, version => $1,
		ready => -x "$bindir/pg_upgrade" && -e "$share/extension/aggwin.control" && -e "$library/aggwin.so" };
}

# What packages put beside each other: /usr/lib/postgresql/NN/bin, /usr/pgsql-NN/bin
sub later_version
{
	my ($old) = @_;
	my $bindir = $old->{bindir};
	my @found = map { asked("$_/pg_config") } glob join ' ', map { s/\b$old->{version}\b/*/r } $bindir;

	return (sort { $b->{version} <=> $a->{version} } grep { $_->{ready} && $_->{version} > $old->{version} } @found)[0];
}

my $old = asked('pg_config') or die 'pg_config does not work';
my $new = $ENV{AGGWIN_NEW_BINDIR} ? asked("$ENV{AGGWIN_NEW_BINDIR}/pg_config") : later_version($old);

plan skip_all => "no aggwin on a PostgreSQL later than $old->{version}; AGGWIN_NEW_BINDIR names its programs" if !$new;
if (!$new->{ready} || $new->{version} <= $old->{version})
{
	die "no pg_upgrade or no aggwin in PostgreSQL $new->{version} of $new->{bindir}, or it is not later than $old->{version}";
}

my $seed = $ENV{AGGWIN_UPGRADE_SEED} || int rand 1_000_000_000;
note "from $old->{version} to $new->{version}, AGGWIN_UPGRADE_SEED=$seed";
srand $seed;

my $carried = Aggwin::Carried->new($seed);
my @settings = ("shared_preload_libraries = 'aggwin'", 'aggwin.worker_naptime = 100ms', 'max_prepared_transactions = 10', 'fsync = off', '');

# Before ---------------------------------------------------------------------

my $from = PostgreSQL::Test::Cluster->new('from');
$from->init;
$from->append_conf('postgresql.conf', join "\n", @settings);
# No worker yet, which would leave nothing pending.
$from->append_conf('postgresql.conf', "aggwin.worker_enabled = off\n");
$from->start;
$from->safe_psql('postgres', 'CREATE ROLE keeper; CREATE ROLE reader');
$carried->create($from);
$from->safe_psql('postgres', 'CREATE DATABASE folded');
$from->safe_psql('folded', q{
	CREATE EXTENSION aggwin;
	CREATE TABLE t (ts timestamptz, k text);
	SELECT aggwin.create_rollup('r', 'SELECT aggwin.time_bucket(''1 day'', ts) AS day, aggwin.topk_agg(k, 3) AS top, count(*) AS n FROM t GROUP BY 1');
	INSERT INTO t SELECT '2024-01-01Z', n % 5 FROM generate_series(1, 100) AS n;});
$from->safe_psql('folded', q{SELECT aggwin.refresh('r')});
$from->stop;

# Upgrade --------------------------------------------------------------------

my $to = PostgreSQL::Test::Cluster->new('to', install_path => dirname($new->{bindir}));
# Since version 18 a new cluster has checksums, unless told not to.
$to->init(extra => [ $new->{version} >= 18 ? '--no-data-checksums' : () ]);
$to->append_conf('postgresql.conf', join "\n", @settings);

# It writes logs into the current folder, before version 15 at least.
chdir PostgreSQL::Test::Utils::tempdir();
sub upgrade
{
	my ($name, @options) = @_;

	return command_ok([ "$new->{bindir}/pg_upgrade", '--no-sync', '--old-datadir', $from->data_dir, '--new-datadir', $to->data_dir,
		'--old-bindir', $old->{bindir}, '--new-bindir', $new->{bindir},
		'--socketdir', $from->host, '--old-port', $from->port, '--new-port', $to->port, @options ], $name);
}

upgrade('can be upgraded', '--check');
upgrade('upgraded');

# After ----------------------------------------------------------------------

$to->append_conf('postgresql.conf', "aggwin.worker_enabled = off\n");
$to->start;
cmp_ok($to->safe_psql('postgres', 'SHOW server_version_num') / 10000, '>', $old->{version}, 'the server is the later one');
$carried->works_on($to, 'postgres', 'upgraded', pending => 1, objects => 1, history => 1);

# What was folded does not count as new, nor does it count twice.
is($to->safe_psql('folded', q{SELECT pending_deltas, invalid_buckets, rows_folded, dormant FROM aggwin.rollup_status}),
	'0|0|100|f', 'nothing is computed anew');
is($to->safe_psql('folded', q{SELECT n, aggwin.num_vals(top) FROM r}), '100|100', 'stored summaries are there');
is($to->safe_psql('folded', q{SELECT aggwin.refresh('r')}), 'f', 'nothing to fold');

# Extensions go and come as before.
$to->safe_psql('folded', q{INSERT INTO t VALUES ('2024-01-01Z', 'x'); DROP EXTENSION aggwin CASCADE; CREATE EXTENSION aggwin});
is($to->safe_psql('folded', q{SELECT count(*) FROM pg_trigger WHERE tgrelid = 't'::regclass}), '0', 'the extension can be dropped');

# Workers take it up.
$to->append_conf('postgresql.conf', "aggwin.worker_enabled = on\n");
$to->restart;
my $session = Aggwin::Session->new($to->connstr('postgres'), 'test');
$session->rows(Aggwin::Writer->new($session)->insert(100));
ok($to->poll_query_until('postgres', 'SELECT sum(pending_deltas) = 0 FROM aggwin.rollup_status'), 'a worker folds');
$carried->is_exact($session, 'folded by a worker');
$session->close;

$to->stop;
done_testing();
