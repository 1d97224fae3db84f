# DemoBoard - text that is drawn again and again, in place on a terminal
#
# Bars and lines of the locale's characters, colours where they are wanted. With live
# a board is drawn over the one before; without, plain boards follow each other.
package DemoBoard;

use strict;
use warnings;

sub new
{
	my ($class, %option) = @_;
	my $utf8 = (grep { defined && length } @ENV{qw(LC_ALL LC_CTYPE LANG)}, '')[0] =~ /utf-?8/i;

	print "\e[?25l" if $option{live};
	return bless {
		live => $option{live},
		colour => $option{live} && !length($ENV{NO_COLOR} // ''),
		utf8 => $utf8,
		levels => $utf8 ? [ map { "\xe2\x96" . chr } 0x81 .. 0x88 ] : [ split //, '.:-=+*%#' ],
		drawn => 0 }, $class;    # lines of the board that stands on the terminal
}

sub DESTROY
{
	my ($self) = @_;
	print "\e[?25h" if $self->{live};
	return;
}

sub coloured
{
	my ($self, $code, $text) = @_;
	return $self->{colour} ? "\e[${code}m$text\e[0m" : $text;
}

# A line with something at its right end
sub heading
{
	my ($self, $left, $right) = @_;
	return $self->coloured(1, sprintf ' %-60s %16s', $left, $right);
}

sub label
{
	my ($self, $text) = @_;
	return $self->coloured(2, sprintf ' %-12s ', $text);
}

# A bar of up to width characters.
sub bar
{
	my ($self, $share, $width) = @_;
	my $eighths = int($share * $width * 8 + 0.5);
	my $text = '#' x int($eighths / 8 + 0.5);

	if ($self->{utf8})
	{
		my $part = $eighths % 8;
		$text = "\xe2\x96\x88" x int($eighths / 8);
		$text .= "\xe2\x96" . chr(0x90 - $part) if $part;
	}
	return $self->coloured(36, $text);
}

# A character for each value, the greatest as high as can be; undef is a gap.
sub sparkline
{
	my ($self, @values) = @_;
	my ($most) = sort { $b <=> $a } grep { defined } @values;
	my @levels = @{ $self->{levels} };

	return $self->coloured(36, join '', map { !defined ? ' ' : $levels[ $most > 0 ? int $_ / $most * $#levels + 0.5 : 0 ] } @values);
}

# In place: back to the first line of the board before, then over it.
sub draw
{
	my ($self, @lines) = @_;

	if ($self->{live})
	{
		my $back = $self->{drawn} ? "\e[$self->{drawn}A" : '';
		print $back, map { "\r$_\e[K\n" } @lines;
		$self->{drawn} = @lines;
	}
	else
	{
		print map { "$_\n" } @lines, '';
	}
	return;
}

sub grouped
{
	my ($self, $number) = @_;
	my $text = reverse $number;
	$text =~ s/(\d{3})(?=\d)/$1,/g;
	return scalar reverse $text;
}

1;
