# Windows over random streams with late rows, updates and deletes, closed while
# others write and fold: what is published once is what its step saw, what is
# published with changes is always what the source holds, and whoever polls gets
# everything once.
#
#   AGGWIN_WINDOWS_SECONDS   how long they work together (8)
#   AGGWIN_WINDOWS_SEED      what their random numbers follow from
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Aggwin::Crew;
use Aggwin::Session;
use Aggwin::Windows qw(create_windows outputs problems_sql);

my $seconds = $ENV{AGGWIN_WINDOWS_SECONDS} || 8;
my $seed = $ENV{AGGWIN_WINDOWS_SEED} || int rand 1_000_000_000;

note "AGGWIN_WINDOWS_SEED=$seed AGGWIN_WINDOWS_SECONDS=$seconds";

my $node = PostgreSQL::Test::Cluster->new('windows');
$node->init;
$node->append_conf('postgresql.conf', "deadlock_timeout = 200ms\nsynchronous_commit = off\nautovacuum_naptime = 3s\n");
$node->start;
create_windows($node);

srand $seed;
my $crew = Aggwin::Crew->new(node => $node, seed => $seed, folder => PostgreSQL::Test::Utils::tempdir());

$crew->hire("writer$_", \&Aggwin::Windows::writer) foreach 1 .. 3;
$crew->hire('folder', \&Aggwin::Windows::folder);
$crew->hire("stepper$_", \&Aggwin::Windows::stepper) foreach 1 .. 2;
$crew->hire("poller of $_", \&Aggwin::Windows::poller, output => $_) foreach qw(top final panes);
$crew->hire('reader', \&Aggwin::Windows::reader);
my $total = $crew->finish($seconds);

is(scalar @{ $total->{problems} }, 0, 'nobody saw a difference or an unexpected error')
  or diag join "\n", "seed $seed", map { substr $_, 0, 1000 } @{ $total->{problems} };
foreach my $count (sort grep { !ref $total->{$_} } keys %$total)
{
	note "$count: $total->{$count}";
}
cmp_ok($total->{$_} // 0, '>', 0, $_)
  foreach 'folds', 'published', 'polls', 'reads', 'checks of all', 'checks of final windows';
cmp_ok($total->{done}{$_} // 0, '>', 0, "writers did: $_") foreach Aggwin::Windows::actions();

# Afterwards -----------------------------------------------------------------

my $session = Aggwin::Session->new($node->connstr('postgres'), 'test');

sub is_right
{
	my ($name) = @_;
	my @problems = $session->rows(problems_sql());

	is(scalar @problems, 0, $name) or diag join "\n", "seed $seed", map { substr $_, 0, 1000 } @problems;
	return;
}

$session->rows('SELECT aggwin.close_windows()');
is_right('all windows are right at the end');
is($session->value('SELECT aggwin.close_windows()'), 0, 'there is nothing more to be published');
$session->rows("SELECT aggwin.refresh('$_')") foreach qw(by_second by_second_10s log_by_second log_by_second_10s);
# Times that updates have moved forward can close windows now, but change none.
my $revised = $session->value('SELECT sum(revised) FROM aggwin.windows');
$session->rows('SELECT aggwin.close_windows()');
is($session->value('SELECT sum(revised) FROM aggwin.windows'), $revised, 'nor is anything changed when all is folded');
is_right('all is right then');
$session->rows(q{INSERT INTO events (ts, k, v) SELECT ts, k, v + 1 FROM events WHERE id % 50 = 0; DELETE FROM events WHERE id % 70 = 0;
	INSERT INTO log (ts, k, v) SELECT ts, k, v FROM log LIMIT 10});
$session->rows("SELECT aggwin.refresh('$_')") foreach qw(by_second log_by_second);
cmp_ok($session->value('SELECT aggwin.close_windows()'), '>', 0, 'late rows that were folded are published');
is_right('and are right');

foreach my $output (qw(top final panes))
{
	my $rows = $total->{"rows of $output"};
	my %result = (problems => []);

	1 while Aggwin::Windows::poll($session, \%result, $output, $rows);
	is_deeply($rows, [ $session->rows("SELECT * FROM aggwin.changes_since('$output', max_rows => 1000000000)") ],
		"who polls $output gets everything once and in order: " . @$rows . ' rows');
	cmp_ok(scalar @$rows, '>', 20, 'which is something');
}
foreach my $output (outputs())
{
	my ($closed, $revised, $late) = split /\|/, $session->value(
		"SELECT closed, revised, late FROM aggwin.windows WHERE \"window\" = '$output'::regclass");

	cmp_ok($closed, '>', 3, "$output: windows were closed");
	cmp_ok($late, '>', 0, "$output: rows were late");
	Aggwin::Windows::is_final($output)
	  ? is($revised, 0, "$output: and left out")
	  : cmp_ok($revised, '>', 3, "$output: and published");
}

# Would it be seen? ------------------------------------------------------------

# A row of the last revision of a window, wherever in the table that is.
sub newest
{
	my ($output) = @_;

	return "(SELECT ctid FROM $output WHERE op <> 'delete' ORDER BY emitted_at DESC LIMIT 1)";
}

foreach my $damage (
	[ 'a row is lost', 'DELETE FROM top WHERE ctid = ' . newest('top') ],
	[ 'a value is another', 'UPDATE extremes SET most = most + 1 WHERE ctid = ' . newest('extremes') ],
	[ 'a rank is another', 'UPDATE panes SET rank = 1000 WHERE ctid = ' . newest('panes') ],
	[ 'a late row is not told of', "INSERT INTO events (ts, k, v) SELECT ts, 'k1', 5000 FROM events ORDER BY id LIMIT 1" ],
	[ 'a change is called something else', "UPDATE top SET op = 'none' WHERE ctid = (SELECT max(ctid) FROM top WHERE op = 'update')" ],
	[ 'a revision is lost', 'DELETE FROM aggwin.emission WHERE position = 3' ],
	[ 'a window was published twice', 'INSERT INTO aggwin.emission SELECT window_id, window_start, window_end, revision + 100, position + 100000, rows, emitted_at FROM aggwin.emission LIMIT 1' ])
{
	my ($name, $sql) = @$damage;

	$session->rows('BEGIN');
	$session->run($sql);
	cmp_ok(scalar(() = $session->rows(problems_sql())), '>', 0, "seen: $name");
	$session->rows('ROLLBACK');
}
is_right('right again after that');

$session->close;
$node->stop;
done_testing();
