# The version stands in aggwin.control. PGXN wants it in META.json as well, as
# a semantic version of three numbers; so the two are compared here.
use strict;
use warnings;
use File::Basename;
use JSON::PP;
use Test::More;

my $top = dirname(__FILE__) . '/../..';

sub slurp
{
	my ($name) = @_;
	open my $in, '<', "$top/$name" or die "$name: $!";
	local $/;
	return <$in>;
}

my ($version) = slurp('aggwin.control') =~ /^default_version\s*=\s*'([^']+)'/m;
like($version, qr/^\d+\.\d+(\.\d+)?$/, 'aggwin.control has a version');
my $semantic = $version =~ /^\d+\.\d+$/ ? "$version.0" : $version;

my $meta = decode_json(slurp('META.json'));
is($meta->{version}, $semantic, 'META.json: version of the distribution');
is($meta->{provides}{aggwin}{version}, $semantic, 'META.json: version of the extension');
ok(-f "$top/$meta->{provides}{aggwin}{file}", 'META.json: file of the extension exists');
is($meta->{$_} ? 1 : 0, 1, "META.json: $_") for qw(name abstract maintainer license meta-spec);

my $changes = slurp('CHANGELOG.md');
like($changes, qr/^## \[\Q$version\E\]/m, 'CHANGELOG.md has a section for the version');

done_testing();
