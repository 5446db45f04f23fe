package cli

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// doubleDashes writes flags with one dash as cobra expects them, with two: -nodes 300
// becomes --nodes 300. The value of a flag stays as it is, and so do single letters.
func doubleDashes(cmd *cobra.Command, args []string) []string {
	var out []string
	for len(args) > 0 {
		sub, _, err := cmd.Find(args[:1])
		if strings.HasPrefix(args[0], "-") || err != nil || sub == cmd {
			break
		}
		cmd = sub
		out, args = append(out, args[0]), args[1:]
	}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(out, args[i:]...)
		}
		name, value, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		if !strings.HasPrefix(arg, "-") || name == "" {
			out = append(out, arg)
			continue
		}
		f := lookup(cmd.Flags(), name)
		switch {
		case strings.HasPrefix(arg, "--"):
		case len(name) > 1:
			arg = "-" + arg
		case f != nil && hasValue: // pflag takes -o= for a file named =
			arg = "--" + f.Name + "=" + value
		}
		out = append(out, arg)
		if f != nil && f.NoOptDefVal == "" && !hasValue && i+1 < len(args) {
			i++
			out = append(out, args[i])
		}
	}
	return out
}

// lookup returns the flag of a name or a single letter, or nil.
func lookup(flags *pflag.FlagSet, name string) *pflag.Flag {
	if len(name) == 1 {
		if f := flags.ShorthandLookup(name); f != nil {
			return f
		}
	}
	return flags.Lookup(name)
}

// Flag returns a flag as users write it: -pool, -f.
func Flag(f *pflag.Flag) string {
	if f.Shorthand != "" {
		return "-" + f.Shorthand
	}
	return "-" + f.Name
}

// Renamed makes flags work under their older names too, which the help does not
// show. The map is from older to newer names.
func Renamed(flags *pflag.FlagSet, names map[string]string) {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if newer, ok := names[name]; ok {
			name = newer
		}
		return pflag.NormalizedName(name)
	})
}

// inWords words an error about a flag: it says what to write.
func inWords(flags *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	var syntax *pflag.InvalidSyntaxError
	switch {
	case errors.As(err, &unknown):
		text := "-" + unknown.GetSpecifiedName() + ": no such flag"
		if like := nearest(flags, unknown.GetSpecifiedName()); like != "" {
			text += "; did you mean " + like + "?"
		}
		return errors.New(text)
	case errors.As(err, &missing):
		what, _ := unquote(missing.GetFlag())
		return fmt.Errorf("%s: needs a value: %s %s", Flag(missing.GetFlag()), Flag(missing.GetFlag()), what)
	case errors.As(err, &invalid):
		return fmt.Errorf("%s %s: %w", Flag(invalid.GetFlag()), invalid.GetValue(), ofNumber(invalid.GetFlag(), invalid.Unwrap()))
	case errors.As(err, &syntax):
		return fmt.Errorf("%s: is not a flag", syntax.GetSpecifiedFlag())
	}
	return err
}

// ofNumber says which numbers a flag takes, if the error is about a number.
func ofNumber(f *pflag.Flag, err error) error {
	kind := f.Value.Type()
	switch {
	case errors.Is(err, strconv.ErrRange):
		return errors.New("is too large or too small a number")
	case !errors.Is(err, strconv.ErrSyntax):
		return err
	case kind == "bool":
		return errors.New("must be true or false")
	case strings.HasPrefix(kind, "float"):
		return errors.New("must be a number")
	}
	return errors.New("must be a whole number")
}

// nearest returns the flag that a mistyped name probably means, or "".
func nearest(flags *pflag.FlagSet, name string) string {
	var names []string
	flags.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	if f := flags.Lookup(Nearest(name, names)); f != nil {
		return Flag(f)
	}
	return ""
}

// Nearest returns the name that a mistyped one probably means, or "".
func Nearest(mistyped string, names []string) string {
	best, least := "", 1+max(1, len(mistyped)/3) // more typing errors are unlikely
	for _, name := range names {
		n := distance(mistyped, name)
		if strings.HasPrefix(name, mistyped) && len(mistyped) > 1 {
			n = 1 // the beginning of a name is enough
		}
		if n < least {
			best, least = name, n
		}
	}
	return best
}

// distance returns how many letters must be changed, inserted, removed or swapped
// to turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			n := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				n++
			}
			rows[i][j] = min(n, rows[i-1][j]+1, rows[i][j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}

// duration is the value of a flag that is a time span.
type duration time.Duration

// DurationVar defines a flag of a time span, such as 90s, 5m or 1h30m.
func DurationVar(flags *pflag.FlagSet, p *time.Duration, name string, value time.Duration, usage string) {
	*p = value
	flags.Var((*duration)(p), name, usage)
}

// Set reads the time span; its error for a number without a unit says what to
// write.
func (d *duration) Set(text string) error {
	span, err := ParseDuration(text)
	if err == nil {
		*d = duration(span)
	}
	return err
}

func (d *duration) String() string { return Short(time.Duration(*d)) }

// Type is what pflag calls the kind of value.
func (d *duration) Type() string { return "duration" }

// seconds is the value of a flag that is a time span of whole seconds.
type seconds struct {
	n    *int
	most int
}

// SecondsVar defines a flag of a time span, such as 90s or 5m, of whole seconds
// from 0 to a maximum.
func SecondsVar(flags *pflag.FlagSet, p *int, name string, most int, usage string) {
	flags.Var(&seconds{p, most}, name, usage)
}

// Set reads the time span.
func (s *seconds) Set(text string) (err error) {
	*s.n, err = ParseSeconds(text, s.most)
	return err
}

func (s *seconds) String() string {
	if s.n == nil {
		return "0s"
	}
	return Short(time.Duration(*s.n) * time.Second)
}

// Type is what pflag calls the kind of value.
func (s *seconds) Type() string { return "duration" }

// ParseSeconds reads a time span of whole seconds from 0 to a maximum. Its error
// says what to write.
func ParseSeconds(text string, most int) (int, error) {
	span, err := ParseDuration(text)
	switch limit := time.Duration(most) * time.Second; {
	case err != nil:
		return 0, err
	case span < 0 || span > limit:
		return 0, fmt.Errorf("must be from 0s to %s", Short(limit))
	case span%time.Second != 0:
		return 0, errors.New("must be whole seconds")
	}
	return int(span / time.Second), nil
}

// ParseDuration reads a time span. Its error says what to write.
func ParseDuration(text string) (time.Duration, error) {
	span, err := time.ParseDuration(text)
	if err == nil {
		return span, nil
	}
	number, wrong := strconv.ParseFloat(text, 64)
	if wrong != nil || number < 0 || number > 1e6 {
		return 0, errors.New("must be a time span such as 30s, 5m or 1h30m")
	}
	seconds := text + "s"
	other := text + "m"
	if s := Short(time.Duration(number * float64(time.Second))); s != seconds {
		other = s
	}
	return 0, fmt.Errorf("write %s or %s", seconds, other)
}

// Short writes a time span without the zeros at its end: 15m and not 15m0s.
func Short(d time.Duration) string {
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}

// prefix is the value of a flag that is a CIDR.
type prefix struct {
	p       *netip.Prefix
	example string
}

// PrefixVar defines a flag of a CIDR. If it has no default, the example says what to
// write.
func PrefixVar(flags *pflag.FlagSet, p *netip.Prefix, name, value, example, usage string) {
	if value != "" {
		*p, example = netip.MustParsePrefix(value), value
	}
	flags.Var(&prefix{p, example}, name, usage)
}

// Set reads the CIDR.
func (p *prefix) Set(text string) error {
	read, err := netip.ParsePrefix(text)
	if err != nil {
		return fmt.Errorf("not a CIDR such as %s", p.example)
	}
	*p.p = read
	return nil
}

func (p *prefix) String() string {
	if p.p == nil || !p.p.IsValid() {
		return ""
	}
	return p.p.String()
}

// Type is what pflag calls the kind of value.
func (p *prefix) Type() string { return "CIDR" }
