//go:build race

package ipam_test

func init() { underRace = true }
