package codes

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOf(t *testing.T) {
	require.Empty(t, Of(nil))
	require.Equal(t, Unknown, Of(errors.New("something else")))
	require.Equal(t, BadHandle, Of(BadHandle))
	require.Equal(t, BadHandle, Of(fmt.Errorf("wrapped: %w", BadHandle)))
	require.Equal(t, MaxAlloc, Of(errors.Join(errors.New("something else"), MaxAlloc)))
}

func TestCodeIsAnError(t *testing.T) {
	err := fmt.Errorf("%w: 10.0.0.1", BadHandle)
	require.ErrorIs(t, err, BadHandle)
	require.NotErrorIs(t, err, WrongHandle)
	require.EqualError(t, err, "ipam: address is held by another handle: 10.0.0.1")
	require.EqualError(t, Code("of somebody else"), "of somebody else")
}

// TestSentences: a sentence is none of the codes, and no two codes share one.
func TestSentences(t *testing.T) {
	seen := make(map[string]Code)
	for c, sentence := range sentences {
		require.True(t, strings.HasPrefix(sentence, "ipam: "), "%q", sentence)
		require.NotContains(t, sentence, string(c))
		require.Empty(t, seen[sentence], "%s", string(c))
		seen[sentence] = c
	}
}

// TestTestingAllocatesNothing: hot paths test for errors.
func TestTestingAllocatesNothing(t *testing.T) {
	var err error = NoFreeBlocks
	require.Zero(t, testing.AllocsPerRun(100, func() {
		if !errors.Is(err, NoFreeBlocks) || errors.Is(err, MaxAlloc) {
			t.Error("not the same")
		}
	}))
}
