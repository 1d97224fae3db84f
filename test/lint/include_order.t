# The include order of src/, and the proof that its check can fail.
use strict;
use warnings;
use File::Basename;
use File::Path qw(make_path);
use File::Temp;
use Test::More;

my $script = dirname(__FILE__) . '/include_order.pl';
my $src = dirname(__FILE__) . '/../../src';

# Writes the files (name => text) over a small faultless tree and runs the
# check on it. Returns its exit status and its output.
sub check_tree
{
	my (%files) = @_;
	my $tree = File::Temp->newdir;
	my %all = (
		'aggwin.c' => qq{#include "postgres.h"\n#include "worker/worker.h"\n},
		'core/guc.h' => header('AGGWIN_GUC_H'),
		'core/guc.c' => qq{#include "postgres.h"\n#include "core/guc.h"\n},
		'window/bucket.h' => header('AGGWIN_BUCKET_H', 'core/guc.h'),
		'summary/topk.h' => header('AGGWIN_TOPK_H', 'core/guc.h'),
		'rollup/spec.h' => header('AGGWIN_SPEC_H', 'window/bucket.h'),
		'worker/worker.h' => header('AGGWIN_WORKER_H', 'rollup/spec.h'),
		%files);

	for my $name (keys %all)
	{
		make_path("$tree/" . dirname($name));
		open my $out, '>', "$tree/$name" or die "$tree/$name: $!";
		print $out $all{$name};
		close $out;
	}
	my $output = `"$^X" "$script" "$tree" 2>&1`;
	return ($? >> 8, $output);
}

sub header
{
	my ($guard, @includes) = @_;
	return join '', "/* a header */\n#ifndef $guard\n#define $guard\n",
	  (map { qq{#include "$_"\n} } @includes), "#endif\n";
}

sub refused
{
	my ($name, $message, %files) = @_;
	my ($status, $output) = check_tree(%files);
	ok($status == 1 && $output =~ $message, "refused: $name")
	  or diag("exit status $status\n$output");
}

my ($status, $output) = check_tree();
is($status, 0, 'a faultless tree is accepted') or diag($output);
like($output, qr{^rollup    -> window$}m, 'the graph is drawn by folder');
like($output, qr{^    rollup/spec -> window/bucket$}m, 'and by module');

refused(
	'an include of a lower folder',
	qr{^core/guc\.c:1: core stands below rollup, so it must not include rollup/spec\.h$}m,
	'core/guc.c' => qq{#include "rollup/spec.h"\n});
refused(
	'rollup includes summary',
	qr{^rollup/fold\.c:1: rollup and summary do not know each other}m,
	'rollup/fold.c' => qq{#include "summary/topk.h"\n});
refused(
	'summary includes rollup',
	qr{^summary/stats\.c:1: summary and rollup do not know each other}m,
	'summary/stats.c' => qq{#include "rollup/spec.h"\n});
refused(
	'worker included from pipeline',
	qr{^pipeline/apply\.c:2: pipeline stands below worker}m,
	'pipeline/apply.c' => qq{#include "postgres.h"\n  #  include "worker/worker.h"\n});
refused(
	'an include written from its own folder',
	qr{^window/bucket\.c:1: "bucket\.h" is to be written from src on}m,
	'window/bucket.c' => qq{#include "bucket.h"\n});
refused(
	'an include that climbs',
	qr{^window/bucket\.c:1: "\.\./core/guc\.h" is to be written from src on}m,
	'window/bucket.c' => qq{#include "../core/guc.h"\n});
refused(
	'a circle of two headers',
	qr{include circle: core/guc -> core/wire -> core/guc}m,
	'core/guc.h' => header('AGGWIN_GUC_H', 'core/wire.h'),
	'core/wire.h' => header('AGGWIN_WIRE_H', 'core/guc.h'));
refused(
	'a circle through the .c files of three modules',
	qr{include circle: rollup/a -> rollup/b -> rollup/c -> rollup/a}m,
	(map { ("rollup/$_.h" => header('AGGWIN_' . uc($_) . '_H')) } qw(a b c)),
	'rollup/a.c' => qq{#include "rollup/b.h"\n},
	'rollup/b.c' => qq{#include "rollup/c.h"\n},
	'rollup/c.c' => qq{#include "rollup/a.h"\n});
refused(
	'a .c file of 601 lines',
	qr{^core/long\.c:601: 601 lines, more than 600$}m,
	'core/long.c' => "int x;\n" x 601);
($status, $output) = check_tree('core/long.c' => "int x;\n" x 600);
is($status, 0, '600 lines are accepted') or diag($output);
refused(
	'a header without a guard',
	qr{^core/wire\.h:1: does not begin with the header guard AGGWIN_WIRE_H$}m,
	'core/wire.h' => "int x;\n");
refused(
	'a guard of another name',
	qr{^core/wire\.h:1: does not begin with the header guard AGGWIN_WIRE_H$}m,
	'core/wire.h' => header('WIRE_H'));
refused(
	'a guard that is not defined under its own name',
	qr{^core/wire\.h:1: does not begin with the header guard AGGWIN_WIRE_H$}m,
	'core/wire.h' => "#ifndef AGGWIN_WIRE_H\n#define AGGWIN_WIRES_H\n#endif\n");
refused(
	'two headers with one guard',
	qr{^rollup/guc\.h:1: guard AGGWIN_GUC_H is another header's, too; use AGGWIN_ROLLUP_GUC_H$}m,
	'rollup/guc.h' => header('AGGWIN_GUC_H'));
($status, $output) = check_tree('rollup/guc.h' => header('AGGWIN_ROLLUP_GUC_H'));
is($status, 0, 'a guard with the folder in it is accepted') or diag($output);
refused('an unknown folder', qr{^misc/x\.c:1: folder misc has no place in the order}m,
	'misc/x.c' => "int x;\n");
refused('another file in src itself', qr{^util\.c:1: only aggwin\.c lies in src itself$}m,
	'util.c' => "int x;\n");
refused('an include of a .c file', qr{^core/guc\.c:1: includes core/wire\.c, which is no header$}m,
	'core/wire.c' => "int x;\n", 'core/guc.c' => qq{#include "core/wire.c"\n});

refused(
	'the language includes what uses it',
	qr{^promql/print\.c:1: promql stands below rollup}m,
	'promql/print.c' => qq{#include "rollup/spec.h"\n});
refused(
	'a scanner that includes what uses it',
	qr{^promql/scanner\.l:1: promql stands below rollup}m,
	'promql/scanner.l' => qq{#include "rollup/spec.h"\n});
($status, $output) = check_tree(
	'promql/scanner.l' => "%%\n",
	'promql/scanner.c' => "int x;\n" x 700,
	'promql/grammar.y' => qq{#include "core/guc.h"\n},
	'promql/grammar.c' => "int x;\n" x 700,
	'promql/grammar.h' => "int x;\n");
is($status, 0, 'what flex and bison made is accepted as it is') or diag($output);

my $empty = File::Temp->newdir;
$output = `"$^X" "$script" "$empty" 2>&1`;
isnt($?, 0, 'a tree without source files is an error');

# The drawing is not of interest here, the breaches are.
$output = `"$^X" "$script" "$src" 2>&1 >/dev/null`;
is($?, 0, 'src keeps the order') or diag($output);

done_testing();
