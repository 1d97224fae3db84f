# The module starts with and without shared_preload_libraries.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# Installs the extension, looks at it, removes it.
sub create_and_drop
{
	my ($node, $how) = @_;

	$node->safe_psql('postgres', 'CREATE EXTENSION aggwin');
	is( $node->safe_psql(
			'postgres', "SELECT nspname FROM pg_namespace WHERE nspname = 'aggwin'"),
		'aggwin',
		"$how: the extension is installed");
	is($node->psql('postgres', "LOAD 'aggwin'"), 0, "$how: the library loads into a backend");
	$node->safe_psql('postgres', 'DROP EXTENSION aggwin');
	is( $node->safe_psql(
			'postgres', "SELECT count(*) FROM pg_namespace WHERE nspname = 'aggwin'"),
		'0',
		"$how: the extension is removed");
	return;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), '', 'nothing is preloaded');
create_and_drop($node, 'without preload');

$node->append_conf('postgresql.conf', "shared_preload_libraries = 'aggwin'");
$node->restart;
is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'), 'aggwin', 'aggwin is preloaded');
create_and_drop($node, 'with preload');

# What the server had to say about it.
my $log = slurp_file($node->logfile);

# A restart may meet a session that is just about to end by itself.
$log =~ s/^.*FATAL:  terminating connection due to administrator command$//mg;
unlike($log, qr/\b(PANIC|FATAL|ERROR):/, 'the server logged no error');

$node->stop;
done_testing();
