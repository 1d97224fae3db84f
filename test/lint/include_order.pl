#!/usr/bin/perl
#
# include_order.pl - draw the include graph of src/ and refuse what breaks it
#
#   perl test/lint/include_order.pl SRC
#
# Prints the graph, folder by folder, then one line on stderr for each breach;
# exits with 1 when there was one. The rules:
#
#   - a file includes only from its own folder or from folders above it, in the
#     order of @order
#   - src/summary and src/rollup do not know each other
#   - nothing includes src/worker, except src/aggwin.c
#   - an include of the project's own is written from src/ on: "core/guc.h"
#   - no circle; x.c and x.h count as one, for a circle through both of them is
#     one, too
#   - a .c file has at most 600 lines
#   - the guard of core/guc.h is AGGWIN_GUC_H, or AGGWIN_CORE_GUC_H where two
#     folders use a name; no two headers share a guard
use strict;
use warnings;
use File::Find;

my @order = qw(core window summary promql rollup emit metrics pipeline worker);
my %strangers = ('summary rollup' => 1, 'rollup summary' => 1);
my $max_lines = 600;

die "usage: include_order.pl SRC\n" unless @ARGV == 1 && -d $ARGV[0];
my $src = $ARGV[0];
my %rank = map { $order[$_] => $_ } 0 .. $#order;
my @breaches;

my %text;
find(
	{
		no_chdir => 1,
		wanted => sub {
			return unless -f && /\.(c|h|y|l)$/;
			my $name = substr($_, length($src) + 1);
			open my $in, '<', $_ or die "$_: $!\n";
			$text{$name} = [<$in>];
			close $in;
		}
	},
	$src);
die "no source files in $src\n" unless %text;

# What flex and bison made of a source beside it is nobody's text; grammar.h is
# known by its name, for it is included before it is there.
for my $file (grep { /\.[yl]$/ } keys %text)
{
	(my $made = $file) =~ s/\.[yl]$//;
	delete $text{"$made.c"};
	delete $text{"$made.h"} if $file =~ /\.y$/;
}

sub breach
{
	my ($file, $line, $message) = @_;
	push @breaches, "$file:$line: $message";
}

# Folder of a file; empty for what lies in src itself.
sub folder
{
	my ($file) = @_;
	return $file =~ m{^(.*)/} ? $1 : '';
}

sub stem
{
	my ($file) = @_;
	$file =~ s/\.[chyl]$//;
	return $file;
}

my (%edges, %where, %folder_edges);
for my $file (sort keys %text)
{
	my $folder = folder($file);
	my $number = 0;

	if ($folder eq '')
	{
		breach($file, 1, "only aggwin.c lies in src itself") if $file ne 'aggwin.c';
	}
	elsif (!exists $rank{$folder})
	{
		breach($file, 1, "folder $folder has no place in the order (@order)");
	}

	for my $line (@{ $text{$file} })
	{
		$number++;
		next unless $line =~ /^\s*#\s*include\s*"([^"]+)"/;
		my $target = $1;

		if (!exists $text{$target})
		{
			my $beside = $folder eq '' ? $target : "$folder/$target";
			breach($file, $number, "\"$target\" is to be written from src on")
			  if $target =~ m{^\.\.?/} || exists $text{$beside};
			next;
		}
		breach($file, $number, "includes itself") if $target eq $file;
		breach($file, $number, "includes $target, which is no header") if $target !~ /\.h$/;

		my $to = folder($target);
		$folder_edges{$folder}{$to}++ if $to ne $folder;
		if (stem($target) ne stem($file))
		{
			$edges{ stem($file) }{ stem($target) } = 1;
			$where{ stem($file) }{ stem($target) } //= [ $file, $number ];
		}
		next if $file eq 'aggwin.c' || !exists $rank{$folder} || !exists $rank{$to};

		if ($strangers{"$folder $to"})
		{
			breach($file, $number, "$folder and $to do not know each other, yet this includes $target");
		}
		elsif ($rank{$to} > $rank{$folder})
		{
			breach($file, $number, "$folder stands below $to, so it must not include $target");
		}
	}

	breach($file, $number, "$number lines, more than $max_lines")
	  if $file =~ /\.c$/ && $number > $max_lines;
}

# Circles: walk from every stem, in order, and report each way back once.
my (%state, @path);

sub walk
{
	my ($node) = @_;
	$state{$node} = 'open';
	push @path, $node;
	for my $next (sort keys %{ $edges{$node} // {} })
	{
		if (($state{$next} // '') eq 'open')
		{
			my ($from) = grep { $path[$_] eq $next } 0 .. $#path;
			breach(@{ $where{$node}{$next} },
				"include circle: " . join(' -> ', @path[ $from .. $#path ], $next));
		}
		elsif (!exists $state{$next})
		{
			walk($next);
		}
	}
	pop @path;
	$state{$node} = 'done';
}
for my $node (sort keys %edges)
{
	walk($node) unless exists $state{$node};
}

my %guards;
for my $file (grep { /\.h$/ } sort keys %text)
{
	my $code = join '', @{ $text{$file} };
	$code =~ s{/\*.*?\*/}{}gs;
	my ($name) = $file =~ m{([^/]+)\.h$};
	my @allowed = map { uc "AGGWIN_${_}_H" } ($name, folder($file) . "_$name");
	my $guard = $code =~ /\A\s*#\s*ifndef\s+(\w+)\s+#\s*define\s+(\w+)\s/ && $1 eq $2 ? $1 : '';

	if (!grep { $_ eq $guard } @allowed)
	{
		breach($file, 1, "does not begin with the header guard $allowed[0]");
	}
	elsif ($guards{$guard}++)
	{
		breach($file, 1, "guard $guard is another header's, too; use $allowed[1]");
	}
}

my $edge_count = 0;
$edge_count += keys %$_ for values %edges;
printf "%d files, %d includes between modules\n", scalar keys %text, $edge_count;
for my $folder (@order, '')
{
	next unless grep { folder($_) eq $folder } keys %text;
	my @to = grep { $folder_edges{$folder}{$_} } @order;
	printf "%-9s -> %s\n", $folder eq '' ? 'aggwin.c' : $folder, @to ? "@to" : '(none)';
}
for my $from (sort keys %edges)
{
	print "    $from -> ", join(' ', sort keys %{ $edges{$from} }), "\n";
}

print STDERR "$_\n" for @breaches;
exit(@breaches ? 1 : 0);
