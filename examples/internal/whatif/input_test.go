package whatif

import (
	"strings"
	"testing"

	"github.com/shoenig/test/must"
)

// TestOddObject: one odd object refuses nothing unless that is wanted, and the page
// says what it does without.
func TestOddObject(t *testing.T) {
	odd := small + "---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMHandle\nmetadata: {name: odd}\nspec: {handleID: odd, block: {nonsense: 1}}\n" +
		"---\napiVersion: crd.projectcalico.org/v1\nkind: IPAMHandle\nmetadata: {name: gone}\nspec: {handleID: gone, block: {}, deleted: true}\n"
	status, out, _ := about(odd, "-check")
	must.Zero(t, status)
	must.StrContains(t, out, "Note: left out, for something is wrong with them: 1 IPAMHandle (no figure counts them; -check says what); 1 object is marked deleted and not counted.")
	must.StrContains(t, out, `"nonsense" is not a CIDR`)
	status, _, errs := about(odd, "-strict-input")
	must.Eq(t, 2, status)
	must.StrContains(t, errs, "IPAMHandle odd: spec.block: \"nonsense\" is not a CIDR")
	must.StrContains(t, errs, "leave out what is odd by leaving out -strict-input")
	status, out, _ = about(odd, "-json")
	must.Zero(t, status)
	must.StrContains(t, out, `"leftOut": { "IPAMHandle": 1 }`)

	// What is no resource at all is refused as ever.
	status, _, errs = about(small + "---\nhello\n")
	must.Eq(t, 2, status)
	must.StrContains(t, strings.Join(strings.Fields(errs), " "), "is no Kubernetes object")
}
