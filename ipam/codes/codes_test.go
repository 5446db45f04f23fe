package codes

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

func TestOf(t *testing.T) {
	must.Eq(t, "", Of(nil))
	must.Eq(t, Unknown, Of(errors.New("something else")))
	must.Eq(t, BadHandle, Of(BadHandle))
	must.Eq(t, BadHandle, Of(fmt.Errorf("wrapped: %w", BadHandle)))
	must.Eq(t, MaxAlloc, Of(errors.Join(errors.New("something else"), MaxAlloc)))
}

func TestCodeIsAnError(t *testing.T) {
	err := fmt.Errorf("%w: 10.0.0.1", BadHandle)
	must.ErrorIs(t, err, BadHandle)
	must.False(t, errors.Is(err, WrongHandle), must.Sprint(err))
	must.EqError(t, err, "ipam: address is held by another handle: 10.0.0.1")
	must.EqError(t, Code("of somebody else"), "of somebody else")
}

// TestSentences: a sentence is none of the codes, and no two codes share one.
func TestSentences(t *testing.T) {
	seen := make(map[string]Code)
	for c, sentence := range sentences {
		must.True(t, strings.HasPrefix(sentence, "ipam: "), must.Sprintf("%q", sentence))
		must.StrNotContains(t, sentence, string(c))
		must.Eq(t, "", seen[sentence], must.Sprintf("%s", string(c)))
		seen[sentence] = c
	}
}

// TestTestingAllocatesNothing: hot paths test for errors.
func TestTestingAllocatesNothing(t *testing.T) {
	var err error = NoFreeBlocks
	must.Zero(t, testing.AllocsPerRun(100, func() {
		if !errors.Is(err, NoFreeBlocks) || errors.Is(err, MaxAlloc) {
			t.Error("not the same")
		}
	}))
}
