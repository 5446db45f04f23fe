//go:build race

package property

func init() { UnderRace = true }
